//! How an endpoint does, when that is news.

use std::sync::Arc;

use tracing::warn;

use crate::alert::{DisabledReason, Warning};
use crate::closings::Changed;
use crate::directory::{Endpoint, note_interval};
use crate::gate::Change;
use crate::health::{Condition, Consequence, Note};
use crate::metric;
use crate::notifier::Shared;
use crate::outcome::Outcome;

impl Shared {
    /// Notes how the endpoint does, if that is news. What became of the event does not depend on it.
    pub(super) async fn note(&self, endpoint: &Endpoint, outcome: Outcome) {
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

    /// Writes down that the endpoint was closed or opened. If that fails, a process that is started asks it once more than
    /// it would have.
    pub(super) async fn changed(&self, endpoint: &Endpoint, change: Change) {
        if change == Change::Closed {
            metrics::counter!(metric::CLOSED_ENDPOINTS).increment(1);
        }
        let changed = Changed {
            endpoint: endpoint.id.clone(),
            gate: Arc::clone(&endpoint.gate),
        };
        if let Err(error) = self.closings.ask(changed).await {
            warn!(
                { metric::ENDPOINT } = endpoint.id.as_str(),
                error = &error as &dyn std::error::Error,
                "that the endpoint was closed or opened could not be written down"
            );
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
