//! One event to one endpoint.

mod ended;
mod news;
mod report;

use std::time::{Duration, SystemTime};

use cdc_event::HandlerError;
use tokio::time::timeout;
use webhook::{Attempt, Body, Connection};

use self::ended::FORMAT;
use self::report::Report;
use super::Shared;
use crate::delivery::{Claim, Claimed, DeliveryKey, DeliveryState, Settlement};
use crate::directory::{Destination, Endpoint};
use crate::endpoint::Guarantee;
use crate::event::Event;
use crate::gate::{Change, Pass, Refusal};
use crate::in_flight::{Held, Unavailable};
use crate::lanes::Place;
use crate::metric;
use crate::outcome::{Outcome, sign};
use crate::waits::WaitedFor;

pub(super) use self::ended::Ended;

impl Shared {
    /// Sends an event to an endpoint, unless that was done before, and writes down what came of it before anything
    /// else is done about it.
    pub(super) async fn deliver(
        &self,
        event: &Event,
        endpoint: &Endpoint,
        asked: bool,
        waited_for: WaitedFor,
    ) -> Ended {
        let key = DeliveryKey {
            event: event.id.as_str().into(),
            endpoint: endpoint.id.clone(),
        };
        let held = match self.in_flight.hold(key) {
            Ok(held) => held,
            Err(Unavailable::Underway) => return Ended::elsewhere(Duration::from_secs(1)),
            Err(Unavailable::Lost) => return Ended::lost(Duration::from_secs(1)),
        };
        let ended = self.held(event, endpoint, asked, held, waited_for).await;
        if let Some(label) = ended.label() {
            metrics::counter!(metric::DELIVERIES, metric::OUTCOME => label).increment(1);
        }
        ended
    }

    async fn held(
        &self,
        event: &Event,
        endpoint: &Endpoint,
        asked: bool,
        mut held: Held,
        waited_for: WaitedFor,
    ) -> Ended {
        if !endpoint.enabled {
            return self
                .missed(event, endpoint, asked, &mut held, waited_for)
                .await;
        }
        let destination = match &endpoint.destination {
            Ok(destination) => destination,
            Err(unusable) if unusable.may_pass() => {
                return Ended::transient(unusable.error(), None);
            }
            Err(unusable) => return Ended::poison(unusable.error()),
        };
        let body = match event.body(destination) {
            Ok(body) => body,
            Err(error) => {
                let what = "the event cannot be put into the endpoint's format";
                return Ended::poison(HandlerError::new(FORMAT, what).caused_by(error));
            }
        };
        // Turns are waited for before anything is claimed, so that a claim is never older than its request.
        let (pass, place) = match self.turn(endpoint).await {
            Ok(turn) => turn,
            Err(refusal) => return Ended::refused(refusal),
        };
        let epoch = match self.claim(endpoint, asked, &held).await {
            Ok(claimed) => match claimed.ours() {
                Ok(epoch) => epoch,
                Err(ended) => return *ended,
            },
            Err(ended) => return ended,
        };
        held.sending();
        let (attempt, change) = self.attempt(event, destination, &body, (pass, place)).await;
        let outcome = Outcome::of(&attempt, endpoint.guarantee);
        let arrived = (outcome == Outcome::Delivered).then(SystemTime::now);
        let settlement = Settlement::of(
            event,
            &held,
            epoch,
            outcome.state(),
            Report::of(&attempt, outcome, self.settings.attempt_log),
            waited_for,
        );
        if let Err(ended) = self.settle(settlement, &mut held).await {
            return ended;
        }
        drop(held);
        metrics::counter!(metric::DELIVERIES, metric::OUTCOME => outcome.label()).increment(1);
        metrics::histogram!(metric::REQUEST_SECONDS).record(attempt.duration);
        if let Some(connection) = attempt.connection {
            let connection = match connection {
                Connection::Fresh => "fresh",
                Connection::Reused => "reused",
            };
            metrics::counter!(metric::CONNECTIONS, metric::CONNECTION => connection).increment(1);
        }
        if let Some(age) = arrived.and_then(|at| at.duration_since(event.timestamp).ok()) {
            metrics::histogram!(metric::EVENT_TO_DELIVERY).record(age);
        }
        self.note(endpoint, outcome).await;
        if let Some(change) = change {
            self.changed(endpoint, change).await;
        }
        Ended::of(&attempt, outcome)
    }

    async fn turn(&self, endpoint: &Endpoint) -> Result<(Pass, Place), Refusal> {
        let patience = self.settings.patience;
        let pass = endpoint.gate.enter(patience).await?;
        let place = self.lanes.enter(pass.trusted, patience).await;
        place.map(|place| (pass, place)).ok_or(Refusal::Busy {
            retry_after: self.settings.timeout,
        })
    }

    async fn claim(&self, endpoint: &Endpoint, asked: bool, held: &Held) -> Result<Claimed, Ended> {
        let at_most_once = endpoint.guarantee == Guarantee::AtMostOnce;
        let claim = Claim {
            key: held.key().clone(),
            asked,
            at_most_once,
        };
        self.claims.ask(claim).await.map_err(Ended::Store)
    }

    /// Sends it. A request that is overdue makes room for those of others.
    async fn attempt(
        &self,
        event: &Event,
        destination: &Destination,
        body: &Body,
        (mut pass, mut place): (Pass, Place),
    ) -> (Attempt, Option<Change>) {
        let mut sending = std::pin::pin!(event.send(&self.client, destination, body));
        let attempt = match timeout(self.settings.patience, &mut sending).await {
            Ok(attempt) => attempt,
            Err(_elapsed) => {
                pass.stall();
                self.lanes.step_aside(&mut place);
                sending.await
            }
        };
        place.leave();
        let change = sign(&attempt).and_then(|sign| pass.end(sign));
        (attempt, change)
    }

    /// Writes it down, however long that takes.
    async fn settle(&self, settlement: Settlement, held: &mut Held) -> Result<(), Ended> {
        self.outcomes.ask(settlement).await.map_err(Ended::Store)?;
        held.settled();
        Ok(())
    }

    /// A disabled endpoint is told nothing; what it misses is written down, for whoever enables it.
    async fn missed(
        &self,
        event: &Event,
        endpoint: &Endpoint,
        asked: bool,
        held: &mut Held,
        waited_for: WaitedFor,
    ) -> Ended {
        let claimed = match self.claim(endpoint, asked, held).await {
            Ok(Claimed::Failed { .. } | Claimed::Unknown) => return Ended::Done,
            Ok(claimed) => claimed,
            Err(ended) => return ended,
        };
        let epoch = match claimed.ours() {
            Ok(epoch) => epoch,
            Err(ended) => return *ended,
        };
        let (state, report) = (DeliveryState::Missed, Report::missed());
        let settlement = Settlement::of(event, held, epoch, state, report, waited_for);
        self.settle(settlement, held)
            .await
            .map_or_else(|ended| ended, |()| Ended::Done)
    }
}
