//! A strict reader of OpenMetrics 1.0: panics at the first thing that the standard forbids.

use std::collections::{BTreeMap, BTreeSet};

/// What was read: samples by name and labels.
pub(crate) type Samples = BTreeMap<(String, BTreeMap<String, String>), f64>;

#[derive(Default)]
struct Family {
    name: String,
    kind: String,
    unit: Option<String>,
    helped: bool,
    samples: usize,
    stateset: BTreeMap<BTreeMap<String, String>, u32>,
}

/// Reads a whole exposition.
pub(crate) fn read(text: &str) -> Samples {
    let body = text.strip_suffix("# EOF\n").expect("ends in # EOF and a line feed");
    let mut samples = Samples::new();
    let mut seen = BTreeSet::new();
    let mut family = Family::default();
    for line in body.lines() {
        assert!(!line.is_empty() && !line.contains('\r'), "an empty line or a CR");
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (word, name, text) = (
                words.next().expect("a word"),
                words.next().expect("a name"),
                words.next().expect("a text"),
            );
            if name != family.name || family.samples > 0 {
                finish(&family);
                assert!(seen.insert(name.to_owned()), "{name}: a family in two pieces");
                family = Family { name: name.to_owned(), ..Family::default() };
                check_name(name);
            }
            describe(&mut family, word, text);
        } else {
            let (name, labels, value) = sample(line);
            check_sample(&mut family, &name, &labels, value);
            let twice = samples.insert((name, labels), value);
            assert!(twice.is_none(), "{line}: a series twice");
        }
    }
    finish(&family);
    check_clashes(&seen);
    samples
}

fn describe(family: &mut Family, word: &str, text: &str) {
    let name = family.name.clone();
    match word {
        "TYPE" => {
            let kinds = ["gauge", "counter", "stateset", "info"];
            assert!(kinds.contains(&text) && family.kind.is_empty(), "{name}: TYPE {text}");
            text.clone_into(&mut family.kind);
        }
        "UNIT" => {
            assert!(name.ends_with(&format!("_{text}")), "{name}: does not end in its unit {text}");
            assert!(["gauge", "counter"].contains(&family.kind.as_str()), "{name}: no unit here");
            family.unit = Some(text.to_owned());
        }
        "HELP" => {
            assert!(!family.helped && !text.is_empty(), "{name}: HELP twice or empty");
            family.helped = true;
            unescape(text);
        }
        other => panic!("{name}: # {other}"),
    }
}

fn finish(family: &Family) {
    if family.name.is_empty() {
        return;
    }
    assert!(family.helped && !family.kind.is_empty(), "{}: TYPE or HELP missing", family.name);
    assert!(family.samples > 0, "{}: no samples", family.name);
    for (labels, holding) in &family.stateset {
        assert_eq!(*holding, 1, "{} {labels:?}: one state holds", family.name);
    }
}

fn check_name(name: &str) {
    assert!(
        name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && name.starts_with("sickbay_")
            && !name.contains("__")
            && !name.ends_with('_'),
        "{name:?}"
    );
    for reserved in ["_total", "_info", "_created", "_count", "_sum", "_bucket"] {
        assert!(!name.ends_with(reserved), "{name}: a family's name may not end in {reserved}");
    }
    for unit in ["_percent", "_ms", "_milliseconds", "_megahertz", "_kilobytes"] {
        assert!(!name.contains(unit), "{name}: {unit} is no base unit");
    }
}

/// A counter's or info's sample may not have the name of another family.
fn check_clashes(names: &BTreeSet<String>) {
    for name in names {
        for suffix in ["_total", "_info", "_created"] {
            assert!(!names.contains(&format!("{name}{suffix}")), "{name}{suffix} clashes");
        }
    }
}

fn check_sample(family: &mut Family, name: &str, labels: &BTreeMap<String, String>, value: f64) {
    family.samples += 1;
    let expected = match family.kind.as_str() {
        "counter" => format!("{}_total", family.name),
        "info" => format!("{}_info", family.name),
        _ => family.name.clone(),
    };
    assert_eq!(name, expected, "a sample outside its family");
    match family.kind.as_str() {
        "counter" => assert!(value >= 0.0, "{name}: {value}"),
        "info" => assert!((value - 1.0).abs() < f64::EPSILON, "{name}: {value}"),
        "stateset" => {
            assert!(value == 0.0 || value == 1.0, "{name}: {value}");
            let mut others = labels.clone();
            others.remove(&family.name).expect("the state's label has the family's name");
            *family.stateset.entry(others).or_default() += u32::from(value == 1.0);
        }
        _ if family.unit.as_deref() == Some("ratio") => {
            assert!((0.0..=1.0).contains(&value), "{name}: {value} is no ratio");
        }
        _ => {}
    }
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let name_end = line.find(['{', ' ']).expect("a name and a value");
    let name = line[..name_end].to_owned();
    let mut rest = &line[name_end..];
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").expect("a label");
            assert!(
                label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                    && !label.starts_with("__")
                    && !label.starts_with(|c: char| c.is_ascii_digit())
                    && !["le", "quantile", "instance", "job"].contains(&label),
                "{line}: label {label:?}"
            );
            let end = closing_quote(after);
            let twice = labels.insert(label.to_owned(), unescape(&after[..end]));
            assert!(twice.is_none(), "{line}: label {label} twice");
            rest = &after[end + 1..];
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = rest.strip_prefix(',').expect("a comma between labels");
        }
    }
    let value = rest.strip_prefix(' ').expect("one space before the value");
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        number => {
            assert!(number.bytes().all(|b| b"0123456789+-.eE".contains(&b)), "{line}");
            number.parse().expect("a number")
        }
    };
    (name, labels, value)
}

fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    panic!("{text:?}: no closing quote");
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                other => panic!("{text:?}: \\{other:?}"),
            },
            '"' => panic!("{text:?}: a bare quote"),
            other => other,
        });
    }
    out
}
