use super::*;

const AMPLE: Duration = Duration::from_millis(2);

fn target(round_trips: &[Option<u64>], lost: Option<Lost>) -> Target {
    let mut target = Target::configured("host".parse().expect("a target"));
    target.round_trips = round_trips.iter().map(|ms| ms.map(Duration::from_millis)).collect();
    target.ever_answered = round_trips.iter().any(Option::is_some);
    target.lost = lost;
    target
}

#[test]
fn the_median_and_the_loss_of_the_last_five() {
    for (round_trips, median, loss) in [
        (&[][..], None, None),
        (&[Some(7)], Some(7.0), Some(0.0)),
        (&[Some(9), Some(1)], Some(5.0), Some(0.0)),
        (&[Some(9), None, Some(1), Some(2), None], Some(2.0), Some(40.0)),
        (&[None, None], None, Some(100.0)),
    ] {
        let mut sample = Sample::default();
        target(round_trips, None).put(&mut sample);
        let value = |metric| {
            sample.readings.iter().find(|reading| reading.metric == metric).map(|r| r.value)
        };
        assert_eq!((value(LATENCY), value(LATENCY_LOSS)), (median, loss), "{round_trips:?}");
    }
}

#[test]
fn silence_means_different_things() {
    let silent = || Some(Lost::Silent);
    for (targets, configured, expected) in [
        (vec![target(&[Some(1)], None)], true, "answered"),
        (vec![target(&[None], silent())], true, "failed: the latency target host does not answer"),
        (
            vec![target(&[None], silent()), target(&[Some(1)], None), target(&[None], silent())],
            true,
            "failed: the latency target host does not answer; and 1 more",
        ),
        (
            vec![target(&[None], silent())],
            false,
            "n/a: the gateway host does not answer echo requests; set latency.targets",
        ),
        (
            vec![target(&[Some(1), None], silent())],
            false,
            "failed: the gateway host does not answer",
        ),
        (
            vec![target(&[None], Some(Lost::Forbidden))],
            true,
            "failed: may not send echo requests to the latency target host",
        ),
        (
            vec![target(&[None], Some(Lost::Forbidden))],
            false,
            "n/a: the gateway host cannot be asked: echo requests are not permitted here; set \
             latency.targets",
        ),
    ] {
        let said = match judge(&targets, configured) {
            ProbeOutcome::Answered => "answered".to_owned(),
            ProbeOutcome::NotApplicable(reason) => format!("n/a: {reason}"),
            ProbeOutcome::Failed(error) | ProbeOutcome::Partial(error) => {
                format!("failed: {error}")
            }
        };
        assert_eq!(said, expected);
    }
}

/// A tree whose routing tables say this.
fn routed(v4: &str, v6: &str) -> (tempfile::TempDir, Roots) {
    let tree = tempfile::tempdir().expect("a directory");
    let roots = Roots::under(tree.path());
    std::fs::create_dir_all(roots.proc.join("net")).expect("made");
    std::fs::create_dir_all(roots.sys.join("class/net/eth1")).expect("made");
    std::fs::write(roots.sys.join("class/net/eth1/ifindex"), "3\n").expect("written");
    std::fs::write(roots.proc.join("net/route"), v4).expect("written");
    std::fs::write(roots.proc.join("net/ipv6_route"), v6).expect("written");
    (tree, roots)
}

const HEADING: &str =
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

#[test]
fn the_gateway_is_that_of_the_default_route() {
    let v4 = format!("{HEADING}eth0\t00000000\t0102000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
    let v6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
              fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1\n";
    for (v4, v6, gateway) in [
        (&*v4, "", Some("10.0.2.1:0")),
        (&*v4, v6, Some("10.0.2.1:0")),
        (HEADING, v6, Some("[fe80::1%3]:0")),
        (HEADING, "", None),
    ] {
        let (_tree, roots) = routed(v4, v6);
        let found = default_gateway(&roots).expect("parses");
        assert_eq!(found.map(|address| address.to_string()).as_deref(), gateway);
    }
    let (_tree, roots) = routed("nonsense\n", "");
    assert!(matches!(default_gateway(&roots), Err(ProbeOutcome::Failed(error))
        if error.kind == ProbeErrorKind::Malformed));
}

#[tokio::test]
async fn without_a_gateway_there_is_nothing_to_ask() {
    let (_tree, roots) = routed(HEADING, "");
    let mut latency = Latency::new(roots, &[], AMPLE);
    let (clock, _) = Clock::manual(0);
    latency.run(&clock).await;
    let (report, sample) = latency.last().expect("ran");
    assert!(
        matches!(&report.outcome, ProbeOutcome::NotApplicable(why) if why.contains("no default"))
    );
    assert!(sample.readings.is_empty() && latency.gateway().is_none());
}

#[tokio::test]
async fn a_port_is_measured_on_its_own_clock_and_its_end_is_noticed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let configured: LatencyTarget = format!("tcp:127.0.0.1:{port}").parse().expect("a target");
    let interval = Duration::from_secs(5);
    let mut latency = Latency::new(Roots::default(), &[configured], interval);
    let (clock, hand) = Clock::manual(0);
    for round in 0..7_u32 {
        latency.run(&clock).await;
        latency.run(&clock).await;
        let kept = latency.targets[0].round_trips.len();
        assert_eq!(kept, usize::try_from(round + 1).expect("small").min(KEPT_ROUND_TRIPS));
        hand.advance(interval);
    }
    assert_eq!(latency.last().expect("ran").0.outcome, ProbeOutcome::Answered);
    drop(listener);
    latency.run(&clock).await;
    let (report, sample) = latency.last().expect("ran");
    assert!(matches!(&report.outcome, ProbeOutcome::Failed(error)
        if error.kind == ProbeErrorKind::Unreachable && error.message.contains("refused")));
    let loss = sample.readings.iter().find(|reading| reading.metric == LATENCY_LOSS);
    assert_eq!(loss.map(|reading| reading.value), Some(20.0));
}
