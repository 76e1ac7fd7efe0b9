//! What becomes of those behind a record that is given up.

/// What becomes of the records of a key when the first of them is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeadHead {
    /// They wait until an operator has dealt with it. Nothing is ever handled out of order.
    #[default]
    Hold,
    /// They go on without it. It is marked as skipped: there is a gap in the order.
    Skip,
    /// All that wait are given up with it. What comes later is handled as if nothing had been.
    DeadLetterLane,
}
