//! `/metrics`: what is known now, for Prometheus and its kin.
//!
//! OpenMetrics 1.0, or the text format 0.0.4 for clients that know nothing else. Base units
//! (ratios, seconds, bytes, hertz), counters end in `_total`, enums are StateSets. A resource whose
//! readings are not fresh shows none: a scraper would take old numbers for new ones.
//!
//! What must hold: the number of series is limited; what is cut is counted in
//! `sickbay_exposition_cut_series` and `sickbay_exposition_cut_nodes`. The hub's own figures and the
//! fleet's sums are never cut. Nodes' verdicts go before all else that is known of them, and that is
//! shown of a node whole or not at all.
//!
//! What it does not do: keep values (it reads a snapshot), or push.

mod encoder;
mod fleet;
mod groups;
mod hub;
mod readings;
mod verdicts;

use std::sync::atomic::{AtomicU64, Ordering};

use sickbay_runtime::Clock;
use sickbay_wire::v1::HubStatus;

use crate::fleet::FleetSnapshot;
use crate::server::HttpCounters;
use encoder::{Encoder, Family, Type};

/// The media type of OpenMetrics.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type of the older text format.
pub const PLAIN_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Text,
}

/// Writes snapshots, with a limit on the number of series.
#[derive(Debug)]
pub struct Exposition {
    limit: usize,
    last_took_us: AtomicU64,
}

impl Exposition {
    /// An exposition of at most `limit` series, besides the hub's own.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, last_took_us: AtomicU64::new(0) }
    }

    /// The whole answer.
    #[must_use]
    pub fn encode(
        &self,
        format: Format,
        snapshot: &FleetSnapshot,
        hub: &HubStatus,
        counters: &HttpCounters,
        clock: &Clock,
    ) -> Vec<u8> {
        let began = clock.monotonic();
        let mut out = Encoder::new(format);
        hub::write(&mut out, hub, counters);
        fleet::write(&mut out, snapshot);
        out.limit_series(self.limit);
        let plan = groups::plan(snapshot, self.limit);
        verdicts::write(&mut out, &plan);
        readings::write(&mut out, &plan);
        let (written, beyond) = out.unlimit_series();
        debug_assert_eq!(beyond, 0, "the plan counts what is written");
        self.write_own(&mut out, written, plan.cut_series + beyond, plan.cut_groups);
        let text = out.finish();
        let took = clock.monotonic().saturating_sub(began).as_micros();
        self.last_took_us.store(u64::try_from(took).unwrap_or(u64::MAX), Ordering::Relaxed);
        text.into_bytes()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts and microseconds fit f64's 53 bits")]
    fn write_own(&self, out: &mut Encoder, written: usize, cut: usize, cut_nodes: usize) {
        let took = self.last_took_us.load(Ordering::Relaxed) as f64 / 1e6;
        for (name, unit, help, value) in [
            (
                "sickbay_exposition_series",
                None,
                "Series of resources in this answer.",
                written as f64,
            ),
            (
                "sickbay_exposition_cut_series",
                None,
                "Series left out of this answer because the limit was met.",
                cut as f64,
            ),
            (
                "sickbay_exposition_cut_nodes",
                None,
                "Nodes that are left out of this answer, or shown with their verdicts alone.",
                cut_nodes as f64,
            ),
            (
                "sickbay_exposition_limit_series",
                None,
                "The most series of resources that an answer may have.",
                self.limit as f64,
            ),
            (
                "sickbay_exposition_duration_seconds",
                Some("seconds"),
                "Time that the answer before this one took to write.",
                took,
            ),
        ] {
            out.family(&Family { name, kind: Type::Gauge, unit, help });
            out.sample(&[], value);
        }
    }
}
