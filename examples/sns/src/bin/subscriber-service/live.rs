//! Tells open pages that there is something new.

use std::convert::Infallible;

use axum::response::sse::Event;
use futures_util::{Stream, stream};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// More are not needed: a page asks for everything when it hears anything.
const MAX_BEHIND: usize = 16;

/// Something has changed. Clones share their listeners.
#[derive(Clone)]
pub(crate) struct News(broadcast::Sender<()>);

impl Default for News {
    fn default() -> Self {
        Self(broadcast::channel(MAX_BEHIND).0)
    }
}

impl News {
    /// Tells all pages that are open.
    pub(crate) fn tell(&self) {
        // Nobody may be listening.
        drop(self.0.send(()));
    }

    /// One event for each change from now on, or for several at once.
    pub(crate) fn events(&self) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
        stream::unfold(self.0.subscribe(), |mut listener| async {
            match listener.recv().await {
                Ok(()) | Err(RecvError::Lagged(_)) => {
                    Some((Ok(Event::default().data("changed")), listener))
                }
                Err(RecvError::Closed) => None,
            }
        })
    }
}
