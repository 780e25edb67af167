//! What the monitor costs: CPU time, memory, open files.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// CPU time of this process and of its children that are gone and were waited for.
#[must_use]
pub fn own_cpu_time() -> Duration {
    process_cpu_time() + reaped_children_cpu_time().unwrap_or_default()
}

/// CPU time of this process alone, all its threads together.
#[must_use]
pub fn process_cpu_time() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

/// CPU time of the calling thread.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

/// CPU time that a living process has used; `None` where the system does not say. To the nanosecond
/// for a process with one thread, to the kernel's tick (10 ms) for others.
#[must_use]
pub fn cpu_time_of(pid: u32) -> Option<Duration> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // Field 20 of proc(5).
    if stat_field(&stat, 20)? == 1 {
        let precise = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok();
        let nanoseconds =
            precise.and_then(|text| text.split_ascii_whitespace().next()?.parse().ok());
        if let Some(nanoseconds) = nanoseconds {
            return Some(Duration::from_nanos(nanoseconds));
        }
    }
    ticks(stat_field(&stat, 14)?.checked_add(stat_field(&stat, 15)?)?)
}

/// Runs a future and measures the CPU time of its polls, wherever they happen.
pub async fn metered<Run: Future>(run: Run) -> (Run::Output, Duration) {
    let mut run = pin!(run);
    let mut spent = Duration::ZERO;
    let output = poll_fn(|context| {
        let before = thread_cpu_time();
        let polled = run.as_mut().poll(context);
        spent += thread_cpu_time().saturating_sub(before);
        polled
    })
    .await;
    (output, spent)
}

/// Resident memory of a process, in bytes; `None` where the system does not say.
#[must_use]
pub fn rss_bytes(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

/// How many files this process holds open; `None` where the system does not say.
#[must_use]
pub fn open_files() -> Option<u64> {
    // One of them is the directory being read.
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count().checked_sub(1)?;
    u64::try_from(count).ok()
}

/// Fields 16 and 17 of `/proc/self/stat`.
fn reaped_children_cpu_time() -> Option<Duration> {
    let stat = std::fs::read("/proc/self/stat").ok()?;
    ticks(stat_field(&stat, 16)?.checked_add(stat_field(&stat, 17)?)?)
}

/// A field of `/proc/PID/stat`, numbered as proc(5) does, from the fourth on.
fn stat_field(stat: &[u8], number: usize) -> Option<u64> {
    // The name, in parentheses, may hold anything: count from its end, where field 3 follows.
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    fields.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn ticks(ticks: u64) -> Option<Duration> {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis(ticks.checked_mul(1000)?.checked_div(per_second)?))
}

fn duration(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burn(time: Duration) {
        let start = thread_cpu_time();
        while thread_cpu_time() - start < time {
            std::hint::black_box(0);
        }
    }

    #[tokio::test]
    async fn only_the_polls_are_metered() {
        let work = Duration::from_millis(3);
        let (answer, spent) = metered(async {
            burn(work);
            tokio::time::sleep(Duration::from_millis(20)).await;
            burn(work);
            42
        })
        .await;
        assert_eq!(answer, 42);
        assert!((work * 2..work * 4).contains(&spent), "{spent:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_says_what_this_process_costs() {
        let before = own_cpu_time();
        burn(Duration::from_millis(2));
        assert!(own_cpu_time() - before >= Duration::from_millis(2));
        assert!(rss_bytes(std::process::id()).expect("own memory") > 100_000);
        assert_eq!(rss_bytes(u32::MAX), None);
        let files = open_files().expect("own files");
        let _one_more = std::fs::File::open("/dev/null").expect("opens");
        assert!(files >= 3 && open_files().expect("own files") > files);
        assert!(reaped_children_cpu_time().is_some());
        assert!(cpu_time_of(std::process::id()).is_some());
        assert_eq!(cpu_time_of(u32::MAX), None);
    }

    #[test]
    fn fields_are_counted_from_the_end_of_the_name() {
        let stat = b"7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 14 15 16 17 20 0 1 0 99";
        for (number, value) in [(4, Some(1)), (14, Some(14)), (17, Some(17)), (20, Some(1))] {
            assert_eq!(stat_field(stat, number), value, "{number}");
        }
        for (stat, number) in [(&b""[..], 14), (b"7 (a", 14), (b"7 (a) S", 14), (stat, 0)] {
            assert_eq!(stat_field(stat, number), None);
        }
    }
}
