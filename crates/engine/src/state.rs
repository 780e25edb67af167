//! From single results to a state that can be relied on.

/// How many results a check remembers: the window of flap detection (health model).
pub const RESULTS_REMEMBERED: u32 = 20;
