//! What can be made to fail, while the service runs.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::numbers::UserId;

/// The switches. Cheap to look at.
#[derive(Debug)]
pub(crate) struct Switches {
    fail_odd: AtomicBool,
    fail_dlt: AtomicBool,
}

/// Which handler asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// That of the topic with the requests.
    Requests,
    /// That of its dead letters.
    DeadLetters,
}

/// Why nothing could be issued.
#[derive(Debug, thiserror::Error)]
#[error("the printer of coupons does not answer")]
pub(crate) struct PrinterFailed(#[source] Cause);

/// What the printer would say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error("user {0} has an odd id, and FAIL_ODD is on")]
    Odd(UserId),
    #[error("FAIL_DLT is on")]
    DeadLetter,
}

impl Switches {
    /// As they are at first.
    pub(crate) const fn new(fail_odd: bool, fail_dlt: bool) -> Self {
        Self {
            fail_odd: AtomicBool::new(fail_odd),
            fail_dlt: AtomicBool::new(fail_dlt),
        }
    }

    /// Whether those with an odd id fail from now on.
    pub(crate) fn fail_odd(&self, on: bool) {
        self.fail_odd.store(on, Ordering::Relaxed);
    }

    /// Whether dead letters fail from now on.
    pub(crate) fn fail_dlt(&self, on: bool) {
        self.fail_dlt.store(on, Ordering::Relaxed);
    }

    /// Fails if it is switched so.
    ///
    /// # Errors
    ///
    /// Which switch it was.
    pub(crate) fn check(&self, stage: Stage, user: UserId) -> Result<(), PrinterFailed> {
        let cause = match stage {
            Stage::Requests if user.is_odd() && self.fail_odd.load(Ordering::Relaxed) => {
                Cause::Odd(user)
            }
            Stage::DeadLetters if self.fail_dlt.load(Ordering::Relaxed) => Cause::DeadLetter,
            Stage::Requests | Stage::DeadLetters => return Ok(()),
        };
        Err(PrinterFailed(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_switch_is_for_its_own_handler() {
        let failing = |odd, dlt, stage, user| {
            let switches = Switches::new(odd, dlt);
            switches.check(stage, UserId(user)).is_err()
        };
        assert!(failing(true, false, Stage::Requests, 7));
        assert!(failing(true, false, Stage::Requests, -7));
        assert!(!failing(true, false, Stage::Requests, 8));
        assert!(!failing(true, false, Stage::DeadLetters, 7));
        assert!(failing(false, true, Stage::DeadLetters, 7));
        assert!(failing(false, true, Stage::DeadLetters, 8));
        assert!(!failing(false, true, Stage::Requests, 7));
    }
}
