//! Every collector over the machine that runs this test.
#![cfg(target_os = "linux")]

use std::time::Duration;

use sickbay_collect::local::registry;
use sickbay_collect::{Roots, Sample};
use sickbay_model::catalogue;

#[test]
fn every_reading_of_this_machine_can_be_true() {
    let roots = Roots::default();
    for mut entry in registry::all(&[]) {
        let mut sample = Sample::default();
        for second in [1, 6] {
            sample.clear();
            let outcome = entry.collector.collect(&roots, Duration::from_secs(second), &mut sample);
            assert_eq!(outcome, Ok(()), "{entry:?}");
        }
        for reading in &sample.readings {
            let def = catalogue::find(reading.metric).unwrap();
            assert!(def.accepts(reading.value), "{reading:?}");
        }
        assert!(
            !sample.readings.is_empty()
                || sample.facts.kernel_log.is_some()
                || sample.not_applicable.is_some(),
            "{entry:?} says nothing"
        );
    }
}

#[test]
fn this_machine_has_what_every_machine_has() {
    let roots = Roots::default();
    let mut seen = Vec::new();
    for mut entry in registry::all(&[]) {
        let mut sample = Sample::default();
        let _ = entry.collector.collect(&roots, Duration::from_secs(1), &mut sample);
        seen.extend(sample.readings.into_iter().map(|reading| reading.metric));
    }
    for metric in [
        catalogue::CPU_CORES,
        catalogue::LOAD_1M,
        catalogue::MEMORY_TOTAL,
        catalogue::MEMORY_USED,
        catalogue::FILESYSTEM_USED,
        catalogue::UPTIME,
        catalogue::FILE_HANDLES,
        catalogue::PROCESSES,
    ] {
        assert!(seen.contains(&metric), "{metric:?}");
    }
}
