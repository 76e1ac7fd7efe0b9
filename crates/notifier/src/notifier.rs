//! The handler that fans records out.

mod deliver;
mod fan_out;
mod message;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Attempt, Failure, Handler, Record};
use pg_replication::ConnectOptions;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use webhook::Client;

use self::store::Store;
use crate::alert::Alerts;
use crate::batch::Batcher;
use crate::closings::Closings;
use crate::delivery::{Claiming, Owner, Settling};
use crate::directory::Directory;
use crate::error::Error;
use crate::event::Event;
use crate::health::Noting;
use crate::in_flight::InFlight;
use crate::lanes::Lanes;
use crate::metric;
use crate::secret_keys::SecretKeys;
use crate::session::Session;
use crate::settings::Settings;

/// Round trips with outcomes at the same time: each waits for the disk, and the next need not wait for that.
const OUTCOMES: usize = 2;

/// Sends records to the endpoints that subscribed to them, each event to each endpoint once.
///
/// Dropping it stops everything at once, as a crash would: what was being sent is left to the end of its lease.
/// [`close`](Self::close) waits for it.
pub struct Notifier {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    _stop: DropGuard,
}

/// What all deliveries use.
struct Shared {
    settings: Settings,
    client: Client,
    directory: Arc<Directory>,
    claims: Batcher<Claiming>,
    outcomes: Batcher<Settling>,
    notes: Batcher<Noting>,
    closings: Batcher<Closings>,
    in_flight: Arc<InFlight>,
    lanes: Lanes,
    store: Store,
    deliveries: Arc<Semaphore>,
    alerts: Arc<dyn Alerts>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Notifier {
    /// Connects, looks whether the tables are there, and starts its tasks on the runtime that it is called from.
    ///
    /// It uses up to seven sessions, of ordinary SQL, so a pooler is fine. The tables are made by `cdc-relay init`. Dropping
    /// the future closes what is open.
    ///
    /// # Errors
    ///
    /// [`Error::Postgres`] when the server cannot be reached or refuses, [`Error::NoTable`].
    pub async fn start(
        options: &ConnectOptions,
        client: Client,
        keys: SecretKeys,
        alerts: Arc<dyn Alerts>,
        settings: Settings,
    ) -> Result<Self, Error> {
        let session = || Session::new(options.clone(), settings.database_timeout);
        for columns in [
            "closed_until, news_at FROM cdc.endpoint",
            "FROM cdc.subscription",
            "untold FROM cdc.delivery",
            "FROM cdc.attempt",
            // They do nothing, but are to be there, and this role's to call.
            "cdc.claim_new_deliveries('{}', '{}', '{}', '', 0, false), cdc.settle_arrived('{}', '{}', '{}')",
        ] {
            let sql = format!("SELECT {columns} LIMIT 0");
            session()
                .query("read the tables of the notifier", &sql, &[])
                .await?;
        }
        metric::describe();
        let (tasks, stop, owner) = (TaskTracker::new(), CancellationToken::new(), Owner::new());
        let batch = settings.batch();
        let claiming = Claiming {
            session: session(),
            owner: owner.clone(),
            lease: settings.lease(),
        };
        let settling = std::iter::repeat_with(|| Settling {
            session: session(),
            owner: owner.clone(),
            log_fails: false,
        })
        .take(OUTCOMES)
        .collect();
        let noting = Noting {
            session: session(),
            disable_after: settings.disable_after,
        };
        let closings = Closings { session: session() };
        let guard = client.guard().clone();
        let shared = Shared {
            settings,
            client,
            directory: Arc::new(Directory::start(
                session, &settings, keys, guard, &tasks, &stop,
            )),
            claims: Batcher::start(vec![claiming], settings.at_once(), &tasks, &stop),
            outcomes: Batcher::start(settling, batch, &tasks, &stop),
            notes: Batcher::start(vec![noting], batch, &tasks, &stop),
            closings: Batcher::start(vec![closings], batch, &tasks, &stop),
            in_flight: Arc::default(),
            lanes: Lanes::new(settings.concurrency),
            store: Store::default(),
            deliveries: Arc::new(Semaphore::new(settings.max_deliveries.get())),
            alerts,
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            tasks,
            _stop: stop.drop_guard(),
        })
    }

    /// From now on no record waits for a store that is away: each comes back as put off. To be called before the consumer
    /// is stopped, which waits for its records.
    pub fn stop_waiting(&self) {
        self.shared.store.stop_waiting();
    }

    /// Waits until everything that was begun is written down, for no longer than `deadline`, and stops. To be called
    /// once no more records come. Gives whether it was all written down.
    pub async fn close(self, deadline: Duration) -> bool {
        let Self {
            shared,
            tasks,
            _stop,
        } = self;
        // The batchers end with the last delivery that may ask them.
        drop(shared);
        tasks.close();
        timeout(deadline, tasks.wait()).await.is_ok()
    }
}

impl Handler for Notifier {
    /// Sends the record to its endpoints, or to the one that its part names. While the store is away it waits: nothing can
    /// be sent to anybody without a claim, and that is no failure of the record.
    ///
    /// Dropping the future leaves what was begun to go on by itself; the record, when it comes again, finds what
    /// became of it.
    async fn handle(&self, record: &Record, _: Attempt) -> Result<(), Failure> {
        let event = Arc::new(Event::read(record).map_err(Failure::poison)?);
        let mut waits = self.shared.store.waits();
        loop {
            let turn = match &record.part {
                Some(part) => self.shared.one(&event, part).await,
                None => self.shared.all(&event).await,
            };
            if let Some(result) = waits.unless_away(turn).await {
                return result;
            }
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
