//! One event to one endpoint.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cdc_event::{ErrorCode, HandlerError, PartDisposition};
use tokio::time::timeout;
use tracing::warn;
use webhook::{Attempt, Body};

use super::Shared;
use crate::alert::{DisabledReason, Warning};
use crate::delivery::{Claim, Claimed, DeliveryKey, DeliveryState, Epoch, Settlement, UNKNOWN};
use crate::directory::{Destination, Endpoint, note_interval};
use crate::endpoint::Guarantee;
use crate::error::Error;
use crate::event::Event;
use crate::gate::{Pass, Refusal};
use crate::health::{Condition, Consequence, Note};
use crate::in_flight::Held;
use crate::lanes::Place;
use crate::metric;
use crate::outcome::{Outcome, sign};
use crate::settings::AttemptLog;

/// Codes of deliveries that were not even tried.
const IN_FLIGHT: ErrorCode = ErrorCode::from_static("delivery-in-flight");
const CLOSED: ErrorCode = ErrorCode::from_static("endpoint-closed");
const BUSY: ErrorCode = ErrorCode::from_static("endpoint-busy");
const RATE: ErrorCode = ErrorCode::from_static("endpoint-rate");
const FORMAT: ErrorCode = ErrorCode::from_static("event-format");

/// The code of a delivery that its endpoint missed.
const DISABLED: &str = "endpoint-disabled";

/// The most of an answer that is written down.
const EXCERPT_BYTES: usize = 1024;

/// How a delivery ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// There is nothing more to do.
    Done,
    Failed {
        error: HandlerError,
        disposition: PartDisposition,
    },
    /// Nothing was sent, as nothing could be written down.
    Store(Arc<Error>),
}

/// What is written down of an attempt, besides its state.
#[derive(Debug, Default)]
struct Report {
    /// How long the request took, if it is to be kept.
    logged: Option<Duration>,
    status: Option<u16>,
    code: Option<String>,
    excerpt: Option<String>,
}

impl Shared {
    /// Sends an event to an endpoint, unless that was done before, and writes down what came of it before anything
    /// else is done about it.
    pub(super) async fn deliver(&self, event: &Event, endpoint: &Endpoint, asked: bool) -> Ended {
        let key = DeliveryKey {
            event: event.id.as_str().into(),
            endpoint: endpoint.id.clone(),
        };
        let Some(held) = self.in_flight.hold(key) else {
            return Ended::elsewhere(Duration::from_secs(1));
        };
        let ended = self.held(event, endpoint, asked, held).await;
        if let Some(label) = ended.label() {
            metrics::counter!(metric::DELIVERIES, metric::OUTCOME => label).increment(1);
        }
        ended
    }

    async fn held(&self, event: &Event, endpoint: &Endpoint, asked: bool, mut held: Held) -> Ended {
        if !endpoint.enabled {
            return self.missed(event, endpoint, asked, &mut held).await;
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
            Ok(epoch) => epoch,
            Err(ended) => return ended,
        };
        held.sending();
        let attempt = self.attempt(event, destination, &body, (pass, place)).await;
        let outcome = Outcome::of(&attempt, endpoint.guarantee);
        let arrived = (outcome == Outcome::Delivered).then(SystemTime::now);
        let settlement = Settlement::of(
            event,
            &held,
            epoch,
            outcome.state(),
            Report::of(&attempt, outcome, self.settings.attempt_log),
        );
        if let Err(ended) = self.settle(settlement, &mut held).await {
            return ended;
        }
        drop(held);
        metrics::counter!(metric::DELIVERIES, metric::OUTCOME => outcome.label()).increment(1);
        metrics::histogram!(metric::REQUEST_SECONDS).record(attempt.duration);
        if let Some(age) = arrived.and_then(|at| at.duration_since(event.timestamp).ok()) {
            metrics::histogram!(metric::EVENT_TO_DELIVERY).record(age);
        }
        self.note(endpoint, outcome).await;
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

    async fn claim(&self, endpoint: &Endpoint, asked: bool, held: &Held) -> Result<Epoch, Ended> {
        let at_most_once = endpoint.guarantee == Guarantee::AtMostOnce;
        let claim = Claim {
            key: held.key().clone(),
            asked,
            at_most_once,
        };
        match self.claims.ask(claim).await.map_err(Ended::Store)? {
            Claimed::Ours(epoch) => Ok(epoch),
            Claimed::Delivered => Err(Ended::Done),
            Claimed::Elsewhere { retry_after } => Err(Ended::elsewhere(retry_after)),
            Claimed::Unknown => Err(Ended::poison(HandlerError::new(
                ErrorCode::from_static(UNKNOWN),
                "it may have arrived before, and the endpoint must not hear it twice",
            ))),
            // A record that comes again because its consumer was killed must fail again, or nobody hears of it.
            Claimed::Failed { code } => Err(Ended::poison(HandlerError::new(
                ErrorCode::new(code),
                "the endpoint refused it before",
            ))),
        }
    }

    /// Sends it. A request that is overdue makes room for those of others.
    async fn attempt(
        &self,
        event: &Event,
        destination: &Destination,
        body: &Body,
        (mut pass, mut place): (Pass, Place),
    ) -> Attempt {
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
        if let Some(sign) = sign(&attempt)
            && pass.end(sign)
        {
            metrics::counter!(metric::CLOSED_ENDPOINTS).increment(1);
        }
        attempt
    }

    /// Writes it down, however long that takes.
    async fn settle(&self, settlement: Settlement, held: &mut Held) -> Result<(), Ended> {
        let ours = self.outcomes.ask(settlement).await.map_err(Ended::Store)?;
        if !ours {
            metrics::counter!(metric::FENCED).increment(1);
        }
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
    ) -> Ended {
        let epoch = match self.claim(endpoint, asked, held).await {
            Ok(epoch) => epoch,
            Err(Ended::Failed {
                disposition: PartDisposition::Poison,
                ..
            }) => return Ended::Done,
            Err(ended) => return ended,
        };
        let report = Report {
            code: Some(DISABLED.to_owned()),
            ..Report::default()
        };
        let settlement = Settlement::of(event, held, epoch, DeliveryState::Missed, report);
        self.settle(settlement, held)
            .await
            .map_or_else(|ended| ended, |()| Ended::Done)
    }

    /// Notes how the endpoint does, if that is news. What became of the event does not depend on it.
    async fn note(&self, endpoint: &Endpoint, outcome: Outcome) {
        let condition = match outcome {
            Outcome::Delivered if endpoint.failing.works() => Condition::Works,
            Outcome::Delivered => return,
            Outcome::Gone => Condition::Gone,
            Outcome::Retry { .. } | Outcome::Rejected | Outcome::Unknown => {
                if !endpoint
                    .failing
                    .fails(note_interval(self.settings.disable_after))
                {
                    return;
                }
                Condition::Fails
            }
        };
        match self
            .notes
            .ask(Note {
                endpoint: endpoint.id.clone(),
                condition,
            })
            .await
        {
            Ok(None) => {}
            Ok(Some(Consequence::Disabled(reason))) => self.disabled(endpoint, reason),
            Ok(Some(Consequence::Warned(warning))) => self.warned(endpoint, warning),
            Err(error) => warn!(
                { metric::ENDPOINT } = endpoint.id.as_str(),
                error = &error as &dyn std::error::Error,
                "how the endpoint does could not be written down"
            ),
        }
    }

    fn disabled(&self, endpoint: &Endpoint, reason: DisabledReason) {
        self.directory.forget(&endpoint.id);
        warn!({ metric::ENDPOINT } = endpoint.id.as_str(), %reason, "endpoint disabled");
        metrics::counter!(metric::DISABLED_ENDPOINTS, metric::REASON => reason.as_str())
            .increment(1);
        self.alerts.endpoint_disabled(&endpoint.id, reason);
    }

    fn warned(&self, endpoint: &Endpoint, warning: Warning) {
        warn!(
            { metric::ENDPOINT } = endpoint.id.as_str(),
            { metric::PERCENT } = warning.percent,
            { metric::LEFT } = ?warning.left,
            "endpoint does nothing but fail, and will be disabled"
        );
        self.alerts.endpoint_failing(&endpoint.id, warning);
    }
}

impl Ended {
    pub(super) const fn transient(error: HandlerError, retry_after: Option<Duration>) -> Self {
        Self::Failed {
            error,
            disposition: PartDisposition::Transient { retry_after },
        }
    }

    /// Nothing was sent, so no attempt is counted.
    const fn wait(error: HandlerError, after: Duration) -> Self {
        Self::Failed {
            error,
            disposition: PartDisposition::Wait { after },
        }
    }

    const fn poison(error: HandlerError) -> Self {
        Self::Failed {
            error,
            disposition: PartDisposition::Poison,
        }
    }

    fn elsewhere(retry_after: Duration) -> Self {
        let what = "the delivery is being made, or was when its process died";
        Self::wait(HandlerError::new(IN_FLIGHT, what), retry_after)
    }

    fn refused(refusal: Refusal) -> Self {
        let (code, what, retry_after) = match refusal {
            Refusal::Closed { retry_after } => (
                CLOSED,
                "the endpoint failed too often, or asked for a pause",
                retry_after,
            ),
            Refusal::Busy { retry_after } => (
                BUSY,
                "the endpoint has as many requests as it can bear",
                retry_after,
            ),
            Refusal::RateLimited { retry_after } => {
                (RATE, "the endpoint's rate is used up", retry_after)
            }
        };
        Self::wait(HandlerError::new(code, what), retry_after)
    }

    fn of(attempt: &Attempt, outcome: Outcome) -> Self {
        let error = || {
            let code = ErrorCode::from_static(attempt.code().as_str());
            match &attempt.result {
                Ok(answer) => HandlerError::new(
                    code,
                    format!("the endpoint answered {}", answer.status.as_u16()),
                ),
                // The cause may name addresses; what it means is in the code.
                Err(error) => HandlerError::new(code, error.to_string()),
            }
        };
        match outcome {
            Outcome::Delivered => Self::Done,
            Outcome::Retry { retry_after } => Self::transient(error(), retry_after),
            Outcome::Rejected | Outcome::Gone | Outcome::Unknown => Self::poison(error()),
        }
    }

    /// What a delivery that was not tried counts as.
    fn label(&self) -> Option<&'static str> {
        let Self::Failed { error, .. } = self else {
            return None;
        };
        [IN_FLIGHT, CLOSED, BUSY, RATE, FORMAT]
            .iter()
            .find(|code| *code == error.code())
            .map(|code| match code.as_str() {
                "delivery-in-flight" => "in-flight",
                "endpoint-closed" => "closed",
                "endpoint-busy" => "busy",
                "endpoint-rate" => "rate-limited",
                _ => "unformattable",
            })
    }
}

impl Report {
    fn of(attempt: &Attempt, outcome: Outcome, log: AttemptLog) -> Self {
        let arrived = outcome == Outcome::Delivered;
        let excerpt = attempt
            .result
            .as_ref()
            .ok()
            .filter(|_| !arrived)
            .map(|answer| bounded(&answer.excerpt));
        Self {
            logged: log.keeps(arrived).then_some(attempt.duration),
            status: attempt.status().map(|status| status.as_u16()),
            code: (!arrived).then(|| attempt.code().as_str().to_owned()),
            excerpt: excerpt.filter(|text| !text.is_empty()),
        }
    }
}

impl Settlement {
    fn of(event: &Event, held: &Held, epoch: Epoch, state: DeliveryState, report: Report) -> Self {
        let arrived = state == DeliveryState::Delivered;
        Self {
            key: held.key().clone(),
            epoch,
            state,
            status: report.status,
            code: report.code,
            excerpt: report.excerpt,
            origin: (!arrived).then(|| event.origin.clone()),
            logged: report.logged,
        }
    }
}

/// The beginning of a text, without NUL, which PostgreSQL cannot store.
fn bounded(text: &str) -> String {
    let end = text.floor_char_boundary(EXCERPT_BYTES);
    text[..end].replace('\0', "\u{FFFD}")
}
