//! `cdc-relay recover replay`.

mod fate;
mod missed;
mod outgoing;
mod payload;
mod sender;
mod topics;

use std::collections::BTreeSet;
use std::time::Duration;

use cdc_store::{Claim, ClaimedEvent, ErrorReport, FailedEventId, FailedEvents};
use tokio_util::sync::CancellationToken;

pub(super) use self::missed::run as run_missed;

use self::fate::Fate;
use self::payload::Corrected;
use self::sender::Sender;
use super::outcome::{Left, Outcome};
use super::{select, told};
use crate::cli::{Rate, RecoverReplay, Selection};
use crate::config::Config;
use crate::failure::Failure;

/// How long events are held: longer than one batch can take, see [`sender`].
const LEASE: Duration = Duration::from_secs(120);

/// Bounds of a batch: what is in memory at a time, and what a crash sends again.
const BATCH_EVENTS: usize = 100;
const BATCH_BYTES: u64 = 8 * 1024 * 1024;

/// With a rate, a batch takes this long to send.
const BATCH_SECONDS: u32 = 5;

pub(super) async fn run(
    arguments: &RecoverReplay,
    mut store: FailedEvents,
    config: &Config,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let selection = &arguments.selection;
    let chosen = select::choose(selection, &mut store, config).await?;
    let payload = match &arguments.payload_file {
        Some(file) => Some(Corrected::read(file, &chosen).await?),
        None => None,
    };
    let mut outcome = Outcome::new("replayed");
    for id in chosen.without_record {
        outcome.leave(
            id,
            "no record could be made of it, or its group has no retry topic; write the event again, corrected, and \
             discard this one",
        );
    }
    for (id, reason) in chosen.unavailable {
        outcome.leave(id, reason);
    }
    if selection.dry_run {
        return outcome.say_planned(&chosen.replayable, selection.json);
    }
    if let Some(payload) = payload {
        payload.store(&mut store, selection, config).await?;
    }
    let ended = if chosen.replayable.is_empty() {
        Ok(())
    } else {
        let replay = Replay {
            store,
            sender: Sender::open(config, arguments.rate).await?,
            config,
            selection,
            outcome: &mut outcome,
        };
        let batch = paced(BATCH_EVENTS, arguments.rate);
        replay.all(&chosen.replayable, batch, shutdown).await
    };
    let said = outcome.say(selection.json);
    ended.and(said)
}

/// How many events a batch has.
fn paced(most: usize, rate: Option<Rate>) -> usize {
    rate.map_or(most, |rate| {
        let paced = rate.per_second().saturating_mul(BATCH_SECONDS);
        most.min(paced as usize)
    })
}

/// A replay under way.
struct Replay<'a> {
    store: FailedEvents,
    sender: Sender<'a>,
    config: &'a Config,
    selection: &'a Selection,
    outcome: &'a mut Outcome,
}

impl Replay<'_> {
    /// Sends `ids` in their order, `batch` at a time, until somebody interrupts.
    ///
    /// # Errors
    ///
    /// What stands in the way of every event. What was done until then is in the outcome.
    async fn all(
        mut self,
        ids: &[FailedEventId],
        batch: usize,
        shutdown: &CancellationToken,
    ) -> Result<(), Failure> {
        let mut rest = ids;
        while !rest.is_empty() && !shutdown.is_cancelled() {
            let next = &rest[..batch.min(rest.len())];
            let claim = self
                .store
                .claim(next, BATCH_BYTES, LEASE, &self.selection.by)
                .await
                .map_err(told(self.config))?;
            let looked_at = self.leave_unclaimed(next, &claim);
            let sent = self.sender.send(&claim.events, shutdown).await;
            if let Some(trouble) = sent.trouble {
                // Nothing of this producer may arrive once somebody else can take the events.
                self.sender.close().await;
                let unsent = settle(
                    &mut self.store,
                    self.outcome,
                    self.config,
                    &claim,
                    sent.fates,
                )
                .await?;
                self.outcome.untouched += unsent.len() + rest.len() - looked_at;
                return Err(trouble);
            }
            let unsent = settle(
                &mut self.store,
                self.outcome,
                self.config,
                &claim,
                sent.fates,
            )
            .await?;
            // What there was no time for comes first in the next batch.
            let again = unsent
                .first()
                .and_then(|first| next.iter().position(|id| id == first));
            rest = &rest[again.unwrap_or(looked_at)..];
        }
        self.outcome.untouched += rest.len();
        Ok(())
    }

    /// Leaves out those of `wanted` that the store passed over, and says how many it has looked at: it stops at a
    /// number of bytes.
    fn leave_unclaimed(&mut self, wanted: &[FailedEventId], claim: &Claim) -> usize {
        let claimed: BTreeSet<FailedEventId> = claim.events.iter().map(|event| event.id).collect();
        let looked_at = wanted
            .iter()
            .rposition(|id| claimed.contains(id))
            .map_or(wanted.len(), |last| last + 1);
        for id in wanted[..looked_at]
            .iter()
            .filter(|id| !claimed.contains(id))
        {
            self.outcome
                .leave(*id, "somebody else dealt with it meanwhile");
        }
        looked_at
    }
}

/// Records in the store what became of a batch. Gives what was not sent, which is open again.
async fn settle(
    store: &mut FailedEvents,
    outcome: &mut Outcome,
    config: &Config,
    claim: &Claim,
    fates: Vec<Fate>,
) -> Result<Vec<FailedEventId>, Failure> {
    let mut acknowledged: Vec<FailedEventId> = Vec::new();
    let mut unsent: Vec<FailedEventId> = Vec::new();
    let mut refused: Vec<(&ClaimedEvent, ErrorReport)> = Vec::new();
    for (event, fate) in claim.events.iter().zip(fates) {
        match fate {
            Fate::Acknowledged => acknowledged.push(event.id),
            Fate::Unsent | Fate::InFlight => unsent.push(event.id),
            Fate::Refused(refusal) => {
                outcome.left.push(Left {
                    id: event.id,
                    code: Some(refusal.code),
                    reason: refusal.reason,
                });
                refused.push((event, refusal.report));
            }
        }
    }
    let recorded = store
        .replayed(claim, &acknowledged)
        .await
        .map_err(told(config))?;
    let known: BTreeSet<FailedEventId> = recorded.iter().copied().collect();
    for id in acknowledged.iter().filter(|id| !known.contains(id)) {
        outcome.leave(
            *id,
            "it was sent, but it has failed again, or its hold ended before that could be recorded",
        );
    }
    outcome.done.extend(recorded);
    store
        .failed_again(claim, &refused)
        .await
        .map_err(told(config))?;
    store.release(claim, &unsent).await.map_err(told(config))?;
    Ok(unsent)
}
