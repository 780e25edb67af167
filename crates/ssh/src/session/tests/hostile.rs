//! Servers that are gone, silent, busy, dishonest or dead.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What a server does with one connection.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// Takes it and says nothing.
    Silence,
    /// Says this, and then nothing.
    Say(&'static [u8]),
    /// Says this, and closes.
    SayAndClose(&'static [u8]),
    /// Sends ten megabytes of this.
    Flood(&'static [u8]),
    /// Identifies itself, and resets the connection.
    Reset,
}

async fn serve(listener: TcpListener, deed: Deed) {
    let mut held = Vec::new();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        match deed {
            Deed::Silence => {}
            Deed::Say(bytes) => stream.write_all(bytes).await.unwrap_or_default(),
            Deed::SayAndClose(bytes) => {
                let _ = stream.write_all(bytes).await;
                continue;
            }
            Deed::Flood(line) => {
                for _ in 0..10_000_000 / line.len() {
                    if stream.write_all(line).await.is_err() {
                        break;
                    }
                }
            }
            Deed::Reset => {
                let _ = stream.write_all(b"SSH-2.0-odd\r\n").await;
                let mut bytes = [0; 64];
                let _ = stream.read(&mut bytes).await;
                #[allow(deprecated, reason = "a reset needs it")]
                let _ = stream.set_linger(Some(Duration::ZERO));
                continue;
            }
        }
        held.push(stream);
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

#[tokio::test]
async fn what_is_no_ssh_server_is_told_apart() {
    let lab = Lab::new();
    let impatient = SshSettings { connect_timeout: Duration::from_millis(700), ..settings(&lab) };
    for (deed, expected) in [
        (Deed::Silence, "says nothing of SSH for"),
        (Deed::Say(b"SSH-2.0-mute\r\n"), "did not finish the key exchange within 700 ms"),
        (Deed::Say(b"welcome\r\n"), "says nothing of SSH for"),
        (Deed::Say(b"SSH-1.5-old\r\n"), "it speaks another version of the protocol"),
        (Deed::Say(b"SSH-2.0-x\r\nnot a packet at all, but text"), "the key exchange with"),
        (
            Deed::SayAndClose(b"HTTP/1.1 400 Bad Request\r\n"),
            "closed the connection at once; it said \"HTTP/1.1 400 Bad Request\"",
        ),
        (Deed::SayAndClose(b""), "sshd may be busy (MaxStartups)"),
        (Deed::SayAndClose(b"Exceeded MaxStartups\r\n"), "it said \"Exceeded MaxStartups\""),
        (Deed::Flood(b"spam\r\n"), "it talks without saying which protocol"),
        (Deed::Flood(b"spam without end"), "its first line is too long"),
        (Deed::Flood(b"\n"), "it talks without saying which protocol"),
        (Deed::Flood(b"SSH-2.0-x\r\n"), "127.0.0.1"),
        (Deed::Reset, "during the key exchange"),
    ] {
        let (listener, address) = listen().await;
        let ssh = Ssh::new(impatient.clone());
        let target = target(&lab, address.port());
        let found = tokio::select! {
            found = refused(&ssh, &target) => found,
            () = serve(listener, deed) => unreachable!("it serves for ever"),
        };
        assert!(found.contains(expected), "{deed:?}: {found}");
        let kind = found.split(':').next().unwrap_or_default();
        assert!(["unreachable", "malformed"].contains(&kind), "{deed:?}: {found}");
        assert!(found.len() < 600, "{found}");
    }
}

#[tokio::test]
async fn hosts_that_are_not_there() {
    let lab = Lab::new();
    let ssh =
        Ssh::new(SshSettings { connect_timeout: Duration::from_millis(700), ..settings(&lab) });
    let closed = sshd::free_port();
    for (host, expected) in [
        ("127.0.0.1", "refuses the connection → check that sshd runs there"),
        ("::1", "[::1]"),
        ("no-such-host.invalid", "the name no-such-host.invalid"),
        // An address for documentation: nobody answers, or the way there is missing.
        ("192.0.2.1", "192.0.2.1:"),
        ("255.255.255.255", "255.255.255.255:"),
    ] {
        let target = SshTarget { host: host.to_owned(), ..target(&lab, closed) };
        let found = refused(&ssh, &target).await;
        assert!(found.starts_with("unreachable: ") && found.contains(expected), "{host}: {found}");
    }
}

#[tokio::test]
async fn a_busy_server_is_tried_again() {
    let lab = Lab::new();
    let server = lab.sshd("");
    let (listener, address) = listen().await;
    // Turns the first two away, as MaxStartups does, and hands the third on.
    let busy = async {
        for _ in 0..2 {
            let _ = listener.accept().await;
        }
        let (mut ours, _) = listener.accept().await.expect("a connection");
        let mut theirs = TcpStream::connect(("127.0.0.1", server.port)).await.expect("sshd");
        let _ = tokio::io::copy_bidirectional(&mut ours, &mut theirs).await;
        std::future::pending::<()>().await;
    };
    let known = format!("[127.0.0.1]:{} {}", address.port(), lab.public("host"));
    write_home(&lab, "known_hosts", &known);
    let ssh = Ssh::new(settings(&lab));
    let target = target(&lab, address.port());
    tokio::select! {
        found = refused(&ssh, &target) => assert_eq!(found, "connected"),
        () = busy => unreachable!("it goes on for ever"),
    }
}

#[tokio::test]
async fn a_session_that_breaks_is_noticed() {
    let lab = Lab::new();
    let mut server = lab.sshd("");
    let target = knows(&lab, &server);
    let ssh = Ssh::new(settings(&lab));
    let (session, _) = open(&ssh, &target).await.expect("opens");
    let command = session.execute("echo half; sleep 100").await.expect("a channel");
    assert_eq!(command.inbox.next().await, Ok(b"half\n".to_vec()));
    server.kill();
    assert_eq!(command.inbox.next().await, Err(crate::inbox::End::Lost));
    assert!(!session.is_alive());
    assert!(session.lost().message.contains("was lost"), "{:?}", session.lost());
    let found = refused(&ssh, &target).await;
    assert!(found.contains("refuses the connection"), "{found}");
    server.start();
    assert_eq!(refused(&ssh, &target).await, "connected");
}

#[tokio::test]
async fn a_machine_that_froze_is_given_up() {
    let lab = Lab::new();
    let server = lab.sshd("");
    let target = knows(&lab, &server);
    let settings = SshSettings { keepalive_interval: Duration::from_millis(100), ..settings(&lab) };
    let ssh = Ssh::new(settings);
    let (session, _) = open(&ssh, &target).await.expect("opens");
    // Alive, however long nothing is asked.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(session.is_alive());
    server.signal_sessions("STOP");
    let ping = tokio::time::timeout(Duration::from_millis(200), session.ping()).await;
    assert!(ping.is_err(), "nobody answers");
    for _ in 0..200 {
        if !session.is_alive() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!session.is_alive());
    assert!(session.lost().message.contains("no longer answered"), "{:?}", session.lost());
}

#[tokio::test]
async fn a_flood_is_cut_and_holds_up_nobody() {
    let lab = Lab::new();
    let server = lab.sshd("");
    let target = knows(&lab, &server);
    let ssh = Ssh::new(settings(&lab));
    let (session, _) = open(&ssh, &target).await.expect("opens");
    // Nobody reads this one.
    let flood = session.execute("cat /dev/zero").await.expect("a channel");
    for _ in 0..20 {
        assert_eq!(output(&session, "echo fine").await, "fine\n");
    }
    while flood.inbox.end().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(flood.inbox.end(), Some(crate::inbox::End::Flooded));
    assert_eq!(output(&session, "echo fine").await, "fine\n");
}

#[tokio::test]
async fn nothing_is_left_of_sessions_that_failed() {
    let lab = Lab::new();
    lab.key("stranger", "ed25519", "");
    let server = lab.sshd("");
    let good = knows(&lab, &server);
    let (silent, address) = listen().await;
    let mute = target(&lab, address.port());
    let denied = SshTarget {
        identity_file: Some(lab.path("stranger").display().to_string()),
        ..good.clone()
    };
    let closed = target(&lab, sshd::free_port());
    let ssh =
        Ssh::new(SshSettings { connect_timeout: Duration::from_millis(300), ..settings(&lab) });
    let patient = Ssh::new(settings(&lab));
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let files = || sickbay_runtime::cost::open_files().expect("counted");
    let cycle = async |count: usize| {
        for _ in 0..count {
            assert_eq!(refused(&patient, &good).await, "connected");
            assert!(refused(&patient, &denied).await.starts_with("denied"));
            assert!(refused(&ssh, &closed).await.starts_with("unreachable"));
        }
        let mutes = (0..count).map(|_| refused(&ssh, &mute));
        for found in futures_util::future::join_all(mutes).await {
            assert!(found.starts_with("unreachable"), "{found}");
        }
    };
    let work = async {
        cycle(1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = (tasks(), files());
        cycle(50).await;
        for _ in 0..100 {
            if tasks() <= before.0 && files() <= before.1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!((tasks(), files()), before, "tasks and open files after 200 failures");
    };
    // It identifies itself and then keeps us waiting in the middle of the key exchange.
    let mute_server = async {
        loop {
            let Ok((mut stream, _)) = silent.accept().await else { return };
            let _ = stream.write_all(b"SSH-2.0-mute\r\n").await;
            let mut bytes = Vec::new();
            // Until the other side gives up.
            let _ =
                tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut bytes)).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = mute_server => unreachable!("it serves for ever"),
    }
}
