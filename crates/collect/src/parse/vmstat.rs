//! `/proc/vmstat`: swapping and kills for lack of memory.

use super::scan::{fields, lines, unsigned};
use super::{ParseError, bounded};

const FILE: &str = "/proc/vmstat";

/// Counters since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VmStat {
    /// Pages swapped in.
    pub swap_in_pages: Option<u64>,
    /// Pages swapped out.
    pub swap_out_pages: Option<u64>,
    /// Processes killed for lack of memory; since Linux 4.13.
    pub oom_kills: Option<u64>,
}

/// Parses `/proc/vmstat`.
///
/// # Errors
/// When the file is empty or a known line holds no number that fits.
pub fn parse(bytes: &[u8]) -> Result<VmStat, ParseError> {
    let mut stat = VmStat::default();
    if bytes.is_empty() {
        return Err(ParseError::whole(FILE, "the file is empty"));
    }
    for (number, line) in lines(bounded(FILE, bytes)?) {
        // Three of some 180 lines matter, and this is asked at every collection.
        if !matches!(line.first(), Some(b'p' | b'o')) {
            continue;
        }
        let mut words = fields(line);
        let (column, name) = match words.next() {
            Some(b"pswpin") => (&mut stat.swap_in_pages, "pswpin"),
            Some(b"pswpout") => (&mut stat.swap_out_pages, "pswpout"),
            Some(b"oom_kill") => (&mut stat.oom_kills, "oom_kill"),
            _ => continue,
        };
        let field = words.text(FILE, number, name)?;
        *column = match unsigned(field) {
            Some(value) => Some(value),
            None => return Err(ParseError::number(FILE, number, name, field)),
        };
    }
    Ok(stat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_counters_out_of_many() {
        let stat =
            parse(b"nr_free_pages 1\npswpin 12\npswpout 7 x\noom_kill 3\noom_killer x\n").unwrap();
        assert_eq!(
            (stat.swap_in_pages, stat.swap_out_pages, stat.oom_kills),
            (Some(12), Some(7), Some(3))
        );
        assert_eq!(parse(b"pswpin 1\n").unwrap().oom_kills, None);
        for (input, expected) in [
            (&b""[..], "/proc/vmstat: the file is empty"),
            (b"pswpin", "/proc/vmstat, line 1: pswpin is missing"),
            (b"a 1\noom_kill ?", "/proc/vmstat, line 2: oom_kill is not a number that fits: \"?\""),
        ] {
            assert_eq!(parse(input).unwrap_err().to_string(), expected);
        }
    }
}
