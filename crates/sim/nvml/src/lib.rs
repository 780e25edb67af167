//! A fake NVML: a C library with the functions that Sickbay calls, whose GPUs live in a file.
//!
//! For: testing the real NVML path (`dlopen`, symbols, C structs, error codes, hangs) on machines
//! without a GPU, and for trying the product out there. The C side (`libsickbay_sim_nvml.so`) is
//! built from this crate as a `cdylib`; the Rust side here places it and changes its world.
//!
//! What must hold: the signatures are NVML's own (the structs come from the same bindings that the
//! collector uses); what a scenario does not give answers `NOT_SUPPORTED`, as a real card does.
//! Not here: anything that changes a GPU (limits, clocks, resets), and any state that develops by
//! itself. The world changes when its file changes.
//!
//! Reading order: [`Scenario`] → `world` (file, faults, counting) → `abi` (the exported functions)
//! → [`FakeNvml`] (the test's handle).

mod scenario;
pub use scenario::{
    ClocksMhz, EccCounts, Failure, Fault, FieldNumber, Gpu, MemoryBytes, MigDevice, NvLink, Pcie,
    Scenario, ScenarioError, SimProcess, Thresholds, UtilizationPercent,
};

mod world;

mod abi;

mod install;
pub use install::{FakeNvml, InstallError, fixture, library_path};
