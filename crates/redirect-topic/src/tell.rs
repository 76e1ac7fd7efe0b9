//! What an operator is told.

use std::fmt;

use cdc_event::{DeadHead, Fate, Record, Unfinished};
use tracing::{error, warn};

use crate::partition::Owned;

/// Says that a key waits from now on for somebody to deal with one of its records, or that there is a gap.
pub(crate) fn tell_held(owned: &Owned, record: &Record, left: &[Unfinished]) {
    if record.key.is_none() {
        return;
    }
    let (group, origin) = (&owned.of.group, &record.origin);
    for unfinished in left.iter().filter(|left| left.fate == Fate::Dead) {
        let part = unfinished.part.as_ref().map(tracing::field::display);
        let code = unfinished.error.code().as_str();
        let error = &unfinished.error;
        match owned.policy {
            DeadHead::Hold => error!(
                group, record = %origin, part, code, %error,
                "a key is held: its records wait until this one is replayed or discarded"
            ),
            DeadHead::Skip => warn!(
                group, record = %origin, part, code, %error,
                "a record is left out: those behind it go on"
            ),
            DeadHead::DeadLetterLane => warn!(
                group, record = %origin, part, code, %error,
                "a record is given up with those that wait behind it"
            ),
        }
    }
}

/// An error with its causes, for a log line.
pub(crate) struct Causes<'a>(pub(crate) &'a dyn std::error::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let causes = std::iter::successors(self.0.source(), |cause| (*cause).source());
        for cause in causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}
