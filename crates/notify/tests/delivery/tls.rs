//! Servers with certificates.

use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sickbay_notify::{Origin, Outcome, Progress, Sender};
use sickbay_runtime::Clock;

use crate::server::{Act, Server, status};
use crate::{AT_MS, deliver, notice, receiver, webhook};

/// A server's configuration, and its certificate in PEM.
pub(crate) fn self_signed(name: &str) -> (Arc<rustls::ServerConfig>, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("certificate");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("certificate");
    (Arc::new(config), made.cert.pem().into_bytes())
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_told() {
    let (config, _) = self_signed("127.0.0.1");
    let server = Server::with(vec![status("200 OK")], Some(config));
    let outcome = deliver(webhook(&format!("https://{}/", server.address))).await;
    let Outcome::Retry { why, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(why.starts_with("its certificate is not trusted: "), "{why}");
    assert!(server.end().await.0.is_empty(), "nothing was said to a stranger");
}

#[tokio::test]
async fn a_certificate_that_is_given_is_trusted() {
    let (config, pem) = self_signed("127.0.0.1");
    let server = Server::with(vec![status("200 OK")], Some(config));
    let origin = Origin { hub: "hub-1".into(), url: None };
    let sender = Sender::new(origin, Clock::manual(AT_MS).0, &[pem]).expect("sender");
    let receiver = receiver(webhook(&format!("https://{}/", server.address)));
    let outcome = sender.deliver(&receiver, &notice(), &mut Progress::default()).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(server.end().await.0.len(), 1);
}

#[tokio::test]
async fn who_does_not_speak_tls_is_told() {
    let server = Server::start(vec![Act::Interrupt]);
    let outcome = deliver(webhook(&format!("https://{}/", server.address))).await;
    let Outcome::Retry { why, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(why.starts_with("no secure connection: "), "{why}");
    server.end().await;
}
