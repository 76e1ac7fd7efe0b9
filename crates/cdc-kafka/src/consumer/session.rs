//! Whether a member was fenced by another one or by itself. Pure: time is given.

use std::time::{Duration, Instant};

/// A request from before the session ended may be answered for this long after the member has joined again. librdkafka
/// repeats it meanwhile.
const AFTERMATH: Duration = Duration::from_secs(60);

/// What a member knows of its session with the group.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// It has not ended yet.
    #[default]
    Kept,
    /// It has ended.
    Ended,
    /// It had ended, and the member has joined anew.
    Regained(Instant),
}

impl Session {
    pub(super) fn ended(&mut self) {
        *self = Self::Ended;
    }

    pub(super) fn has_joined(&mut self, now: Instant) {
        if *self == Self::Ended {
            *self = Self::Regained(now);
        }
    }

    /// Whether a static member that is fenced now was so by itself: it joined anew under its instance id, and is told so
    /// in answer to what it had asked before.
    pub(super) fn explains_fencing(self, now: Instant) -> bool {
        match self {
            Self::Kept => false,
            Self::Ended => true,
            Self::Regained(at) => now.duration_since(at) < AFTERMATH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_session_that_ended_lately_explains_it() {
        let now = Instant::now();
        let mut session = Session::default();
        assert!(!session.explains_fencing(now));
        session.has_joined(now);
        assert!(!session.explains_fencing(now));
        session.ended();
        assert!(session.explains_fencing(now + AFTERMATH * 2));
        session.has_joined(now);
        assert!(session.explains_fencing(now + AFTERMATH / 2));
        assert!(!session.explains_fencing(now + AFTERMATH));
    }
}
