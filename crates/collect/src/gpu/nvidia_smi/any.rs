//! What holds whatever `nvidia-smi` prints; for fuzzing and for properties.

use sickbay_model::catalogue;

use super::{Answers, NvidiaSmi, fields, wanted_fields};
use crate::{Fetched, Roots, Sample};

/// The answer about GPUs up to a zero byte, about processes up to the next, then about
/// remapped rows, then about details.
pub(crate) fn any_bytes(bytes: &[u8]) {
    let chosen = wanted_fields(bytes);
    assert!(chosen.iter().all(|name| fields::of_name(name).is_some()));
    let everything = fields::everything();
    let first_line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let cells = first_line.iter().filter(|&&byte| byte == b',').count() + 1;
    let chosen: Vec<_> = match bytes.len() % 3 {
        0 => everything,
        // As many as the first line has, so that it is a row.
        1 => everything.into_iter().take(cells).collect(),
        _ => vec!["name", "index", "uuid", "count", "pci.bus_id", "power.draw"],
    };
    let mut parts = bytes.split(|&byte| byte == 0);
    let answers = Answers {
        fields: &chosen,
        gpus: parts.next().unwrap_or_default(),
        apps: parts.next(),
        remapped_rows: parts.next(),
        details: parts.next(),
    };
    let roots = Roots::fetched(Fetched::new());
    let mut asked = NvidiaSmi::default();
    for _ in 0..2 {
        let mut sample = Sample::default();
        match asked.sample(&roots, &answers, &mut sample) {
            Ok(()) => {
                let gpus = sample.facts.gpus.as_deref().unwrap_or_default();
                let mut indices: Vec<_> = gpus.iter().map(|gpu| gpu.index).collect();
                indices.dedup();
                assert_eq!(indices.len(), gpus.len(), "no two have one index");
                for reading in &sample.readings {
                    let def = catalogue::find(reading.metric);
                    assert!(def.is_some() && reading.value.is_finite());
                }
            }
            Err(error) => {
                assert!(sample.readings.is_empty(), "nothing is put where there is no answer");
                assert!(error.message.chars().count() < 1000);
                assert!(!error.message.chars().any(char::is_control));
            }
        }
    }
}
