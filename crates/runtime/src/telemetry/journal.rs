//! Standard error as systemd's journal reads it: each line may begin with its priority.

use std::os::fd::AsFd;

/// Whether this stream goes to systemd's journal: systemd names the stream that it opened.
#[must_use]
pub fn is_journal(stream: impl AsFd) -> bool {
    let told = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let Ok(stat) = rustix::fs::fstat(stream) else { return false };
    is_named(&told, stat.st_dev, stat.st_ino)
}

fn is_named(told: &str, device: u64, inode: u64) -> bool {
    told == format!("{device}:{inode}")
}

/// What stands before a line of this level, as in `syslog(3)`.
#[must_use]
pub fn priority(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::ERROR => "<3>",
        tracing::Level::WARN => "<4>",
        tracing::Level::INFO => "<6>",
        _ => "<7>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_stream_is_the_journal() {
        assert!(is_named("9:1234", 9, 1234));
        for told in ["", "9", "9:12345", "8:1234", "1234:9", "nonsense"] {
            assert!(!is_named(told, 9, 1234), "{told:?}");
        }
        assert!(!is_journal(std::fs::File::open("/dev/null").expect("opens")));
    }
}
