//! Every check, in one list.

use crate::policy::Direction;

/// The direction of a check's threshold, if it has one.
pub(crate) fn threshold_direction(_check: &str) -> Option<Direction> {
    None
}
