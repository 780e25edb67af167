//! Asking one GPU one thing, and what an error means for the next question.

use nvml_wrapper::error::NvmlError;
use sickbay_model::GpuCondition;

/// What is asked of a GPU, each remembered on its own when the model does not support it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Query {
    Name,
    Uuid,
    Serial,
    VbiosVersion,
    PciAddress,
    MigMode,
    MemoryTotal,
    SlowdownLimit,
    ShutdownLimit,
    MaxClock,
    MaxPcieGeneration,
    MaxPcieWidth,
    Fans,
    NvLinkCount,
    NvLinkState,
    NvLinkErrors,
    PowerLimit,
    Utilization,
    Memory,
    Temperature,
    Margin,
    Power,
    FanSpeed,
    Clock,
    MemoryClock,
    ThrottleReasons,
    PerformanceState,
    PcieGeneration,
    PcieWidth,
    Processes,
    ProcessesOfMig,
    Fields,
    SlowFields,
    EccCorrectedVolatile,
    EccUncorrectedVolatile,
    EccCorrectedAggregate,
    EccUncorrectedAggregate,
    SramThreshold,
}

impl Query {
    /// What a person calls it.
    const fn words(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Uuid => "UUID",
            Self::Serial => "serial number",
            Self::VbiosVersion => "VBIOS version",
            Self::PciAddress => "PCI address",
            Self::MigMode => "MIG mode",
            Self::MemoryTotal | Self::Memory => "memory",
            Self::SlowdownLimit => "slowdown temperature",
            Self::ShutdownLimit => "shutdown temperature",
            Self::MaxClock => "highest clock",
            Self::MaxPcieGeneration => "highest PCIe generation",
            Self::MaxPcieWidth => "highest PCIe width",
            Self::Fans | Self::FanSpeed => "fan speed",
            Self::NvLinkCount => "number of NVLinks",
            Self::NvLinkState => "NVLink state",
            Self::NvLinkErrors => "NVLink errors",
            Self::PowerLimit => "power limit",
            Self::Utilization => "utilisation",
            Self::Temperature => "temperature",
            Self::Margin => "temperature margin",
            Self::Power => "power",
            Self::Clock => "clock",
            Self::MemoryClock => "memory clock",
            Self::ThrottleReasons => "throttle reasons",
            Self::PerformanceState => "performance state",
            Self::PcieGeneration => "PCIe generation",
            Self::PcieWidth => "PCIe width",
            Self::Processes | Self::ProcessesOfMig => "processes",
            Self::Fields | Self::SlowFields => "field values",
            Self::EccCorrectedVolatile
            | Self::EccUncorrectedVolatile
            | Self::EccCorrectedAggregate
            | Self::EccUncorrectedAggregate => "ECC errors",
            Self::SramThreshold => "SRAM error threshold",
        }
    }
}

/// Why asking ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// This GPU does not answer; the others may.
    Gpu(GpuCondition, String),
    /// The library must be initialised again before it answers anything.
    Session(NvmlError),
}

/// How many questions in a row may fail before the rest of this GPU's are left out for this time:
/// each can cost seconds on a driver that is going down.
pub(in crate::gpu) const MAX_FAILURES_IN_A_ROW: u32 = 3;

/// The most remarks about one GPU.
pub(in crate::gpu) const MAX_REMARKS: usize = 32;

/// What is known about the answers of one GPU.
#[derive(Debug, Default)]
pub(super) struct Asker {
    /// One bit per [`Query`].
    unsupported: u64,
    failures_in_a_row: u32,
    needs_reset: bool,
    remarks: Vec<String>,
}

impl Asker {
    /// Begins a round of questions.
    pub(super) fn begin(&mut self) {
        self.failures_in_a_row = 0;
        self.needs_reset = false;
        self.remarks.clear();
    }

    /// Whether the driver said in this round that the GPU must be reset.
    pub(super) fn needs_reset(&self) -> bool {
        self.needs_reset
    }

    /// What was refused in this round, and why.
    pub(super) fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Notes something that could not be read.
    pub(super) fn remark(&mut self, text: String) {
        if self.remarks.len() < MAX_REMARKS && !self.remarks.contains(&text) {
            self.remarks.push(text);
        }
    }

    /// Whether it is worth asking.
    pub(super) fn supports(&self, query: Query) -> bool {
        self.unsupported & (1 << query as u64) == 0
    }

    /// Asks, unless the model is known not to support it.
    ///
    /// # Errors
    /// When nothing more should be asked of this GPU, or of the library, this time.
    pub(super) fn ask<T>(
        &mut self,
        query: Query,
        call: impl FnOnce() -> Result<T, NvmlError>,
    ) -> Result<Option<T>, Stop> {
        if !self.supports(query) {
            return Ok(None);
        }
        match call() {
            Ok(value) => {
                self.failures_in_a_row = 0;
                Ok(Some(value))
            }
            Err(error) if is_unsupported(&error) => {
                self.unsupported |= 1 << query as u64;
                Ok(None)
            }
            Err(error) => self.failed(query, error).map(|()| None),
        }
    }

    fn failed(&mut self, query: Query, error: NvmlError) -> Result<(), Stop> {
        match error {
            NvmlError::NoData => return Ok(()),
            NvmlError::Uninitialized
            | NvmlError::DriverNotLoaded
            | NvmlError::LibRmVersionMismatch => return Err(Stop::Session(error)),
            NvmlError::GpuLost => {
                return Err(Stop::Gpu(GpuCondition::Lost, lost_remark(&error)));
            }
            // A timeout was paid for in seconds; the next question would pay again.
            NvmlError::Timeout => {
                return Err(Stop::Gpu(
                    GpuCondition::Lost,
                    format!("{}: {error}; nothing more was asked", query.words()),
                ));
            }
            // It costs nothing, and some of the rest answers: the recovery action above all.
            NvmlError::ResetRequired => {
                self.needs_reset = true;
                self.remark(lost_remark(&error));
                return Ok(());
            }
            _ => {}
        }
        self.failures_in_a_row += 1;
        self.remark(format!("{}: {}", query.words(), reason(&error)));
        if self.failures_in_a_row < MAX_FAILURES_IN_A_ROW {
            return Ok(());
        }
        Err(Stop::Gpu(
            GpuCondition::Lost,
            format!("{MAX_FAILURES_IN_A_ROW} questions in a row failed; nothing more was asked"),
        ))
    }
}

/// An error in words; the wrapper's own where they will do.
pub(in crate::gpu) fn reason(error: &NvmlError) -> String {
    match error {
        NvmlError::GpuLost => "it fell off the bus or does not respond".to_owned(),
        NvmlError::UnexpectedVariant(code) => {
            format!("the driver answered {code}, which NVML does not define")
        }
        error => error.to_string(),
    }
}

/// What is said of a GPU whose handle or answers are gone.
pub(in crate::gpu) fn lost_remark(error: &NvmlError) -> String {
    match error {
        NvmlError::ResetRequired => "the GPU must be reset before it can be used again".to_owned(),
        NvmlError::InsufficientPower => {
            "the GPU's external power cables are not properly attached".to_owned()
        }
        error => format!("the GPU is lost: {}", reason(error)),
    }
}

/// Whether the model or the driver simply does not have it.
pub(super) fn is_unsupported(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::NotSupported | NvmlError::FunctionNotFound | NvmlError::FailedToLoadSymbol(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_supported_is_asked_once() {
        let mut asker = Asker::default();
        let mut calls = 0;
        for _ in 0..3 {
            asker.begin();
            let answer = asker.ask(Query::FanSpeed, || {
                calls += 1;
                Err::<u32, _>(NvmlError::NotSupported)
            });
            assert!(matches!(answer, Ok(None)));
        }
        assert_eq!((calls, asker.remarks().len()), (1, 0));
        assert!(asker.supports(Query::Power));
    }

    #[test]
    fn an_error_says_how_far_it_reaches() {
        type Expected = fn(&Result<Option<u32>, Stop>) -> bool;
        let cases: [(NvmlError, Expected, usize); 6] = [
            (NvmlError::NoData, |got| matches!(got, Ok(None)), 0),
            (NvmlError::NoPermission, |got| matches!(got, Ok(None)), 1),
            (NvmlError::Unknown, |got| matches!(got, Ok(None)), 1),
            (NvmlError::GpuLost, |got| matches!(got, Err(Stop::Gpu(GpuCondition::Lost, _))), 0),
            (NvmlError::Timeout, |got| matches!(got, Err(Stop::Gpu(GpuCondition::Lost, _))), 0),
            (NvmlError::Uninitialized, |got| matches!(got, Err(Stop::Session(_))), 0),
        ];
        for (error, expected, remarks) in cases {
            let name = error.to_string();
            let mut asker = Asker::default();
            let got = asker.ask(Query::Power, || Err(error));
            assert!(expected(&got), "{name}: {got:?}");
            assert_eq!(asker.remarks().len(), remarks, "{name}");
        }
    }

    #[test]
    fn a_gpu_that_only_fails_is_left_alone_unless_it_says_what_it_needs() {
        let fail = |error| move || Err::<u32, _>(error);
        let mut asker = Asker::default();
        assert!(asker.ask(Query::Power, fail(NvmlError::Unknown)).is_ok());
        assert!(asker.ask(Query::Clock, fail(NvmlError::Unknown)).is_ok());
        let third = asker.ask(Query::Memory, fail(NvmlError::Unknown));
        assert!(matches!(third, Err(Stop::Gpu(GpuCondition::Lost, _))), "{third:?}");

        asker.begin();
        for query in [Query::Power, Query::Clock, Query::Memory, Query::Utilization] {
            assert!(asker.ask(query, fail(NvmlError::ResetRequired)).is_ok());
        }
        assert!(asker.needs_reset());
        assert_eq!(asker.remarks().len(), 1);
    }
}
