//! A record to all of its endpoints.

use std::sync::Arc;

use cdc_event::{ErrorCode, FailedPart, Failure, HandlerError, PartDisposition, PartId};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

use super::Shared;
use super::deliver::Ended;
use super::store::NotDone;
use crate::directory::{Page, Topic};
use crate::endpoint::EndpointId;
use crate::error::Error;
use crate::event::Event;
use crate::waits::Waits;

/// Deliveries of one record that are begun at a time.
const WINDOW: usize = 256;

/// The code of a delivery that goes on by itself.
const OVERDUE: ErrorCode = ErrorCode::from_static("delivery-overdue");

/// The code of a delivery that ended by a bug.
const PANICKED: ErrorCode = ErrorCode::from_static("delivery-panicked");

impl Shared {
    /// To one endpoint, which was asked for.
    pub(super) async fn one(
        self: &Arc<Self>,
        event: &Arc<Event>,
        part: &PartId,
    ) -> Result<(), NotDone> {
        match self.begin(event, EndpointId::from(part), true).await.1 {
            Ended::Done => Ok(()),
            Ended::Failed { error, disposition } => Err(NotDone::Failed(match disposition {
                PartDisposition::Transient { retry_after } => {
                    Failure::Transient { error, retry_after }
                }
                PartDisposition::Wait { after } => Failure::Wait { error, after },
                PartDisposition::Underway { after } => Failure::Underway { error, after },
                PartDisposition::Poison => Failure::Poison { error },
            })),
            Ended::Store(error) => Err(NotDone::Store(error)),
        }
    }

    /// To all that subscribed, page after page.
    pub(super) async fn all(self: &Arc<Self>, event: &Arc<Event>) -> Result<(), NotDone> {
        let topic = Topic {
            subject: event.subject.clone(),
            kind: Arc::clone(&event.kind),
        };
        let page = self.directory.subscribers(&topic, None).await;
        let page = page.map_err(NotDone::Store)?;
        let mut parts = Vec::new();
        match (&*page.endpoints, &page.next) {
            ([only], None) => {
                let ended = self.begin(event, only.clone(), false).await;
                collect(ended, &mut parts).map_err(NotDone::Store)?;
            }
            _ => self.pages(event, &topic, page, &mut parts).await?,
        }
        if parts.is_empty() {
            Ok(())
        } else {
            Err(NotDone::Failed(Failure::Partial { parts }))
        }
    }

    /// To those of a page, and of the pages after it.
    async fn pages(
        self: &Arc<Self>,
        event: &Arc<Event>,
        topic: &Topic,
        mut page: Page,
        parts: &mut Vec<FailedPart>,
    ) -> Result<(), NotDone> {
        let mut running = FuturesUnordered::new();
        loop {
            for endpoint in page.endpoints.iter() {
                if running.len() >= WINDOW
                    && let Some(ended) = running.next().await
                {
                    collect(ended, parts).map_err(NotDone::Store)?;
                }
                running.push(self.begin(event, endpoint.clone(), false));
            }
            if page.next.is_none() {
                break;
            }
            let next = self.directory.subscribers(topic, page.next).await;
            page = next.map_err(NotDone::Store)?;
        }
        while let Some(ended) = running.next().await {
            collect(ended, parts).map_err(NotDone::Store)?;
        }
        Ok(())
    }

    /// Begins a delivery and waits for it as long as a record waits for an endpoint. What takes longer, or what
    /// nobody waits for any more, goes on by itself.
    async fn begin(
        self: &Arc<Self>,
        event: &Arc<Event>,
        id: EndpointId,
        asked: bool,
    ) -> (EndpointId, Ended) {
        let endpoint = match self.directory.endpoint(&id).await {
            Ok(Some(endpoint)) => endpoint,
            // Nobody is there any more who could miss it.
            Ok(None) => return (id, Ended::Done),
            Err(error) => return (id, Ended::Store(error)),
        };
        let Ok(begun) = Arc::clone(&self.deliveries).acquire_owned().await else {
            return (id, Ended::Store(Arc::new(Error::Stopping)));
        };
        let (shared, event, ordered) =
            (Arc::clone(self), Arc::clone(event), endpoint.limits.ordered);
        let (stop, waits) = (self.stop.clone(), Waits::default());
        let waited_for = waits.watched();
        let mut task = self.tasks.spawn(async move {
            let delivery = Box::pin(shared.deliver(&event, &endpoint, asked, waited_for));
            let ended = stop.run_until_cancelled(delivery).await;
            drop(begun);
            ended
        });
        let patience = self.settings.patience.saturating_mul(2);
        let joined = if ordered {
            Ok(task.await)
        } else {
            match timeout(patience, &mut task).await {
                // It has ended, and that is being written down as heard.
                Err(_elapsed) if !waits.may_go() => Ok(task.await),
                joined => joined,
            }
        };
        // From here on, or when this future is dropped, what comes of it is to be told at the next look.
        drop(waits);
        let ended = match joined {
            Ok(Ok(Some(ended))) => ended,
            Ok(Ok(None)) => Ended::Store(Arc::new(Error::Stopping)),
            Ok(Err(panicked)) => Ended::transient(
                HandlerError::new(PANICKED, "the delivery ended by a bug").caused_by(panicked),
                None,
            ),
            Err(_elapsed) => Ended::underway(
                HandlerError::new(
                    OVERDUE,
                    "the endpoint takes its time; the delivery goes on by itself",
                ),
                patience,
            ),
        };
        (id, ended)
    }
}

fn collect(
    (endpoint, ended): (EndpointId, Ended),
    parts: &mut Vec<FailedPart>,
) -> Result<(), Arc<Error>> {
    match ended {
        Ended::Done => Ok(()),
        Ended::Failed { error, disposition } => {
            parts.push(FailedPart {
                part: endpoint.part(),
                error,
                disposition,
            });
            Ok(())
        }
        // It concerns the others too: the record comes again as a whole, and those that are done stay done.
        Ended::Store(error) => Err(error),
    }
}
