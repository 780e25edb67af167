//! A machine whose GPUs are a scenario of the fake NVML, and its collector.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part")]
#![allow(clippy::expect_used, reason = "helpers of tests")]

use std::fmt::Write as _;
use std::time::Duration;

use expect_test::Expect;
use sickbay_collect::gpu::NvidiaCollector;
use sickbay_collect::local::LocalCollector as _;
use sickbay_collect::{Roots, Sample};
use sickbay_model::{ProbeError, catalogue};
use sickbay_sim_nvml::{FakeNvml, fixture};
use tempfile::TempDir;

/// A machine whose GPUs are a scenario, and its collector.
pub struct Machine {
    pub collector: NvidiaCollector,
    pub fake: FakeNvml,
    pub monotonic: Duration,
    pub directory: TempDir,
}

impl Machine {
    pub fn with(scenario: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let fake = FakeNvml::install(directory.path(), &fixture(scenario)).expect("installed");
        let collector = NvidiaCollector::new(Some(fake.library()));
        Self { directory, fake, collector, monotonic: Duration::from_secs(100) }
    }

    pub fn poll(&mut self) -> Result<Sample, ProbeError> {
        let mut sample = Sample::default();
        let roots = Roots::under(self.directory.path());
        self.collector.collect(&roots, self.monotonic, &mut sample)?;
        self.monotonic += Duration::from_secs(5);
        Ok(sample)
    }

    pub fn becomes(&self, scenario: &str) {
        self.fake.set(&fixture(scenario)).expect("written");
    }
}

/// All readings of one GPU, its links included, one metric a line.
pub fn readings(sample: &Sample, gpu: &str) -> String {
    let mut text = String::new();
    for reading in &sample.readings {
        let of_gpu = &*reading.instance == gpu;
        // The first and the last link stand for all.
        let of_link = [format!("{gpu}/0"), format!("{gpu}/17"), format!("{gpu}/11")]
            .contains(&reading.instance.to_string());
        if of_gpu || of_link {
            let name = catalogue::find(reading.metric).map_or("?", |def| def.name);
            let _ = writeln!(text, "{:5} {name} = {}", reading.instance, reading.value);
        }
    }
    text
}

/// What the inventory says of each GPU.
pub fn inventory(sample: &Sample) -> String {
    let mut text = String::new();
    for gpu in sample.facts.gpus.as_deref().unwrap_or_default() {
        let _ = writeln!(
            text,
            "{} {} {} {} {:?}{}{}",
            gpu.index,
            gpu.model,
            gpu.uuid,
            gpu.pci_address,
            gpu.condition,
            if gpu.mig_enabled { " MIG" } else { "" },
            gpu.unreadable.iter().map(|remark| format!("\n  ! {remark}")).collect::<String>(),
        );
    }
    text
}

/// How many readings each GPU has, links apart.
pub fn counts(sample: &Sample) -> String {
    let gpus = sample.facts.gpus.as_deref().unwrap_or_default();
    let count = |instance: &str| {
        sample.readings.iter().filter(|reading| &*reading.instance == instance).count()
    };
    gpus.iter().map(|gpu| format!("{} ", count(&gpu.index.to_string()))).collect()
}

pub fn check(actual: &str, expected: Expect) {
    expected.assert_eq(actual);
}
