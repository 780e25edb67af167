//! What is wrong with a config: where, what, what is allowed, and what was probably meant.

use std::fmt;
use std::path::PathBuf;

use super::tree::Origin;

/// The most mistakes that are listed; a file of pure nonsense needs no longer answer.
const MAX_LISTED: usize = 100;

/// What is longer is not told a second time in a row.
const LONG_BYTES: usize = 120;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub origin: Origin,
    /// Path of the field, `schedule.idle_interval`; empty for the whole file.
    pub path: String,
    /// What is wrong, in one sentence.
    pub problem: String,
    /// What would be right.
    pub allowed: Option<String>,
    /// The valid name that comes nearest to what was written.
    pub nearest: Option<String>,
}

impl Mistake {
    /// A mistake.
    #[must_use]
    pub fn new(origin: Origin, path: impl Into<String>, problem: impl Into<String>) -> Self {
        let (path, problem) = (path.into(), problem.into());
        Self { origin, path, problem, allowed: None, nearest: None }
    }

    /// Says what would be right.
    #[must_use]
    pub fn allowing(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Offers the nearest of the valid names, if one is near.
    #[must_use]
    pub fn near<'a>(mut self, written: &str, valid: impl Iterator<Item = &'a str>) -> Self {
        self.nearest = nearest(written, valid).map(str::to_owned);
        self
    }
}

/// The valid name that comes nearest to what was written, if it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(written: &str, valid: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    valid
        .map(|name| (strsim::jaro_winkler(&written, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// All mistakes of one config, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// The file, if there was one.
    pub file: Option<PathBuf>,
    /// The mistakes; never empty.
    pub list: Vec<Mistake>,
}

impl Mistakes {
    /// The mistakes, ordered by their place.
    #[must_use]
    pub fn new(file: Option<PathBuf>, mut list: Vec<Mistake>) -> Self {
        list.sort_by_key(|mistake| match mistake.origin {
            Origin::File { line, column } => (line, column),
            _ => (u64::MAX, 0),
        });
        Self { file, list }
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        let plural = if count == 1 { "mistake" } else { "mistakes" };
        write!(f, "the configuration has {count} {plural}")?;
        let mut last_long = None;
        for mistake in self.list.iter().take(MAX_LISTED) {
            f.write_str("\n")?;
            match (&mistake.origin, &self.file) {
                (Origin::File { line, column }, Some(file)) => {
                    write!(f, "{}:{line}:{column}: ", file.display())?;
                }
                (Origin::WholeFile, Some(file)) => write!(f, "{}: ", file.display())?,
                // Mistakes between fields that nobody wrote down have no place.
                (Origin::Default, _) => {}
                (origin, _) => write!(f, "{origin}: ")?,
            }
            f.write_str(&mistake.problem)?;
            if let Some(nearest) = &mistake.nearest {
                write!(f, "; did you mean `{nearest}`?")?;
            }
            // A long list of names is worth telling once.
            let allowed = mistake.allowed.as_ref().filter(|it| last_long != Some(*it));
            if let Some(allowed) = allowed {
                write!(f, "\n    allowed: {allowed}")?;
                last_long = (allowed.len() > LONG_BYTES).then_some(allowed);
            }
        }
        if count > MAX_LISTED {
            write!(f, "\n… and {} more", count - MAX_LISTED)?;
        }
        Ok(())
    }
}
