//! What others want of the owner of a partition: they write it into the redirect topic.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use cdc_kafka::Offset;
use tokio::time::sleep;
use tracing::debug;

use crate::ask::Ask;
use crate::entry_id::EntryKey;
use crate::error::Error;
use crate::fact::{Fact, Waits};
use crate::index::Source;
use crate::log::Log;
use crate::opening::{Opening, understood};
use crate::partition::Owned;
use crate::plan::Returning;
use crate::tell::Causes;

/// Does what others want, until the partition is given away. `every` is how often it is looked.
pub(crate) async fn follow<L: Log>(owned: Arc<Owned>, opening: Arc<Opening<L>>, every: Duration) {
    tokio::select! {
        biased;
        () = owned.ended.cancelled() => {}
        () = follow_on(&owned, &opening, every) => {}
    }
}

async fn follow_on<L: Log>(owned: &Owned, opening: &Opening<L>, every: Duration) {
    loop {
        let looked = async {
            look(owned, opening).await?;
            serve(owned).await
        };
        // It is looked again, and who may not is told by those who have to.
        if let Err(error) = looked.await {
            debug!(partition = %owned.of, error = %Causes(&error), "could not look for what others want");
        }
        sleep(every).await;
    }
}

/// Takes in what others wrote.
async fn look<L: Log>(owned: &Owned, opening: &Opening<L>) -> Result<(), Error> {
    let from = owned.known().to();
    if opening.log.end(&owned.of).await? <= from {
        return Ok(());
    }
    let of = owned.of.clone();
    let take_in = move |found: &mut Vec<(EntryKey, Fact, Offset)>, at, record| {
        // What is not understood stops whoever takes the partition over next.
        if let Ok(Some((key, Some(fact)))) = understood(&of, record) {
            found.push((key, fact, at));
        }
        ControlFlow::Continue(())
    };
    let (found, end) = opening
        .log
        .read(&owned.of, from, Vec::new(), take_in)
        .await?;
    for (key, fact, at) in found {
        match fact {
            // What was written here is known. What removes a wish is too.
            Fact::Replay(_) | Fact::Discard => {
                owned.index().absorb(key, Some(fact), at, Source::Found);
            }
            Fact::Owner(other) if other.token != owned.token => {
                owned.end(Some(Error::Superseded(owned.of.to_string())));
            }
            _ => {}
        }
    }
    owned.knows(|known| known.and_read_to(end));
    Ok(())
}

async fn serve(owned: &Owned) -> Result<(), Error> {
    let wanted: Vec<(EntryKey, Option<Waits>)> = {
        let index = owned.index();
        let wanted = index.wanted.iter();
        wanted
            .map(|(key, waits)| (key.clone(), waits.clone()))
            .collect()
    };
    for (key, waits) in wanted {
        match (key.clone(), waits) {
            (EntryKey::Replay(_), Some(waits)) => {
                let returning = Box::new(Returning {
                    attempts: waits.progress.attempts,
                    first_failed: waits.progress.first_failed_at(),
                    record: waits.record,
                    in_any_case: true,
                });
                // If it is being dealt with it stays wanted, and is done the next time.
                owned
                    .ask(|reply| Ask::Replay(returning, Some(key), reply))
                    .await?;
            }
            (EntryKey::Discard(origin), _) => {
                owned.ask(|reply| Ask::Discard(origin, key, reply)).await?;
            }
            _ => {}
        }
    }
    Ok(())
}
