//! The endpoints, for people.

mod add;
mod change;
mod remove;
mod secret;
mod state;
mod test_message;

use std::time::{Duration, SystemTime};

use pg_replication::ConnectOptions;
use tokio_postgres::types::Type;
use webhook::{Client, Secret};

use crate::endpoint::{COLUMNS, EndpointId, EndpointRow, EndpointState, Guarantee, Limits};
use crate::error::Error;
use crate::secret_keys::SecretKeys;
use crate::session::{Parameter, Session};

pub use change::{ChangedEndpoint, EndpointChange};
pub use remove::{RemovedEndpoint, Undelivered};
pub use state::Missed;
pub use test_message::TestResult;

/// The endpoints: one session with the database of the notifier.
///
/// What is changed here is known to every notifier within its `cache_expiry`. A call after the connection was lost
/// connects anew. A dropped call may have been done.
#[derive(Debug)]
pub struct Endpoints {
    session: Session,
    client: Client,
    keys: SecretKeys,
}

/// An endpoint to be added.
#[derive(Debug)]
pub struct NewEndpoint {
    /// Its name.
    pub id: EndpointId,
    /// Where to: `http` or `https`, without credentials in it.
    pub url: String,
    /// The name of a [`webhook::Format`].
    pub format: String,
    /// The template, for the format `template`.
    pub template: Option<String>,
    /// What to sign with; `None` makes a new one.
    pub secret: Option<Secret>,
    /// What to do when it is not known whether a request arrived.
    pub guarantee: Guarantee,
    /// What it can bear.
    pub limits: Limits,
    /// What it gets; nothing if there are none, as when an application has subscriptions of its own.
    pub subscriptions: Vec<Subscription>,
}

/// What an endpoint gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Subscription {
    /// Events of this subject, which is their key; `None` is all.
    pub subject: Option<String>,
    /// Events of this type, or with `.*` at its end of all types that begin so, such as `post.*`; `None` is all.
    pub event_type: Option<String>,
}

/// An endpoint without its secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointInfo {
    /// Its name.
    pub id: EndpointId,
    /// Where to. The path of a chat's webhook is a secret by itself: not for logs.
    pub url: String,
    /// The name of its format.
    pub format: String,
    /// The template, for the format `template`.
    pub template: Option<String>,
    /// Whether requests are signed.
    pub signed: bool,
    /// Until when they are signed with the secret before, too.
    pub old_secret_until: Option<SystemTime>,
    /// What is done when it is not known whether a request arrived.
    pub guarantee: Guarantee,
    /// What it can bear.
    pub limits: Limits,
    /// Whether it is sent anything.
    pub state: EndpointState,
    /// Since when it did nothing but fail, roughly; `None` when it works, or nothing was sent yet.
    pub failing_since: Option<SystemTime>,
    /// When it was added.
    pub created_at: SystemTime,
}

impl Endpoints {
    /// A session that is made when it is first needed. `limit` is the time that a statement may take, `client` what a
    /// test message is sent by and URLs are checked by.
    #[must_use]
    pub fn new(
        options: &ConnectOptions,
        client: Client,
        keys: SecretKeys,
        limit: Duration,
    ) -> Self {
        Self {
            session: Session::new(options.clone(), limit),
            client,
            keys,
        }
    }

    /// All endpoints, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`], [`Error::Unreadable`].
    pub async fn list(&mut self) -> Result<Vec<EndpointInfo>, Error> {
        self.page(None, None).await
    }

    /// Endpoints by name: those that come after `after`, and no more than `limit`; without either, all.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn page(
        &mut self,
        after: Option<&EndpointId>,
        limit: Option<u32>,
    ) -> Result<Vec<EndpointInfo>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM cdc.endpoint WHERE $1 IS NULL OR id > $1 ORDER BY id LIMIT $2"
        );
        let (after, limit) = (after.map(EndpointId::as_str), limit.map(i64::from));
        let parameters: [Parameter<'_>; 2] = [(&after, Type::TEXT), (&limit, Type::INT8)];
        let rows = self
            .session
            .query("read endpoints", &sql, &parameters)
            .await?;
        rows.iter()
            .map(|row| EndpointRow::read(row).map(EndpointInfo::from))
            .collect()
    }

    fn check_url(&self, url: &str) -> Result<(), Error> {
        match self.client.guard().check_url(url) {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::Invalid {
                what: "URL",
                source: error.into(),
            }),
        }
    }

    async fn row(&mut self, id: &EndpointId) -> Result<EndpointRow, Error> {
        let sql = format!("SELECT {COLUMNS} FROM cdc.endpoint WHERE id = $1");
        let rows = self
            .session
            .query("read an endpoint", &sql, &[(&id.as_str(), Type::TEXT)])
            .await?;
        rows.first()
            .map_or_else(|| Err(Error::NoEndpoint(id.clone())), EndpointRow::read)
    }
}

/// Subscriptions as columns: subjects and types.
fn columns(subscriptions: &[Subscription]) -> (Vec<Option<&str>>, Vec<Option<&str>>) {
    let each = subscriptions.iter();
    each.map(|one| (one.subject.as_deref(), one.event_type.as_deref()))
        .unzip()
}

impl From<EndpointRow> for EndpointInfo {
    fn from(row: EndpointRow) -> Self {
        Self {
            id: row.id,
            url: row.url,
            format: row.format,
            template: row.template,
            signed: !row.secrets.is_empty(),
            old_secret_until: row.old_secret_until,
            guarantee: row.guarantee,
            limits: row.limits,
            state: row.state,
            failing_since: row.first_failed_at,
            created_at: row.created_at,
        }
    }
}
