//! Mail servers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use sickbay_notify::receiver::{Email, Login, Security};
use sickbay_notify::{Kind, Origin, Outcome, Progress, Sender};
use sickbay_runtime::Clock;

use crate::tls::self_signed;
use crate::{AT_MS, deliver, notice, receiver, refused, secret, sender};

/// A mail server for so many connections; it refuses what `gone@` and delays what `later@` is sent.
fn server(
    connections: usize,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let thread = std::thread::spawn(move || {
        let mut said = Vec::new();
        for _ in 0..connections {
            let (stream, _) = listener.accept().expect("accept");
            match &tls {
                None => talk(stream, &mut said),
                Some(config) => {
                    let session = rustls::ServerConnection::new(Arc::clone(config));
                    talk(rustls::StreamOwned::new(session.expect("session"), stream), &mut said);
                }
            }
        }
        said
    });
    (address, thread)
}

fn talk(stream: impl Read + Write, said: &mut Vec<String>) {
    let mut stream = BufReader::new(stream);
    let mut answer = "220 mail.example.org ESMTP\r\n";
    let mut in_mail = false;
    loop {
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
        let _ = stream.get_mut().flush();
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end();
        said.push(line.to_owned());
        answer = match line {
            "." if in_mail => {
                in_mail = false;
                "250 taken\r\n"
            }
            _ if in_mail => "",
            "DATA" => {
                in_mail = true;
                "354 go on\r\n"
            }
            "QUIT" => "221 bye\r\n",
            _ if line.starts_with("EHLO") => "250-mail.example.org\r\n250 AUTH PLAIN\r\n",
            _ if line.starts_with("AUTH") => "235 well\r\n",
            _ if line.contains("gone@") => "550 no such mailbox\r\n",
            _ if line.contains("later@") => "451 too busy\r\n",
            _ => "250 well\r\n",
        };
    }
}

fn email(address: SocketAddr, security: Security, login: Option<Login>, to: &[&str]) -> Kind {
    let to: Vec<String> = to.iter().map(|name| format!("{name}@example.org")).collect();
    let people = ("Sickbay <sickbay@example.org>", &to[..]);
    Kind::Email(Email::new(&address.to_string(), security, login, people, true).expect("email"))
}

async fn ended(thread: JoinHandle<Vec<String>>) -> Vec<String> {
    let joined = tokio::task::spawn_blocking(move || thread.join()).await;
    joined.expect("joined").expect("server")
}

#[tokio::test]
async fn each_gets_a_mail_and_who_is_gone_takes_nothing_from_the_others() {
    let (address, thread) = server(5, None);
    let kind = email(address, Security::None, None, &["ops", "gone", "later", "boss"]);
    let (sender, receiver, mut progress) = (sender(), receiver(kind), Progress::default());
    let first = sender.deliver(&receiver, &notice(), &mut progress).await;
    let Outcome::Retry { why, .. } = &first else { panic!("{first:?}") };
    assert!(why.contains("too busy"), "{why}");
    // The one that is too busy for good is left; what was settled is not sent again.
    let again = sender.deliver(&receiver, &notice(), &mut progress).await;
    assert_eq!(first, again);
    let kind = email(address, Security::None, None, &["gone"]);
    let outcome = deliver(kind).await;
    let Outcome::Refused { why } = &outcome else { panic!("{outcome:?}") };
    assert!(why.starts_with("gone@example.org: ") && why.contains("no such mailbox"), "{why}");
    let said = ended(thread).await;
    let told: Vec<&str> = said.iter().filter_map(|it| it.strip_prefix("RCPT TO:")).collect();
    let gone = "<gone@example.org>";
    assert_eq!(
        told,
        ["<ops@example.org>", gone, "<later@example.org>", "<later@example.org>", gone]
    );
    let subject = "Subject: CRITICAL: 2 alerts fire, 1 is over: rule disk_full";
    assert!(said.iter().any(|line| line == subject), "{said:#?}");
    assert!(said.iter().any(|line| line.starts_with("Message-ID: <msg_")), "{said:#?}");
}

#[tokio::test]
async fn a_password_is_sent_only_to_who_is_trusted() {
    let login = || Some(Login { user: "sickbay".into(), password: secret("pass-word") });
    let (config, pem) = self_signed("127.0.0.1");
    let (address, thread) = server(2, Some(config));
    let kind = email(address, Security::Tls, login(), &["ops"]);
    let outcome = deliver(kind.clone()).await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    let origin = Origin { hub: "hub-1".into(), url: None };
    let trusting = Sender::new(origin, Clock::manual(AT_MS).0, &[pem]).expect("sender");
    let outcome = trusting.deliver(&receiver(kind), &notice(), &mut Progress::default()).await;
    assert_eq!(outcome, Outcome::Done);
    let said = ended(thread).await;
    assert_eq!(said.iter().filter(|line| line.starts_with("AUTH PLAIN ")).count(), 1);
    // Without the greeting's TLS, nothing is said at all.
    let (address, thread) = server(1, None);
    let outcome = deliver(email(address, Security::StartTls, login(), &["ops"])).await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    assert!(!ended(thread).await.iter().any(|line| line.starts_with("AUTH")));
}

#[tokio::test]
async fn a_mail_server_on_this_machine_must_be_meant() {
    let people = ("a@example.org", &["b@example.org".to_owned()][..]);
    let kind = Email::new("localhost:25", Security::None, None, people, false).expect("email");
    let outcome = deliver(Kind::Email(kind)).await;
    let Outcome::Refused { why } = &outcome else { panic!("{outcome:?}") };
    assert!(why.contains("is this machine itself"), "{why}");
    assert_ne!(outcome, refused(""));
}
