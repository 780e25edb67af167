//! Mail, over SMTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use lettre::message::Mailbox;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use sickbay_alert::Notice;
use tokio::time::timeout;

use super::{Outcome, Progress, Sender, TIMEOUT};
use crate::address::{Forbidden, allowed};
use crate::payload::{email::message, words::line};
use crate::receiver::{Email, Security};

type Transport = AsyncSmtpTransport<Tokio1Executor>;

impl Sender {
    /// Brings the mail of each to the server.
    pub(super) async fn mail(
        &self,
        email: &Email,
        notice: &Notice,
        progress: &mut Progress,
    ) -> Outcome {
        let mut password = None;
        if let Some(login) = email.login() {
            match login.password.reveal().await {
                Ok(text) => password = Some((login.user.clone(), text)),
                Err(error) => return error.into(),
            }
        }
        for (place, to) in email.to().enumerate() {
            if progress.is_settled(place) {
                continue;
            }
            let sent = timeout(TIMEOUT, self.mail_to(email, notice, to.clone(), &password)).await;
            match sent {
                Ok(Ok(())) => drop(progress.done.insert(place)),
                Ok(Err(MailError::Mailbox(why))) => {
                    progress.refused.insert(place, format!("{}: {why}", to.email));
                }
                Ok(Err(MailError::Failed(outcome))) => return outcome,
                Err(_) => {
                    return Outcome::retry(format!("no answer within {} s", TIMEOUT.as_secs()));
                }
            }
        }
        progress.outcome()
    }

    async fn mail_to(
        &self,
        email: &Email,
        notice: &Notice,
        to: Mailbox,
        password: &Option<(String, Arc<str>)>,
    ) -> Result<(), MailError> {
        let none = || MailError::Mailbox("there is no sender".to_owned());
        let from = email.from().ok_or_else(none)?;
        let mail = message(&self.origin, notice, from, to);
        let mail = mail.map_err(|error| MailError::Mailbox(error.to_string()))?;
        let mut transport = self.transport(email).await?;
        if let Some((user, password)) = password {
            transport = transport.credentials(Credentials::new(user.clone(), password.to_string()));
        }
        let transport: Transport = transport.build();
        transport.send(mail).await.map(drop).map_err(judge)
    }

    /// To the address that was checked, with the certificate of the name.
    async fn transport(
        &self,
        email: &Email,
    ) -> Result<lettre::transport::smtp::AsyncSmtpTransportBuilder, MailError> {
        let (host, port) = email.server();
        let address = resolve(host, port, email.allow_local()).await?;
        let mut parameters = TlsParameters::builder(host.to_owned());
        for pem in &self.roots {
            let certificate = Certificate::from_pem(pem).map_err(tls)?;
            parameters = parameters.add_root_certificate(certificate);
        }
        let tls = match email.security() {
            Security::None => Tls::None,
            Security::StartTls => Tls::Required(parameters.build().map_err(tls)?),
            Security::Tls => Tls::Wrapper(parameters.build().map_err(tls)?),
        };
        Ok(Transport::builder_dangerous(address.ip().to_string())
            .port(port)
            .timeout(Some(TIMEOUT))
            .tls(tls))
    }
}

enum MailError {
    /// This mailbox only.
    Mailbox(String),
    /// Any mail to this server.
    Failed(Outcome),
}

impl From<io::Error> for MailError {
    fn from(error: io::Error) -> Self {
        Self::Failed(Outcome::retry(format!("its name cannot be resolved: {error}")))
    }
}

impl From<Forbidden> for MailError {
    fn from(forbidden: Forbidden) -> Self {
        Self::Failed(Outcome::refused(forbidden.to_string()))
    }
}

fn tls(error: SmtpError) -> MailError {
    MailError::Failed(Outcome::retry(format!("no secure connection: {error}")))
}

async fn resolve(host: &str, port: u16, allow_local: bool) -> Result<SocketAddr, MailError> {
    let mut all: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    if !allow_local {
        all = allowed(all)?;
    }
    let none = || io::Error::other("it has no address");
    Ok(all.first().copied().ok_or_else(none)?)
}

/// What a failure means. Of the answers that are for ever, those to a mailbox (55x) concern it only.
fn judge(error: SmtpError) -> MailError {
    let why = line(&whole(&error)).chars().take(300).collect::<String>();
    if !error.is_permanent() {
        return MailError::Failed(Outcome::retry(why));
    }
    let code = error.status().map(u16::from).unwrap_or_default();
    match code {
        550..=554 => MailError::Mailbox(why),
        _ => MailError::Failed(Outcome::refused(why)),
    }
}

/// An error with its reasons, which it does not tell itself.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut reason = error.source();
    while let Some(source) = reason {
        let said = source.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        reason = source.source();
    }
    text
}
