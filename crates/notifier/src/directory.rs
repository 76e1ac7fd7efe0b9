//! Who gets what, and how: endpoints and subscriptions, as they were a moment ago.

mod cache;
mod destination;
mod lookup;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use webhook::Guard;

use self::cache::{Cache, Fresh};
use self::lookup::{LoadEndpoints, LoadSubscribers, Wanted};
use crate::batch::Batcher;
use crate::endpoint::{EndpointId, EndpointRow};
use crate::error::Error;
use crate::gate::{Breaker, Gate};
use crate::secret_keys::SecretKeys;
use crate::session::Session;
use crate::settings::Settings;

pub(crate) use destination::{Destination, Endpoint, Failing, format};

/// Endpoints of one page of subscribers.
const PAGE: usize = 512;

/// Pages of one round trip: so many subscribers may be in memory at once.
const PAGES: usize = 32;

/// What is read anew before it expires, at the same time; the rest of it expires.
const AHEAD: usize = 256;

/// Endpoints and subscriptions, read in batches and kept for a while. What is used all the time is read anew before it
/// expires, so that no event waits for that.
#[derive(Debug)]
pub(crate) struct Directory {
    loaded_endpoints: Cache<EndpointId, Option<Arc<Endpoint>>>,
    loaded_subscribers: Cache<Topic, Arc<[EndpointId]>>,
    endpoints: Batcher<LoadEndpoints>,
    subscribers: Batcher<LoadSubscribers>,
    keys: SecretKeys,
    guard: Guard,
    breaker: Breaker,
    tasks: TaskTracker,
    ahead: Arc<Semaphore>,
}

/// What can be subscribed to: a subject, if the event has one, and a type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Topic {
    pub(crate) subject: Option<Arc<str>>,
    pub(crate) kind: Arc<str>,
}

/// Some subscribers, in the order of their ids.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) endpoints: Arc<[EndpointId]>,
    /// Where the next page begins, if this one is full.
    pub(crate) next: Option<Arc<str>>,
}

impl Directory {
    /// Starts the tasks that read; they end with the directory, or at once when `stop` is cancelled.
    pub(crate) fn start(
        session: impl Fn() -> Session,
        settings: &Settings,
        keys: SecretKeys,
        guard: Guard,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let batch = settings.at_once();
        let pages = crate::batch::BatchLimits {
            items: PAGES,
            ..batch
        };
        let (expiry, entries) = (settings.cache_expiry, settings.cache_entries.get());
        Self {
            loaded_endpoints: Cache::new(expiry, entries, |_| 1),
            loaded_subscribers: Cache::new(expiry, entries, |endpoints| endpoints.len() + 1),
            endpoints: Batcher::start(
                vec![LoadEndpoints { session: session() }],
                batch,
                tasks,
                stop,
            ),
            subscribers: Batcher::start(
                vec![LoadSubscribers {
                    session: session(),
                    page: PAGE,
                }],
                pages,
                tasks,
                stop,
            ),
            keys,
            guard,
            breaker: Breaker {
                failures: settings.breaker_failures.get(),
                pause: settings.breaker_pause,
            },
            tasks: tasks.clone(),
            ahead: Arc::new(Semaphore::new(AHEAD)),
        }
    }

    /// A page of subscribers: the first, or the one that begins after `after`.
    ///
    /// Cancellation safe.
    pub(crate) async fn subscribers(
        self: &Arc<Self>,
        topic: &Topic,
        after: Option<Arc<str>>,
    ) -> Result<Page, Arc<Error>> {
        let first = after.is_none();
        if first && let Some(Fresh { value, ageing }) = self.loaded_subscribers.get(topic) {
            if ageing {
                let (directory, topic) = (Arc::clone(self), topic.clone());
                self.read_ahead(async move { directory.read_subscribers(&topic, None).await });
            }
            return Ok(Page {
                endpoints: value,
                next: None,
            });
        }
        self.read_subscribers(topic, after).await
    }

    async fn read_subscribers(
        &self,
        topic: &Topic,
        after: Option<Arc<str>>,
    ) -> Result<Page, Arc<Error>> {
        let first = after.is_none();
        let found = self
            .subscribers
            .ask(Wanted {
                topic: topic.clone(),
                after,
            })
            .await?;
        let page = Page {
            endpoints: found.endpoints.into(),
            next: found.next,
        };
        // More than a page is read anew each time: such events are rare, and not worth the memory.
        if first {
            if page.next.is_none() {
                let endpoints = Arc::clone(&page.endpoints);
                self.loaded_subscribers.put(topic.clone(), endpoints);
            } else {
                self.loaded_subscribers.expire(topic);
            }
        }
        Ok(page)
    }

    /// An endpoint; `None` if there is none of this name.
    ///
    /// Cancellation safe.
    pub(crate) async fn endpoint(
        self: &Arc<Self>,
        id: &EndpointId,
    ) -> Result<Option<Arc<Endpoint>>, Arc<Error>> {
        if let Some(Fresh { value, ageing }) = self.loaded_endpoints.get(id) {
            if ageing {
                let (directory, id) = (Arc::clone(self), id.clone());
                self.read_ahead(async move {
                    let row = directory.endpoints.ask(id.clone()).await?;
                    Ok(directory.keep_endpoint(&id, row))
                });
            }
            return Ok(value);
        }
        let row = self.endpoints.ask(id.clone()).await?;
        if let Some(fresh) = self.loaded_endpoints.get(id) {
            // Somebody else asked too. There is to be one gate.
            return Ok(fresh.value);
        }
        Ok(self.keep_endpoint(id, row))
    }

    fn keep_endpoint(&self, id: &EndpointId, row: Option<EndpointRow>) -> Option<Arc<Endpoint>> {
        let before = self.loaded_endpoints.expired(id).flatten();
        let endpoint = row.map(|row| self.ready(&row, before.as_ref()));
        self.loaded_endpoints.put(id.clone(), endpoint.clone());
        endpoint
    }

    /// Reads something beside. If that fails, whoever needs it next reads it, and hears why it cannot be read.
    fn read_ahead<T: Send>(
        &self,
        read: impl Future<Output = Result<T, Arc<Error>>> + Send + 'static,
    ) {
        if let Ok(place) = Arc::clone(&self.ahead).try_acquire_owned() {
            self.tasks.spawn(async move {
                drop(read.await);
                drop(place);
            });
        }
    }

    /// What is known of an endpoint is no longer true.
    pub(crate) fn forget(&self, id: &EndpointId) {
        self.loaded_endpoints.expire(id);
    }

    /// What was learnt about an endpoint outlives a reload.
    fn ready(&self, row: &EndpointRow, before: Option<&Arc<Endpoint>>) -> Arc<Endpoint> {
        if let Some(before) = before.filter(|before| before.is_still(row)) {
            return Arc::clone(before);
        }
        let (gate, failing) = match before {
            Some(before) => (Arc::clone(&before.gate), Arc::clone(&before.failing)),
            None => (
                Arc::new(Gate::new(row.limits, self.breaker, row.closing)),
                Arc::new(Failing::default()),
            ),
        };
        gate.set_limits(row.limits);
        failing.loaded(row.first_failed_at.is_some());
        Arc::new(Endpoint::new(row, gate, failing, &self.keys, &self.guard))
    }
}

/// At most so often is it written down that an endpoint fails.
pub(crate) fn note_interval(disable_after: Option<Duration>) -> Duration {
    const MOST: Duration = Duration::from_secs(3600);
    disable_after.map_or(MOST, |after| (after / 100).min(MOST))
}
