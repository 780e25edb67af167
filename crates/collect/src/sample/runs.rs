//! Readings on the pipe: `[["0",208,92.0,209,95.0],["1",208,91.0]]`, a run per instance.
//!
//! Readings of one instance come one after the other, so its name stands once and no field has one:
//! a third of the bytes, and of the time, of one object per reading.

use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use sickbay_model::{MetricId, Reading};

pub(super) fn serialize<S: Serializer>(readings: &[Reading], to: S) -> Result<S::Ok, S::Error> {
    let runs = readings.chunk_by(|one, next| one.instance == next.instance);
    let mut list = to.serialize_seq(None)?;
    for run in runs {
        list.serialize_element(&Run(run))?;
    }
    list.end()
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Reading>, D::Error> {
    from.deserialize_seq(Runs)
}

/// Readings of one instance.
struct Run<'a>(&'a [Reading]);

impl serde::Serialize for Run<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(1 + 2 * self.0.len()))?;
        list.serialize_element(self.0.first().map_or("", |reading| &reading.instance))?;
        for reading in self.0 {
            list.serialize_element(&reading.metric)?;
            list.serialize_element(&reading.value)?;
        }
        list.end()
    }
}

struct Runs;

impl<'de> Visitor<'de> for Runs {
    type Value = Vec<Reading>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("runs of readings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut readings = Vec::new();
        while list.next_element_seed(RunInto(&mut readings))?.is_some() {}
        Ok(readings)
    }
}

/// Reads one run to the end of the list.
struct RunInto<'list>(&'list mut Vec<Reading>);

impl<'de> DeserializeSeed<'de> for RunInto<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RunInto<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an instance, then metrics and values in turn")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut run: A) -> Result<(), A::Error> {
        let nameless = || A::Error::custom("a run of readings names no instance");
        let instance: Arc<str> = run.next_element()?.ok_or_else(nameless)?;
        while let Some(metric) = run.next_element::<MetricId>()? {
            let valueless = || A::Error::custom(format!("{metric:?} has no value"));
            let value = run.next_element()?.ok_or_else(valueless)?;
            self.0.push(Reading { metric, instance: Arc::clone(&instance), value });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Sample;

    #[test]
    fn nonsense_is_refused() {
        for (readings, reason) in [
            ("[[]]", "names no instance"),
            ("[[\"\",1]]", "cpu_used_percent has no value"),
            ("[[\"\",1,null]]", "expected f64"),
            ("[[1,2.0]]", "expected a string"),
            ("[[\"\",-1,2.0]]", "expected u16"),
            ("[\"\"]", "metrics and values in turn"),
            ("{}", "expected runs of readings"),
        ] {
            let line = format!("{{\"readings\":{readings}}}");
            let error = serde_json::from_str::<Sample>(&line).expect_err(readings);
            assert!(error.to_string().contains(reason), "{readings}: {error}");
        }
    }
}
