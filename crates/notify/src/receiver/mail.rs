//! People, by email.

use std::sync::Arc;

use lettre::message::Mailbox;
use serde::Serialize;

use super::ReceiverMistake;
use super::local::check_host_port;
use crate::Secret;

/// How the way to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// TLS after a greeting in the clear, or nothing is sent: mostly port 587.
    #[default]
    StartTls,
    /// TLS from the beginning: mostly port 465.
    Tls,
    /// Not at all: for a server on this machine.
    None,
}

/// Who one is to a mail server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// People who read email. Each gets a mail of their own, so that one mailbox that is gone takes
/// nothing from the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Email {
    server: Arc<str>,
    security: Security,
    login: Option<Login>,
    from: String,
    to: Vec<String>,
    allow_local: bool,
}

impl Email {
    /// The most mailboxes.
    pub const MAX_TO: usize = 32;

    /// A mail server as `HOST:PORT`, and whose mail is brought there. `allow_local`: whether the server
    /// may be this machine.
    ///
    /// # Errors
    /// If there is nobody to be told, a mailbox or the server is none, or a password would be readable on
    /// its way.
    pub fn new(
        server: &str,
        security: Security,
        login: Option<Login>,
        (from, to): (&str, &[String]),
        allow_local: bool,
    ) -> Result<Self, ReceiverMistake> {
        check_host_port(server, allow_local)?;
        if to.is_empty() || to.len() > Self::MAX_TO {
            return Err(ReceiverMistake::Recipients);
        }
        if login.is_some() && security == Security::None {
            return Err(ReceiverMistake::PlainPassword);
        }
        for text in to.iter().map(String::as_str).chain([from]) {
            mailbox(text).ok_or_else(|| ReceiverMistake::Mailbox(text.to_owned()))?;
        }
        let (server, from, to) = (server.into(), from.to_owned(), to.to_vec());
        Ok(Self { server, security, login, from, to, allow_local })
    }

    /// The server: host and port.
    #[must_use]
    pub fn server(&self) -> (&str, u16) {
        let (host, port) = self.server.rsplit_once(':').unwrap_or((&self.server, ""));
        (host.trim_matches(['[', ']']), port.parse().unwrap_or_default())
    }

    /// How the way there is protected.
    #[must_use]
    pub fn security(&self) -> Security {
        self.security
    }

    /// Who one is to it.
    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Whether the server may be this machine.
    #[must_use]
    pub fn allow_local(&self) -> bool {
        self.allow_local
    }

    /// Whose mail it is.
    pub(crate) fn from(&self) -> Option<Mailbox> {
        mailbox(&self.from)
    }

    /// Who gets it.
    pub(crate) fn to(&self) -> impl Iterator<Item = Mailbox> {
        self.to.iter().filter_map(|text| mailbox(text))
    }
}

fn mailbox(text: &str) -> Option<Mailbox> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(server: &str, security: Security, from: &str, to: &[&str]) -> Result<(), String> {
        let to: Vec<String> = to.iter().map(|&it| it.to_owned()).collect();
        let login = Login { user: "u".into(), password: Secret::literal("p").expect("secret") };
        let made = Email::new(server, security, Some(login), (from, &to), false);
        made.map(drop).map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let (from, to) = ("Sickbay <sickbay@example.org>", &["ops@example.org"][..]);
        assert_eq!(email("mail.example.org:587", Security::StartTls, from, to), Ok(()));
        for (server, security, from, to) in [
            ("mail.example.org", Security::Tls, from, to),
            ("127.0.0.1:25", Security::Tls, from, to),
            ("mail.example.org:25", Security::None, from, to),
            ("mail.example.org:465", Security::Tls, "nobody", to),
            ("mail.example.org:465", Security::Tls, from, &[][..]),
            ("mail.example.org:465", Security::Tls, from, &["a@b\r\nBcc: c@d"]),
        ] {
            assert!(email(server, security, from, to).is_err(), "{server} {from} {to:?}");
        }
    }
}
