//! Which family of readers a run works on: `SICKBAY_FUZZ_FAMILY` names it.

/// A family: what it is called, and what it does with an input.
pub type Family = (&'static str, fn(&[u8]));

/// The family that is named, else the first.
pub fn named(families: &[Family]) -> fn(&[u8]) {
    let wanted = std::env::var("SICKBAY_FUZZ_FAMILY").unwrap_or_default();
    let found = families.iter().find(|(name, _)| wanted.is_empty() || *name == wanted);
    found.unwrap_or_else(|| panic!("no family {wanted:?}")).1
}
