//! What can be wrong with a host.

use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

/// How a host behaves towards those who connect and ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Behaviour {
    /// As it should.
    #[default]
    Well,
    /// As it should, and no job runs on it.
    Idle,
    /// Connections are accepted, and nothing is ever said.
    Silent,
    /// Connections are closed at once, and open ones at the next question.
    Gone,
    /// No key is accepted.
    Refuses,
    /// Answers end in the middle, and the channel with them.
    Cut,
    /// `nvidia-smi` does not answer.
    GpuHangs,
    /// One GPU fell off the bus.
    GpuLost,
    /// The root filesystem is full.
    DiskFull,
}

impl Behaviour {
    /// All of them, with their words.
    pub const ALL: [(&'static str, Self); 9] = [
        ("well", Self::Well),
        ("idle", Self::Idle),
        ("silent", Self::Silent),
        ("gone", Self::Gone),
        ("refuses", Self::Refuses),
        ("cut", Self::Cut),
        ("gpu_hangs", Self::GpuHangs),
        ("gpu_lost", Self::GpuLost),
        ("disk_full", Self::DiskFull),
    ];
}

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|(word, _)| *word == text);
        known.map(|(_, behaviour)| behaviour).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|(word, _)| *word).collect();
            format!("{text:?} is no behaviour; there are {}", words.join(", "))
        })
    }
}

/// A behaviour that can be changed while the host runs.
#[derive(Debug, Default)]
pub(crate) struct Changeable(AtomicU8);

impl Changeable {
    pub(crate) fn get(&self) -> Behaviour {
        let number = self.0.load(Ordering::Relaxed);
        let known = Behaviour::ALL.into_iter().find(|(_, one)| *one as u8 == number);
        known.map_or(Behaviour::Well, |(_, behaviour)| behaviour)
    }

    pub(crate) fn set(&self, behaviour: Behaviour) {
        self.0.store(behaviour as u8, Ordering::Relaxed);
    }
}
