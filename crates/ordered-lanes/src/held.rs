//! What an operator has to do something about.

use cdc_event::{DeadHead, Fate, KafkaPosition, Unfinished};
use tracing::error;

/// Says that a key waits from now on for somebody to deal with one of its records, if it does.
pub(crate) fn tell_held(
    group: &str,
    record: &KafkaPosition,
    left: &[Unfinished],
    policy: DeadHead,
) {
    if policy != DeadHead::Hold {
        return;
    }
    for unfinished in left.iter().filter(|left| left.fate == Fate::Dead) {
        error!(
            group, %record, part = unfinished.part.as_ref().map(tracing::field::display),
            code = unfinished.error.code().as_str(), error = %unfinished.error,
            "a key is held: its records wait until this one is replayed or discarded"
        );
    }
}
