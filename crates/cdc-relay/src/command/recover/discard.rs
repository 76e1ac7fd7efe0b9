//! `cdc-relay recover discard`.

use std::collections::BTreeSet;

use cdc_store::{FailedEventId, FailedEvents};

use super::hold::end_holds;
use super::outcome::Outcome;
use super::{select, told};
use crate::cli::RecoverDiscard;
use crate::config::Config;
use crate::failure::Failure;

/// Events that are given up in one statement.
const BATCH: usize = 1000;

pub(super) async fn run(
    arguments: &RecoverDiscard,
    mut store: FailedEvents,
    config: &Config,
) -> Result<(), Failure> {
    let selection = &arguments.selection;
    let chosen = select::choose(selection, &mut store, config).await?;
    let ids = [chosen.replayable, chosen.without_record].concat();
    let mut outcome = Outcome::new("discarded");
    for (id, reason) in chosen.unavailable {
        outcome.leave(id, reason);
    }
    if selection.dry_run {
        return outcome.say_planned(&ids, selection.json);
    }
    for batch in ids.chunks(BATCH) {
        // First: whoever is stopped in between does it again, and a key is not held for an event that is no more.
        end_holds(batch, &mut store, config).await?;
        let done = store
            .discard(batch, &selection.by, arguments.note.as_deref())
            .await
            .map_err(told(config))?;
        let known: BTreeSet<FailedEventId> = done.iter().copied().collect();
        for id in batch.iter().filter(|id| !known.contains(id)) {
            outcome.leave(*id, "somebody else dealt with it meanwhile");
        }
        outcome.done.extend(done);
    }
    outcome.say(selection.json)
}
