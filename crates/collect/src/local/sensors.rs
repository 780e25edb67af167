//! Temperatures of the host's sensors.
//!
//! From hwmon; where it has none, from the kernel's thermal zones (many ARM machines). Some chips
//! take milliseconds to answer and a failing disk may never: this runs in the killable child.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sickbay_model::catalogue::{TEMPERATURE, TEMPERATURE_CRITICAL};
use sickbay_model::{ProbeError, ProbeErrorKind, ProbeId, probe};

use super::LocalCollector;
use super::read::{SMALL_LIMIT, small_fact};
use crate::parse::sysfs;
use crate::{Files, Roots, Sample};

/// The most chips that are asked.
const MAX_CHIPS: usize = 256;

/// The most sensors of one chip that are asked.
const MAX_SENSORS_PER_CHIP: usize = 256;

/// The longest name of a chip or sensor that is kept, in characters.
const MAX_NAME_CHARACTERS: usize = 48;

/// Critical limits outside this range, in degrees Celsius, mean that there is none.
const PLAUSIBLE_LIMIT: std::ops::Range<f64> = 1.0..1000.0;

/// Collects temperatures.
#[derive(Debug, Default)]
pub(super) struct Sensors {
    buffer: Vec<u8>,
    /// Names that several chips were seen to share. Remembered, so that a sensor keeps its name when
    /// one of them disappears.
    shared: HashSet<String>,
}

/// How many sensors answered, and how the last one failed that did not.
#[derive(Debug, Default)]
struct Tally {
    answered: u32,
    failed: u32,
    last_failure: String,
}

impl LocalCollector for Sensors {
    fn probe(&self) -> ProbeId {
        probe::SENSORS
    }

    fn collect(
        &mut self,
        roots: &Roots,
        _monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let mut tally = Tally::default();
        self.collect_hwmon(&roots.files, &roots.sys.join("class/hwmon"), &mut tally, out);
        if tally.answered == 0 {
            self.collect_zones(&roots.files, &roots.sys.join("class/thermal"), &mut tally, out);
        }
        match tally {
            Tally { answered: 0, failed: 0, .. } => {
                out.set_not_applicable("this machine shows no temperature sensors");
                Ok(())
            }
            Tally { answered: 0, failed, last_failure } => Err(ProbeError {
                kind: ProbeErrorKind::Failed,
                message: format!(
                    "none of {failed} temperature sensors answered; the last: {last_failure}"
                ),
                advice: None,
            }),
            // A sensor that is not wired up answers with an error for ever: nothing to speak of.
            _ => Ok(()),
        }
    }
}

impl Sensors {
    fn collect_hwmon(
        &mut self,
        files: &Files,
        directory: &Path,
        tally: &mut Tally,
        out: &mut Sample,
    ) {
        let chips: Vec<(String, PathBuf)> = sorted(files, directory, "hwmon")
            .into_iter()
            .map(|path| (self.chip_name(files, &path), path))
            .collect();
        for (place, (name, _)) in chips.iter().enumerate() {
            if chips.iter().skip(place + 1).any(|(other, _)| other == name) {
                self.shared.insert(name.clone());
            }
        }
        for (name, path) in &chips {
            let chip = match device_name(files, path).filter(|_| self.shared.contains(name)) {
                Some(device) => format!("{name}-{device}"),
                None => name.clone(),
            };
            self.collect_chip(files, &chip, path, tally, out);
        }
    }

    fn chip_name(&mut self, files: &Files, path: &Path) -> String {
        self.text(files, &path.join("name"))
            .filter(|name| !name.is_empty())
            .or_else(|| {
                path.file_name().map(|name| sysfs::text(name.as_bytes(), MAX_NAME_CHARACTERS))
            })
            .unwrap_or_default()
    }

    fn collect_chip(
        &mut self,
        files: &Files,
        chip: &str,
        path: &Path,
        tally: &mut Tally,
        out: &mut Sample,
    ) {
        for sensor in temperature_inputs(files, path).into_iter().take(MAX_SENSORS_PER_CHIP) {
            let Some(value) =
                self.temperature(files, &path.join(format!("temp{sensor}_input")), tally)
            else {
                continue;
            };
            let label = self
                .text(files, &path.join(format!("temp{sensor}_label")))
                .filter(|label| !label.is_empty())
                .unwrap_or_else(|| format!("temp{sensor}"));
            let instance = format!("{chip}/{label}");
            out.put(TEMPERATURE, &instance, value);
            let critical = small_fact(
                files,
                &path.join(format!("temp{sensor}_crit")),
                &mut self.buffer,
                |bytes| sysfs::parse_temperature(bytes).ok(),
            );
            // Chips without a limit say zero, or the largest number of their register (65 261.85 °C).
            let critical = critical.flatten().filter(|limit| PLAUSIBLE_LIMIT.contains(limit));
            out.put_some(TEMPERATURE_CRITICAL, &instance, critical);
        }
    }

    fn collect_zones(
        &mut self,
        files: &Files,
        directory: &Path,
        tally: &mut Tally,
        out: &mut Sample,
    ) {
        let mut seen = HashSet::new();
        for path in sorted(files, directory, "thermal_zone") {
            let Some(value) = self.temperature(files, &path.join("temp"), tally) else { continue };
            let number =
                path.file_name().map(|name| sysfs::text(name.as_bytes(), MAX_NAME_CHARACTERS));
            let number = number.unwrap_or_default();
            let kind = self.text(files, &path.join("type")).unwrap_or_else(|| number.clone());
            let instance = if seen.insert(kind.clone()) {
                format!("thermal/{kind}")
            } else {
                format!("thermal/{kind}-{number}")
            };
            out.put(TEMPERATURE, &instance, value);
        }
    }

    fn temperature(&mut self, files: &Files, path: &Path, tally: &mut Tally) -> Option<f64> {
        let outcome = match files.read_start(path, &mut self.buffer, SMALL_LIMIT) {
            Ok(bytes) => sysfs::parse_temperature(bytes).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match outcome {
            Ok(value) => {
                tally.answered += 1;
                Some(value)
            }
            Err(error) => {
                tally.failed += 1;
                tally.last_failure = format!("{}: {error}", path.display());
                None
            }
        }
    }

    fn text(&mut self, files: &Files, path: &Path) -> Option<String> {
        small_fact(files, path, &mut self.buffer, |bytes| sysfs::text(bytes, MAX_NAME_CHARACTERS))
    }
}

/// The entries `PREFIXnumber` of a directory, by number.
fn sorted(files: &Files, directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(names) = files.list(directory) else { return Vec::new() };
    let numbered: BTreeMap<u32, PathBuf> = names
        .iter()
        .filter_map(|name| {
            let number = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, directory.join(name)))
        })
        .take(MAX_CHIPS)
        .collect();
    numbered.into_values().collect()
}

/// The numbers of a chip's `temp*_input` files, ascending.
fn temperature_inputs(files: &Files, path: &Path) -> Vec<u32> {
    let Ok(names) = files.list(path) else { return Vec::new() };
    let mut numbers: Vec<u32> = names
        .iter()
        .filter_map(|name| {
            name.to_str()?.strip_prefix("temp")?.strip_suffix("_input")?.parse().ok()
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

/// What the chip belongs to (`nvme3`, `0000:00:18.3`): the last part of its `device` link.
fn device_name(files: &Files, path: &Path) -> Option<String> {
    let target = files.link(&path.join("device")).ok()?;
    Some(sysfs::text(target.file_name()?.as_bytes(), MAX_NAME_CHARACTERS))
}
