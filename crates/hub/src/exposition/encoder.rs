//! Writes metric families in either format, escaping what must be and counting what is cut.

use std::fmt::Write;

use super::Format;

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Goes up and down.
    Gauge,
    /// Goes up; its one sample's name ends in `_total`.
    Counter,
    /// One of several states; one sample each, 1 for the one that holds.
    StateSet,
    /// Constant labels; its one sample's name ends in `_info`.
    Info,
}

/// What is said of a family before its samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family<'f> {
    /// Its name, without `_total` or `_info`.
    pub(super) name: &'f str,
    /// What it is.
    pub(super) kind: Type,
    /// Its unit; the name ends in it.
    pub(super) unit: Option<&'f str>,
    /// Its meaning, in one sentence.
    pub(super) help: &'f str,
}

/// The text so far.
pub(super) struct Encoder {
    out: String,
    format: Format,
    /// The sample's name and the state's label of the family that is being written.
    sample_name: String,
    state_label: String,
    /// The family's head, written before its first sample: a family without samples leaves no trace.
    head: String,
    limit: usize,
    series: usize,
    cut: usize,
}

impl Encoder {
    pub(super) fn new(format: Format) -> Self {
        Self {
            out: String::with_capacity(64 * 1024),
            format,
            sample_name: String::new(),
            state_label: String::new(),
            head: String::new(),
            limit: usize::MAX,
            series: 0,
            cut: 0,
        }
    }

    /// From here on at most this many series are written.
    pub(super) fn limit_series(&mut self, limit: usize) {
        self.limit = limit;
        self.series = 0;
        self.cut = 0;
    }

    /// Ends the limit: how many series were written under it, and how many were cut.
    pub(super) fn unlimit_series(&mut self) -> (usize, usize) {
        self.limit = usize::MAX;
        (self.series, self.cut)
    }

    /// Begins a family. A family must be begun once, with all its samples following.
    pub(super) fn family(&mut self, family: &Family<'_>) {
        let Family { name, kind, unit, help } = *family;
        let suffix = match kind {
            Type::Counter => "_total",
            Type::Info => "_info",
            Type::Gauge | Type::StateSet => "",
        };
        self.sample_name.clear();
        self.sample_name.push_str(name);
        self.sample_name.push_str(suffix);
        self.state_label.clear();
        self.state_label.push_str(name);
        self.head.clear();
        let (headed, word) = match (self.format, kind) {
            (Format::OpenMetrics, Type::Gauge) => (name, "gauge"),
            (Format::OpenMetrics, Type::Counter) => (name, "counter"),
            (Format::OpenMetrics, Type::StateSet) => (name, "stateset"),
            (Format::OpenMetrics, Type::Info) => (name, "info"),
            (Format::Text, Type::Counter) => (self.sample_name.as_str(), "counter"),
            (Format::Text, _) => (self.sample_name.as_str(), "gauge"),
        };
        let _ = writeln!(self.head, "# TYPE {headed} {word}");
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            let _ = writeln!(self.head, "# UNIT {headed} {unit}");
        }
        let _ = write!(self.head, "# HELP {headed} ");
        escape(&mut self.head, help.trim(), self.format == Format::OpenMetrics);
        self.head.push('\n');
    }

    /// Writes a sample of the family begun last.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        if !self.admit() {
            return;
        }
        self.out.push_str(&self.sample_name);
        let mut separator = '{';
        for (name, text) in labels {
            self.out.push(separator);
            separator = ',';
            label(&mut self.out, name, text);
        }
        if separator == ',' {
            self.out.push('}');
        }
        self.value(value);
    }

    /// Writes a sample whose labels are escaped already (`a="b",c="d"`).
    pub(super) fn sample_escaped(&mut self, labels: &str, value: f64) {
        if !self.admit() {
            return;
        }
        self.out.push_str(&self.sample_name);
        if !labels.is_empty() {
            self.out.push('{');
            self.out.push_str(labels);
            self.out.push('}');
        }
        self.value(value);
    }

    /// Writes all samples of a StateSet, or none.
    pub(super) fn states(&mut self, labels: &[(&str, &str)], states: &[&str], now: &str) {
        if self.series.saturating_add(states.len()) > self.limit {
            self.cut += states.len();
            return;
        }
        let name = std::mem::take(&mut self.state_label);
        for state in states {
            let mut all = labels.to_vec();
            all.push((&name, state));
            self.sample(&all, if *state == now { 1.0 } else { 0.0 });
        }
        self.state_label = name;
    }

    /// The text, ended as its format wants.
    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    /// Counts a series; says whether it may be written.
    fn admit(&mut self) -> bool {
        if self.series >= self.limit {
            self.cut += 1;
            return false;
        }
        self.series += 1;
        self.out.push_str(&self.head);
        self.head.clear();
        true
    }

    fn value(&mut self, value: f64) {
        let _ = if value.is_nan() {
            self.out.write_str(" NaN")
        } else if value.is_infinite() {
            self.out.write_str(if value > 0.0 { " +Inf" } else { " -Inf" })
        } else {
            write!(self.out, " {value}")
        };
        self.out.push('\n');
    }
}

/// Writes `name="value"`, escaped.
pub(super) fn label(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push_str("=\"");
    escape(out, value, true);
    out.push('"');
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(kind: Type) -> Family<'static> {
        Family { name: "a_seconds", kind, unit: Some("seconds"), help: "Says \"hi\"\\\n." }
    }

    #[test]
    fn both_formats() {
        for (format, expected) in [
            (
                Format::OpenMetrics,
                "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
                 # HELP a_seconds Says \\\"hi\\\"\\\\\\n.\n\
                 a_seconds_total{x=\"\\\"\\\\\\n\"} 0.5\na_seconds_total +Inf\n# EOF\n",
            ),
            (
                Format::Text,
                "# TYPE a_seconds_total counter\n# HELP a_seconds_total Says \"hi\"\\\\\\n.\n\
                 a_seconds_total{x=\"\\\"\\\\\\n\"} 0.5\na_seconds_total +Inf\n",
            ),
        ] {
            let mut out = Encoder::new(format);
            out.family(&family(Type::Counter));
            out.sample(&[("x", "\"\\\n")], 0.5);
            out.sample_escaped("", f64::INFINITY);
            assert_eq!(out.finish(), expected);
        }
    }

    #[test]
    fn the_limit_cuts_whole_state_sets_and_counts() {
        let mut out = Encoder::new(Format::Text);
        out.limit_series(3);
        out.family(&family(Type::StateSet));
        out.states(&[], &["on", "off"], "on");
        out.states(&[("x", "2")], &["on", "off"], "on");
        out.family(&Family { name: "b", kind: Type::Gauge, unit: None, help: "B." });
        out.sample(&[], 1.0);
        out.sample(&[("x", "2")], 1.0);
        assert_eq!(out.unlimit_series(), (3, 3));
        let text = out.finish();
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 3, "{text}");
        assert!(text.contains("a_seconds{a_seconds=\"off\"} 0\n"), "{text}");
    }

    #[test]
    fn a_family_without_samples_leaves_no_trace() {
        let mut out = Encoder::new(Format::Text);
        out.family(&family(Type::Gauge));
        assert_eq!(out.finish(), "");
    }
}
