//! `cdc-relay recover replay --missed`: what an endpoint missed while it was disabled.
//!
//! It is read where it stands in Kafka and goes to the endpoint alone, through the retry topics of the notifier's group, as
//! what is replayed does. Nothing is held meanwhile: who claims a delivery finds out whether it was made, so that what
//! is sent twice, by two operators or after a crash, is heard once.

mod log;
mod outcome;

use std::time::Duration;

use cdc_event::Record;
use dead_letters::Resent;
use notifier::{Deliveries, EndpointId, EndpointState, MissedEvent, MissedFilter};
use recovery::Names;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::log::{MissedLog, Read};
use self::outcome::{Outcome, Reason};
use super::fate::Fate;
use super::outgoing::{Outgoing, Replayable};
use super::paced;
use super::sender::Sender;
use crate::cli::RecoverReplay;
use crate::command::endpoint;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::role::GroupPlan;

/// Events that are known of at a time. Each look at them is one at all that the endpoint missed.
const PAGE: u32 = 20_000;

/// Events that are in memory at a time, if they are small, and what a crash sends again.
const BATCH_EVENTS: usize = 5_000;

/// For one statement.
const STATEMENT_LIMIT: Duration = Duration::from_secs(120);

pub(in crate::command::recover) async fn run(
    arguments: &RecoverReplay,
    config: &Config,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let selection = &arguments.selection;
    let endpoint = enabled(selection.filter.endpoint.as_deref(), config).await?;
    let plan = GroupPlan::of_notifier(config)?;
    let filter = MissedFilter {
        topic: selection.filter.topic.clone(),
        older_than: selection.filter.older_than,
        newer_than: selection.filter.newer_than,
    };
    let mut deliveries = Deliveries::new(&config.at_store().postgres.options(), STATEMENT_LIMIT);
    let count = deliveries
        .count_missed(&endpoint, &filter)
        .await
        .map_err(|error| Failure::from_notifier(error, config))?;
    let mut outcome = Outcome::new(&endpoint, count, selection.dry_run);
    let ended = if count.events == 0 {
        Ok(())
    } else {
        let sender = if selection.dry_run {
            None
        } else {
            until_known(config, shutdown).await;
            Some(Sender::open(config, arguments.rate).await?)
        };
        let replay = MissedReplay {
            config,
            log: MissedLog::open(config, &endpoint).await?,
            endpoint: &endpoint,
            names: &plan.names,
            filter,
            deliveries,
            sender,
            batch: paced(BATCH_EVENTS, arguments.rate),
            limit: selection
                .limit
                .map_or(usize::MAX, |limit| limit.get() as usize),
            outcome: &mut outcome,
        };
        Box::pin(replay.all(shutdown)).await
    };
    outcome.interrupted = shutdown.is_cancelled() || ended.is_err();
    let said = outcome.say(selection.json);
    ended.and(said)
}

/// The endpoint that is meant, which is sent something.
async fn enabled(name: Option<&str>, config: &Config) -> Result<EndpointId, Failure> {
    let id = EndpointId::new(name.unwrap_or_default()).map_err(|error| {
        let remedy = "give --endpoint NAME; `cdc-relay endpoint list` names them all";
        Failure::new(
            ErrorCode::Argument,
            "this is no name of an endpoint",
            remedy,
        )
        .caused_by(error)
    })?;
    let mut endpoints = endpoint::endpoints(config)?;
    let state = endpoints.state(&id).await;
    match state.map_err(|error| Failure::from_notifier(error, config))? {
        EndpointState::Enabled => Ok(id),
        EndpointState::Disabled { reason, .. } => Err(Failure::new(
            ErrorCode::Endpoint,
            format!("the endpoint {id} is disabled ({reason}): it would miss everything again"),
            format!("run `cdc-relay endpoint enable {id}`, then this again"),
        )),
    }
}

/// Waits until every notifier knows that the endpoint is enabled. Before that it would miss everything again.
async fn until_known(config: &Config, shutdown: &CancellationToken) {
    let pause = config.notify.cache_expiry.get();
    if !pause.is_zero() {
        tracing::info!(
            "waiting for {pause:?} (`notify.cache_expiry`), until every notifier knows that it is enabled"
        );
        shutdown.run_until_cancelled(sleep(pause)).await;
    }
}

/// A replay under way.
struct MissedReplay<'a> {
    config: &'a Config,
    endpoint: &'a EndpointId,
    names: &'a Names,
    filter: MissedFilter,
    deliveries: Deliveries,
    log: MissedLog<'a>,
    /// `None` only finds out what would be sent.
    sender: Option<Sender<'a>>,
    batch: usize,
    /// How many may still be sent.
    limit: usize,
    outcome: &'a mut Outcome,
}

impl MissedReplay<'_> {
    /// Sends everything in the order of the topics, until somebody interrupts.
    ///
    /// # Errors
    ///
    /// What stands in the way of every event. What was done until then is in the outcome.
    async fn all(mut self, shutdown: &CancellationToken) -> Result<(), Failure> {
        let mut after: Option<MissedEvent> = None;
        while self.limit > 0 && !shutdown.is_cancelled() {
            let page = self
                .deliveries
                .missed(self.endpoint, &self.filter, after.as_ref(), PAGE)
                .await
                .map_err(|error| Failure::from_notifier(error, self.config))?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            for events in page.chunk_by(|one, next| {
                let (one, next) = (&one.origin, &next.origin);
                (&one.topic, one.partition) == (&next.topic, next.partition)
            }) {
                self.of_partition(events, shutdown).await?;
            }
        }
        Ok(())
    }

    /// Those of one partition.
    async fn of_partition(
        &mut self,
        events: &[MissedEvent],
        shutdown: &CancellationToken,
    ) -> Result<(), Failure> {
        let mut rest = events;
        while let Some(first) = rest.first()
            && self.limit > 0
            && !shutdown.is_cancelled()
        {
            let Some(entry) = self.names.replay_entry(&first.origin.topic) else {
                self.outcome.leave(rest, &Reason::NotNotified);
                return Ok(());
            };
            let read = tokio::select! {
                read = self.log.read(rest, self.batch.min(self.limit)) => read?,
                () = shutdown.cancelled() => return Ok(()),
            };
            let entry = entry.to_owned();
            let (looked_at, trouble) = self.send(rest, &read, &entry, shutdown).await?;
            let found = |index| read.records.iter().any(|(place, _)| *place == index);
            for (index, event) in rest[..looked_at].iter().enumerate() {
                if !found(index) {
                    self.outcome
                        .leave(std::slice::from_ref(event), &read.reason);
                }
            }
            if let Some(trouble) = trouble {
                return Err(trouble);
            }
            rest = &rest[looked_at..];
        }
        Ok(())
    }

    /// Sends what was read of `events`, and notes that it comes again. Gives how many of them are dealt with.
    async fn send(
        &mut self,
        events: &[MissedEvent],
        read: &Read,
        entry: &str,
        shutdown: &CancellationToken,
    ) -> Result<(usize, Option<Failure>), Failure> {
        let Some(sender) = self.sender.as_mut().filter(|_| !read.records.is_empty()) else {
            self.outcome.done += read.records.len();
            self.limit -= read.records.len();
            return Ok((read.looked_at, None));
        };
        let group = self.names.group();
        let missed = read.records.iter().map(|(_, record)| Missed {
            record,
            group,
            entry,
        });
        let sent = sender.send(&missed.collect::<Vec<_>>(), shutdown).await;
        let mut looked_at = read.looked_at;
        let mut acknowledged: Vec<&MissedEvent> = Vec::new();
        for ((index, _), fate) in read.records.iter().zip(sent.fates) {
            let event = &events[*index];
            match fate {
                Fate::Acknowledged => acknowledged.push(event),
                Fate::Refused(refusal) => {
                    let reason = Reason::Refused {
                        code: refusal.code,
                        text: refusal.reason,
                    };
                    self.outcome.leave(std::slice::from_ref(event), &reason);
                }
                // There was no time for it, nor for those behind it.
                Fate::Unsent | Fate::InFlight => {
                    looked_at = *index;
                    break;
                }
            }
        }
        self.outcome.done += acknowledged.len();
        self.limit -= acknowledged.len();
        self.deliveries
            .come_again(self.endpoint, &acknowledged)
            .await
            .map_err(|error| Failure::from_notifier(error, self.config))?;
        Ok((looked_at, sent.trouble))
    }
}

/// What the endpoint missed, on its way to it.
struct Missed<'a> {
    /// With the endpoint as its part.
    record: &'a Record,
    group: &'a str,
    entry: &'a str,
}

impl Replayable for Missed<'_> {
    fn outgoing(&self) -> Outgoing<'_> {
        let Record {
            origin, key, value, ..
        } = self.record;
        Outgoing {
            topic: self.entry,
            // Where the group has its other records of the key.
            partition: Some(origin.partition),
            source: Some(&origin.topic),
            key: key.as_deref(),
            value: value.as_deref(),
            resent: Resent::missed(self.record, self.group),
        }
    }
}
