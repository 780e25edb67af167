//! Ports of InfiniBand and RoCE adapters: state, rate, errors, traffic.
//!
//! Some of these files make the driver ask its adapter, which may be in trouble: this runs in the
//! killable child. Counters are given as they are; what their growth means is the engine's to say.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use sickbay_model::catalogue as metric;
use sickbay_model::{MetricId, ProbeError, ProbeId, probe};

use super::LocalCollector;
use super::rate::{per_second, seconds_between};
use super::read::{SMALL_LIMIT, is_absent, malformed, read_error, small_fact};
use crate::parse::{infiniband, printable, sysfs};
use crate::{Files, Roots, Sample};

/// The most ports that are reported.
pub(crate) const MAX_PORTS: usize = 256;

/// The longest name of an adapter that is kept, in characters.
const MAX_NAME_CHARACTERS: usize = 64;

/// `port_rcv_data` and `port_xmit_data` count words of four bytes (InfiniBand specification).
const BYTES_PER_WORD: f64 = 4.0;

/// Counters that are given as they are, by their file below the port.
const COUNTERS: [(MetricId, &str); 7] = [
    (metric::INFINIBAND_LINK_DOWNED, "counters/link_downed"),
    (metric::INFINIBAND_SYMBOL_ERRORS, "counters/symbol_error"),
    (metric::INFINIBAND_BUFFER_OVERRUNS, "counters/excessive_buffer_overrun_errors"),
    (metric::INFINIBAND_INTEGRITY_ERRORS, "counters/local_link_integrity_errors"),
    (metric::INFINIBAND_RECEIVE_ERRORS, "counters/port_rcv_errors"),
    (metric::INFINIBAND_RETRIES_EXCEEDED, "hw_counters/rnr_nak_retry_err"),
    (metric::INFINIBAND_ACK_TIMEOUTS, "hw_counters/local_ack_timeout_err"),
];

/// Counters of traffic, of which the rate is given.
const TRAFFIC: [(MetricId, &str); 2] = [
    (metric::INFINIBAND_RECEIVE, "counters/port_rcv_data"),
    (metric::INFINIBAND_TRANSMIT, "counters/port_xmit_data"),
];

/// Every file of a port that is read, below its folder.
pub(crate) const PORT_FILES: [&str; 13] = [
    "state",
    "phys_state",
    "rate",
    "link_layer",
    COUNTERS[0].1,
    COUNTERS[1].1,
    COUNTERS[2].1,
    COUNTERS[3].1,
    COUNTERS[4].1,
    COUNTERS[5].1,
    COUNTERS[6].1,
    TRAFFIC[0].1,
    TRAFFIC[1].1,
];

/// The logical state of a port that carries traffic.
const ACTIVE: u8 = 4;

/// Collects the ports.
#[derive(Debug, Default)]
pub(super) struct Infiniband {
    /// Words of each port at the last look.
    traffic: HashMap<String, [u64; 2]>,
    previous_at: Option<Duration>,
    buffer: Vec<u8>,
}

/// An active port, to be held against its peers.
struct Active {
    port: String,
    /// Adapter's board and link layer: ports that are the same in both are peers.
    kind: (String, String),
    rate: f64,
}

impl LocalCollector for Infiniband {
    fn probe(&self) -> ProbeId {
        probe::INFINIBAND
    }

    fn collect(
        &mut self,
        roots: &Roots,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let directory = roots.sys.join("class/infiniband");
        let mut adapters = match roots.files.list(&directory) {
            Ok(names) => names,
            Err(error) if is_absent(&error) => Vec::new(),
            Err(error) => return Err(read_error(&directory, &error)),
        };
        if adapters.is_empty() {
            out.set_not_applicable("no InfiniBand or RoCE adapter is visible here");
            return Ok(());
        }
        adapters.sort();
        let seconds = self.previous_at.and_then(|at| seconds_between(at, monotonic));
        let mut active = Vec::new();
        let mut traffic = HashMap::new();
        let mut ports = 0;
        for adapter in adapters {
            let path = directory.join(&adapter);
            // Virtual functions come and go with who uses them; their link is the real one's.
            if roots.files.exists(&path.join("device/physfn")) {
                continue;
            }
            let board = self.text(&roots.files, &path.join("board_id"));
            for number in port_numbers(&roots.files, &path.join("ports")) {
                ports += 1;
                if ports > MAX_PORTS {
                    break;
                }
                let shown = printable(adapter.as_bytes(), MAX_NAME_CHARACTERS);
                let number = printable(number.as_bytes(), MAX_NAME_CHARACTERS);
                let name = format!("{shown}/{number}");
                let at = path.join("ports").join(&number);
                let rate = self.state(&roots.files, &at, &name, out);
                self.counters(&roots.files, &at, &name, seconds, &mut traffic, out);
                if let Some(rate) = rate {
                    let layer = self.text(&roots.files, &at.join("link_layer"));
                    active.push(Active { port: name, kind: (board.clone(), layer), rate });
                }
            }
        }
        (self.traffic, self.previous_at) = (traffic, Some(monotonic));
        peers(&active, out);
        Ok(())
    }
}

impl Infiniband {
    fn text(&mut self, files: &Files, path: &Path) -> String {
        let text = |bytes: &[u8]| sysfs::text(bytes, MAX_NAME_CHARACTERS);
        small_fact(files, path, &mut self.buffer, text).unwrap_or_default()
    }

    /// State and rate; returns the rate of an active port.
    fn state(&mut self, files: &Files, at: &Path, name: &str, out: &mut Sample) -> Option<f64> {
        let mut state = None;
        for (metric, file) in
            [(metric::INFINIBAND_STATE, "state"), (metric::INFINIBAND_PHYSICAL_STATE, "phys_state")]
        {
            let path = at.join(file);
            let told = match files.read_start(&path, &mut self.buffer, SMALL_LIMIT) {
                Ok(bytes) => {
                    infiniband::parse_state(bytes).map_err(|error| malformed(&path, &error))
                }
                Err(error) => Err(read_error(&path, &error)),
            };
            if let Ok(number) = told {
                out.put(metric, name, f64::from(number));
                state = state.or(Some(number));
            }
            out.part(told.map(|_| ()));
        }
        let rate = small_fact(files, &at.join("rate"), &mut self.buffer, |bytes| {
            infiniband::parse_rate(bytes).ok()
        })
        .flatten();
        out.put_some(metric::INFINIBAND_RATE, name, rate);
        rate.filter(|_| state == Some(ACTIVE))
    }

    fn counters(
        &mut self,
        files: &Files,
        at: &Path,
        name: &str,
        seconds: Option<f64>,
        traffic: &mut HashMap<String, [u64; 2]>,
        out: &mut Sample,
    ) {
        let mut count = |file: &str| {
            small_fact(files, &at.join(file), &mut self.buffer, |bytes| {
                sysfs::parse_unsigned("infiniband counter", bytes).ok()
            })
            .flatten()
        };
        for (metric, file) in COUNTERS {
            out.put_some(metric, name, count(file).map(|count| count as f64));
        }
        let [(_, receive), (_, transmit)] = TRAFFIC;
        let (Some(receive), Some(transmit)) = (count(receive), count(transmit)) else { return };
        let now = [receive, transmit];
        if let Some(before) = self.traffic.get(name) {
            for (((metric, _), before), now) in TRAFFIC.into_iter().zip(before).zip(now) {
                let words = per_second(*before, now, seconds);
                out.put_some(metric, name, words.map(|words| words * BYTES_PER_WORD));
            }
        }
        traffic.insert(name.to_owned(), now);
    }
}

/// The ports of an adapter, in their order.
fn port_numbers(files: &Files, directory: &Path) -> Vec<OsString> {
    let mut numbers = files.list(directory).unwrap_or_default();
    numbers.retain(|name| name.as_bytes().iter().all(u8::is_ascii_digit));
    numbers.sort();
    numbers
}

/// Tells each active port at which rate its peers run: the middle one of them, and of two the faster.
fn peers(active: &[Active], out: &mut Sample) {
    for port in active {
        let same = active.iter().filter(|other| other.kind == port.kind);
        let mut rates: Vec<f64> = same.map(|other| other.rate).collect();
        if rates.len() < 2 {
            continue;
        }
        rates.sort_by(f64::total_cmp);
        out.put_some(
            metric::INFINIBAND_PEERS_RATE,
            &port.port,
            rates.get(rates.len() / 2).copied(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fetched;

    const PORT: &str = "/sys/class/infiniband/mlx5_0/ports/1";

    fn collect(collector: &mut Infiniband, files: Fetched, seconds: u64) -> Sample {
        let mut sample = Sample::default();
        let roots = Roots::fetched(files);
        collector.collect(&roots, Duration::from_secs(seconds), &mut sample).unwrap();
        sample
    }

    fn value(sample: &Sample, metric: MetricId, instance: &str) -> Option<f64> {
        let is = |it: &&sickbay_model::Reading| it.metric == metric && *it.instance == *instance;
        sample.readings.iter().find(is).map(|reading| reading.value)
    }

    fn port(files: &mut Fetched, at: &str, state: &str, rate: &str, words: u64) {
        for (file, content) in [
            ("state", state),
            ("phys_state", "5: LinkUp"),
            ("rate", rate),
            ("link_layer", "InfiniBand"),
            ("counters/link_downed", "3"),
            ("counters/port_rcv_data", &words.to_string()),
            ("counters/port_xmit_data", "0"),
            ("hw_counters/rnr_nak_retry_err", "none"),
        ] {
            files.put(format!("{at}/{file}").as_bytes(), format!("{content}\n").as_bytes());
        }
    }

    #[test]
    fn a_port_is_told_with_its_rates() {
        let mut collector = Infiniband::default();
        let mut files = Fetched::new();
        port(&mut files, PORT, "4: ACTIVE", "400 Gb/sec (4X NDR)", 1_000);
        let first = collect(&mut collector, files.clone(), 10);
        assert_eq!(value(&first, metric::INFINIBAND_STATE, "mlx5_0/1"), Some(4.0));
        assert_eq!(value(&first, metric::INFINIBAND_RATE, "mlx5_0/1"), Some(5e10));
        assert_eq!(value(&first, metric::INFINIBAND_LINK_DOWNED, "mlx5_0/1"), Some(3.0));
        assert_eq!(value(&first, metric::INFINIBAND_RETRIES_EXCEEDED, "mlx5_0/1"), None);
        assert_eq!(value(&first, metric::INFINIBAND_RECEIVE, "mlx5_0/1"), None);
        assert_eq!(value(&first, metric::INFINIBAND_PEERS_RATE, "mlx5_0/1"), None);
        port(&mut files, PORT, "4: ACTIVE", "400 Gb/sec (4X NDR)", 2_000);
        let second = collect(&mut collector, files, 20);
        assert_eq!(value(&second, metric::INFINIBAND_RECEIVE, "mlx5_0/1"), Some(400.0));
    }

    #[test]
    fn peers_are_active_ports_of_the_same_board() {
        let mut files = Fetched::new();
        for (number, (state, rate, board)) in [
            ("4: ACTIVE", "400 Gb/sec (4X NDR)", "A"),
            ("4: ACTIVE", "200 Gb/sec (2X NDR)", "A"),
            ("4: ACTIVE", "400 Gb/sec (4X NDR)", "A"),
            ("1: DOWN", "10 Gb/sec (4X SDR)", "A"),
            ("4: ACTIVE", "100 Gb/sec (4X EDR)", "B"),
        ]
        .into_iter()
        .enumerate()
        {
            let at = format!("/sys/class/infiniband/mlx5_{number}");
            files.put(format!("{at}/board_id").as_bytes(), board.as_bytes());
            port(&mut files, &format!("{at}/ports/1"), state, rate, 0);
        }
        let sample = collect(&mut Infiniband::default(), files, 1);
        let peers = |name: &str| value(&sample, metric::INFINIBAND_PEERS_RATE, name);
        assert_eq!([peers("mlx5_0/1"), peers("mlx5_1/1")], [Some(5e10); 2]);
        assert_eq!([peers("mlx5_3/1"), peers("mlx5_4/1")], [None; 2]);
    }

    #[test]
    fn no_adapter_is_nothing_to_ask_and_a_broken_state_is_a_part() {
        let sample = collect(&mut Infiniband::default(), Fetched::new(), 1);
        assert!(sample.not_applicable.is_some());
        let mut files = Fetched::new();
        port(&mut files, PORT, "ACTIVE", "x", 0);
        let sample = collect(&mut Infiniband::default(), files, 1);
        assert_eq!(sample.missed.len(), 1);
        assert_eq!(value(&sample, metric::INFINIBAND_STATE, "mlx5_0/1"), None);
    }
}
