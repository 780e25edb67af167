//! What is remembered of processes between two scans, kept small: a hub holds it for every node.
//!
//! What must hold: processes are put in ascending order, as the table lists them.

use super::scan::ShortName;

/// All processes of one scan.
#[derive(Debug, Default)]
pub(super) struct KnownProcesses {
    /// Ascending by process id.
    all: Vec<Known>,
    /// Where patterns are looked for: the program of each, and which patterns it matches. In the same
    /// order.
    programs: Vec<(ShortName, u128)>,
}

#[derive(Debug)]
struct Known {
    pid: u32,
    start_ticks: u64,
    cpu_ticks: u64,
}

/// What an earlier scan saw of a process.
#[derive(Debug)]
pub(super) struct Earlier<'a> {
    pub(super) cpu_ticks: u64,
    /// Its name, which changes when it starts another program in its own place, and the patterns
    /// that its command line matches.
    pub(super) program: Option<&'a (ShortName, u128)>,
}

impl KnownProcesses {
    /// Room for the next scan, which finds about as many.
    pub(super) fn next(&self) -> Self {
        Self {
            all: Vec::with_capacity(self.all.len()),
            programs: Vec::with_capacity(self.programs.len()),
        }
    }

    /// What was seen of a process, unless another one has its number by now.
    pub(super) fn find(&self, pid: u32, start_ticks: u64) -> Option<Earlier<'_>> {
        let place = self.all.binary_search_by_key(&pid, |known| known.pid).ok()?;
        let known = self.all.get(place).filter(|known| known.start_ticks == start_ticks)?;
        Some(Earlier { cpu_ticks: known.cpu_ticks, program: self.programs.get(place) })
    }

    /// Remembers a process. Its number is above those before.
    pub(super) fn push(&mut self, pid: u32, start_ticks: u64, cpu_ticks: u64) {
        self.all.push(Known { pid, start_ticks, cpu_ticks });
    }

    /// Remembers what the process before runs; for all or for none.
    pub(super) fn push_program(&mut self, name: ShortName, matches: u128) {
        self.programs.push((name, matches));
    }

    /// Gives back what is not used.
    pub(super) fn shrink_to_fit(&mut self) {
        self.all.shrink_to_fit();
        self.programs.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_by_its_number_and_start() {
        let mut known = KnownProcesses::default();
        for (pid, start) in [(1, 10), (7, 70), (4_000_000, 5)] {
            known.push(pid, start, u64::from(pid) * 2);
        }
        for (pid, start, cpu_ticks) in
            [(1, 10, Some(2)), (7, 70, Some(14)), (7, 71, None), (2, 10, None)]
        {
            let found = known.find(pid, start);
            assert_eq!(found.as_ref().map(|earlier| earlier.cpu_ticks), cpu_ticks, "{pid} {start}");
            assert!(found.is_none_or(|earlier| earlier.program.is_none()));
        }
        let mut next = known.next();
        next.push(7, 70, 15);
        next.push_program(ShortName::new(b"python"), 0b10);
        next.shrink_to_fit();
        let program = next.find(7, 70).and_then(|earlier| earlier.program);
        assert_eq!(program, Some(&(ShortName::new(b"python"), 0b10)));
    }
}
