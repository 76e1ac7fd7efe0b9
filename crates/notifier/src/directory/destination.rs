//! An endpoint, ready to be sent to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use cdc_event::{ErrorCode, HandlerError};
use tokio::time::Instant;
use webhook::{Format, Guard, Secret, Secrets, Target};

use crate::endpoint::{EndpointId, EndpointRow, EndpointState, Guarantee, Limits};
use crate::error::Error;
use crate::gate::Gate;
use crate::secret_keys::{SecretError, SecretKeys};

/// The code of an endpoint that cannot be sent to as it is configured.
const UNUSABLE: ErrorCode = ErrorCode::from_static("endpoint-unusable");

/// An endpoint, as it was a moment ago.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) guarantee: Guarantee,
    pub(crate) limits: Limits,
    pub(crate) enabled: bool,
    pub(crate) destination: Result<Destination, Unusable>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) failing: Arc<Failing>,
    revision: String,
    old_secret_until: Option<SystemTime>,
}

/// Where and how to send.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) target: Target,
    pub(crate) format: Format,
    pub(crate) secrets: Option<Secrets>,
}

/// Why an endpoint cannot be sent to as it is configured.
#[derive(Debug, Clone)]
pub(crate) struct Unusable(Arc<Error>);

/// Whether it is written down that an endpoint fails.
#[derive(Debug, Default)]
pub(crate) struct Failing(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    failing: bool,
    at: Option<Instant>,
}

impl Endpoint {
    pub(super) fn new(
        row: &EndpointRow,
        gate: Arc<Gate>,
        failing: Arc<Failing>,
        keys: &SecretKeys,
        guard: &Guard,
    ) -> Self {
        let now = SystemTime::now();
        Self {
            id: row.id.clone(),
            guarantee: row.guarantee,
            limits: row.limits,
            enabled: row.state == EndpointState::Enabled,
            destination: Destination::new(row, keys, guard, now)
                .map_err(|error| Unusable(Arc::new(error))),
            gate,
            failing,
            revision: row.revision.clone(),
            old_secret_until: row.old_secret_until.filter(|until| *until > now),
        }
    }

    /// Whether what is stored is what this was made of.
    pub(super) fn is_still(&self, row: &EndpointRow) -> bool {
        self.revision == row.revision
            && self
                .old_secret_until
                .is_none_or(|until| until > SystemTime::now())
    }
}

impl Destination {
    /// # Errors
    ///
    /// [`Error::Invalid`], [`Error::Secret`].
    pub(crate) fn new(
        row: &EndpointRow,
        keys: &SecretKeys,
        guard: &Guard,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let invalid = |what| move |source| Error::Invalid { what, source };
        let secret = |stored: &String| -> Result<Secret, Error> {
            let text = keys.open(&row.id, stored).map_err(Error::Secret)?;
            Secret::parse(&text).map_err(|error| invalid("secret")(error.into()))
        };
        let rotating = row.old_secret_until.is_some_and(|until| until > now);
        let secrets = match row.secrets.as_slice() {
            [] => None,
            [current, old, ..] if rotating => {
                Some(Secrets::rotating(secret(current)?, secret(old)?))
            }
            [current, ..] => Some(Secrets::new(secret(current)?)),
        };
        Ok(Self {
            target: guard
                .check_url(&row.url)
                .map_err(|error| invalid("URL")(error.into()))?,
            format: format(&row.format, row.template.as_deref())?,
            secrets,
        })
    }
}

/// A format by its name.
///
/// # Errors
///
/// [`Error::Invalid`].
pub(crate) fn format(name: &str, template: Option<&str>) -> Result<Format, Error> {
    Format::parse(name, template).map_err(|error| Error::Invalid {
        what: "format",
        source: error.into(),
    })
}

impl Unusable {
    /// It is not the endpoint's fault, and may be mended by a restart with the right key.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(&*self.0, Error::Secret(SecretError::NoKey(_)))
    }

    pub(crate) fn error(&self) -> HandlerError {
        HandlerError::new(
            UNUSABLE,
            "the endpoint cannot be sent to as it is configured",
        )
        .caused_by(Arc::clone(&self.0))
    }
}

impl Failing {
    /// What the database says of it.
    pub(super) fn loaded(&self, failing: bool) {
        self.noted().failing = failing;
    }

    /// It failed; whether that is to be written down, which it is once in `interval`.
    pub(crate) fn fails(&self, interval: Duration) -> bool {
        let now = Instant::now();
        let mut noted = self.noted();
        let new = !noted.failing || noted.at.is_none_or(|at| now - at >= interval);
        if new {
            *noted = Noted {
                failing: true,
                at: Some(now),
            };
        }
        new
    }

    /// It works; whether that is to be written down, which it is only after it failed.
    pub(crate) fn works(&self) -> bool {
        std::mem::take(&mut *self.noted()).failing
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        // Two values, each whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_written_down_now_and_then_and_the_end_of_them_once() {
        let interval = Duration::from_secs(10);
        let failing = Failing::default();
        assert!(!failing.works());
        assert!(failing.fails(interval));
        assert!(!failing.fails(interval));
        tokio::time::advance(interval).await;
        assert!(failing.fails(interval));
        assert!(failing.works() && !failing.works());
        assert!(failing.fails(interval));
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_ends_what_another_process_wrote_down() {
        let failing = Failing::default();
        failing.loaded(true);
        assert!(failing.works());
    }
}
