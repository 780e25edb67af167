//! Which fields are asked for, what they are called, and what becomes of each: one table.
//!
//! Names are those of `nvidia-smi --help-query-gpu`. A driver that renames a field keeps the old
//! name as another one for some years; the first name of a line that the driver lists is used.

use sickbay_model::{MetricId, catalogue};

/// What a field fills.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fills {
    Index,
    /// How many GPUs the driver counts.
    Count,
    Uuid,
    Model,
    Serial,
    PciAddress,
    DriverVersion,
    VbiosVersion,
    MigMode,
    /// In MiB.
    MemoryTotal,
    /// In MiB.
    MemoryUsed,
    /// A decimal number, in the reading's own unit.
    Number(MetricId),
    /// A hexadecimal bit mask.
    Mask(MetricId),
    /// `P0` to `P15`.
    State(MetricId),
    /// `Yes` or `No`, or 1 or 0.
    YesOrNo(MetricId),
    /// A part of the retired pages.
    RetiredPages,
    /// What the driver asks for, in words.
    RecoveryAction,
    /// `Yes` where it asks for a reset; asked only where there is no recovery action.
    ResetRequired,
    /// `Yes` where it asks for draining and a reset; asked only where there is no recovery action.
    DrainAndReset,
}

/// A line of the table.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Newest first.
    names: &'static [&'static str],
    /// What a person calls it.
    pub(super) words: &'static str,
    pub(super) fills: Fills,
}

const fn wanted(names: &'static [&'static str], words: &'static str, fills: Fills) -> Wanted {
    Wanted { names, words, fills }
}

/// All that is wanted. Identity comes first and the name last: it may hold commas, and a line that
/// broke off then lacks its name.
static TABLE: [Wanted; 41] = {
    use Fills::{Mask, Number, State, YesOrNo};
    use catalogue as metric;
    [
        wanted(&["index"], "index", Fills::Index),
        wanted(&["count"], "number of GPUs", Fills::Count),
        wanted(&["uuid", "gpu_uuid"], "UUID", Fills::Uuid),
        wanted(&["pci.bus_id", "gpu_bus_id"], "PCI address", Fills::PciAddress),
        wanted(&["driver_version"], "driver version", Fills::DriverVersion),
        wanted(&["serial", "gpu_serial"], "serial number", Fills::Serial),
        wanted(&["vbios_version"], "VBIOS version", Fills::VbiosVersion),
        wanted(&["mig.mode.current"], "MIG mode", Fills::MigMode),
        wanted(&["memory.total"], "memory", Fills::MemoryTotal),
        wanted(&["memory.used"], "memory", Fills::MemoryUsed),
        wanted(&["utilization.gpu"], "utilisation", Number(metric::GPU_UTILIZATION)),
        wanted(&["utilization.memory"], "utilisation", Number(metric::GPU_MEMORY_UTILIZATION)),
        wanted(&["temperature.gpu"], "temperature", Number(metric::GPU_TEMPERATURE)),
        wanted(&["temperature.memory"], "temperature", Number(metric::GPU_MEMORY_TEMPERATURE)),
        wanted(
            &["temperature.gpu.tlimit"],
            "temperature margin",
            Number(metric::GPU_TEMPERATURE_MARGIN),
        ),
        // What NVML's own power reading is, whichever of the two that is on a model.
        wanted(
            &["power.draw", "power.draw.average", "power.draw.instant"],
            "power",
            Number(metric::GPU_POWER),
        ),
        wanted(
            &["enforced.power.limit", "power.limit"],
            "power limit",
            Number(metric::GPU_POWER_LIMIT),
        ),
        wanted(&["fan.speed"], "fan speed", Number(metric::GPU_FAN)),
        wanted(&["clocks.current.sm", "clocks.sm"], "clock", Number(metric::GPU_CLOCK)),
        wanted(&["clocks.max.sm"], "highest clock", Number(metric::GPU_CLOCK_MAX)),
        wanted(
            &["clocks.current.memory", "clocks.mem"],
            "memory clock",
            Number(metric::GPU_MEMORY_CLOCK),
        ),
        // Renamed in R535.
        wanted(
            &["clocks_event_reasons.active", "clocks_throttle_reasons.active"],
            "throttle reasons",
            Mask(metric::GPU_THROTTLE_REASONS),
        ),
        wanted(&["pstate"], "performance state", State(metric::GPU_PERFORMANCE_STATE)),
        wanted(&["pcie.link.gen.current"], "PCIe generation", Number(metric::GPU_PCIE_GENERATION)),
        wanted(
            &["pcie.link.gen.max"],
            "highest PCIe generation",
            Number(metric::GPU_PCIE_GENERATION_MAX),
        ),
        wanted(&["pcie.link.width.current"], "PCIe width", Number(metric::GPU_PCIE_WIDTH)),
        wanted(&["pcie.link.width.max"], "highest PCIe width", Number(metric::GPU_PCIE_WIDTH_MAX)),
        wanted(
            &["ecc.errors.corrected.volatile.total"],
            "ECC errors",
            Number(metric::GPU_ECC_CORRECTED_VOLATILE),
        ),
        wanted(
            &["ecc.errors.uncorrected.volatile.total"],
            "ECC errors",
            Number(metric::GPU_ECC_UNCORRECTED_VOLATILE),
        ),
        wanted(
            &["ecc.errors.corrected.aggregate.total"],
            "ECC errors",
            Number(metric::GPU_ECC_CORRECTED_AGGREGATE),
        ),
        wanted(
            &["ecc.errors.uncorrected.aggregate.total"],
            "ECC errors",
            Number(metric::GPU_ECC_UNCORRECTED_AGGREGATE),
        ),
        wanted(
            &["retired_pages.single_bit_ecc.count", "retired_pages.sbe"],
            "retired pages",
            Fills::RetiredPages,
        ),
        wanted(
            &["retired_pages.double_bit.count", "retired_pages.dbe"],
            "retired pages",
            Fills::RetiredPages,
        ),
        wanted(
            &["remapped_rows.correctable"],
            "remapped rows",
            Number(metric::GPU_REMAPPED_ROWS_CORRECTED),
        ),
        wanted(
            &["remapped_rows.uncorrectable"],
            "remapped rows",
            Number(metric::GPU_REMAPPED_ROWS_UNCORRECTED),
        ),
        wanted(&["remapped_rows.pending"], "remapped rows", YesOrNo(metric::GPU_REMAP_PENDING)),
        wanted(&["remapped_rows.failure"], "remapped rows", YesOrNo(metric::GPU_REMAP_FAILED)),
        wanted(&["gpu_recovery_action"], "recovery action", Fills::RecoveryAction),
        wanted(&["reset_status.reset_required"], "reset status", Fills::ResetRequired),
        wanted(&["reset_status.drain_and_reset_recommended"], "reset status", Fills::DrainAndReset),
        wanted(&["name", "gpu_name"], "name", Fills::Model),
    ]
};

/// What the field of this name is wanted for.
pub(super) fn of_name(name: &str) -> Option<&'static Wanted> {
    TABLE.iter().find(|wanted| wanted.names.contains(&name))
}

/// The fields that are to be asked for, of those that a driver lists in `--help-query-gpu`; empty
/// where the text lists none of those without which an answer means nothing.
#[must_use]
pub fn wanted_fields(help: &[u8]) -> Vec<&'static str> {
    choose_fields(&parse_help(help))
}

/// The names that the text lists: `"fan.speed"`, or several as in `"uuid" or "gpu_uuid"`, each on a
/// line of its own.
pub(super) fn parse_help(help: &[u8]) -> Vec<&str> {
    super::lines(help)
        .filter(|line| line.starts_with(b"\""))
        .filter_map(|line| std::str::from_utf8(line).ok())
        // Between the first and the second quotation mark, the third and the fourth, …
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .collect()
}

/// Of those available, the ones that are wanted.
pub(super) fn choose_fields(available: &[&str]) -> Vec<&'static str> {
    let first_listed = |wanted: &'static Wanted| {
        wanted.names.iter().find(|name| available.contains(name)).copied()
    };
    let has_recovery_action = available.contains(&"gpu_recovery_action");
    let chosen: Vec<_> = TABLE
        .iter()
        .filter(|wanted| {
            let is_stand_in = matches!(wanted.fills, Fills::ResetRequired | Fills::DrainAndReset);
            !(is_stand_in && has_recovery_action)
        })
        .filter_map(first_listed)
        .collect();
    let has = |fills| chosen.iter().filter_map(|name| of_name(name)).any(|one| one.fills == fills);
    if has(Fills::Index) && has(Fills::Uuid) && has(Fills::PciAddress) {
        chosen
    } else {
        Vec::new()
    }
}

/// Whether remapped rows have to be asked for by a query of their own: these fields lack them.
#[must_use]
pub fn needs_remapped_rows(fields: &[&str]) -> bool {
    !fields.contains(&"remapped_rows.pending")
}

/// Every name of every field; for tests.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn everything() -> Vec<&'static str> {
    TABLE.iter().filter_map(|wanted| wanted.names.first()).copied().collect()
}
