//! How a command ends when it cannot do what it was asked: what failed, on what, why, what to do.

use std::fmt;
use std::process::ExitCode;

/// Exit codes besides the verdicts' 0 to 3; the numbers are those of BSD's `sysexits.h`.
pub mod exit_code {
    /// The command line makes no sense.
    pub const USAGE: u8 = 64;
    /// What was asked for does not exist.
    pub const NOT_FOUND: u8 = 66;
    /// No hub answers.
    pub const UNAVAILABLE: u8 = 69;
    /// Something went wrong that should not have.
    pub const INTERNAL: u8 = 70;
    /// A file cannot be read or written.
    pub const FILE: u8 = 74;
    /// Somebody else holds it; later may work.
    pub const HELD: u8 = 75;
    /// Not permitted.
    pub const DENIED: u8 = 77;
    /// The configuration is wrong.
    pub const CONFIG: u8 = 78;
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// What failed, on what, and why.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// A failure that should not have happened.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(exit_code::INTERNAL, message.to_string())
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<crate::config::Mistakes> for Failure {
    fn from(mistakes: crate::config::Mistakes) -> Self {
        Self::new(exit_code::CONFIG, mistakes.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(exit_code::FILE, error.to_string())
    }
}

/// How a command ended that did what it was asked: 0, or the verdict by the plugin convention.
pub type Outcome = Result<ExitCode, Failure>;
