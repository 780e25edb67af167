//! What one collection of this machine costs, collector by collector, in CPU time.
//!
//! `cargo run --release -p sickbay-collect --example collectors [PASSES] [ROOT]`; with a root, a
//! recorded tree is read in the place of this machine.
#![expect(clippy::print_stdout, reason = "it is a program for people")]

use std::path::Path;

use sickbay_collect::local::registry::{self, Place};
use sickbay_collect::{Roots, Sample};
use sickbay_runtime::{Clock, cost};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let passes: u32 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1000);
    let roots = arguments.next().map_or_else(Roots::default, |root| Roots::under(Path::new(&root)));
    let clock = Clock::system();
    let mut sample = Sample::default();
    let mut entries = registry::all(&[]);
    let mut in_process = 0.0;
    println!("{:<16} {:<10} {:>12} {:>9}", "collector", "place", "µs per pass", "readings");
    for entry in &mut entries {
        let before = cost::own_cpu_time();
        for _ in 0..passes {
            sample.clear();
            if let Err(error) = entry.collector.collect(&roots, clock.monotonic(), &mut sample) {
                println!("{}: {error}", entry.collector.probe());
                break;
            }
        }
        let spent = cost::own_cpu_time().saturating_sub(before);
        let micros = spent.as_secs_f64() * 1e6 / f64::from(passes);
        if entry.place == Place::InProcess {
            in_process += micros;
        }
        println!(
            "{:<16} {:<10} {micros:>12.1} {:>9}",
            entry.collector.probe().as_str(),
            format!("{:?}", entry.place),
            sample.readings.len()
        );
    }
    println!("in-process set: {in_process:.1} µs per collection");
}
