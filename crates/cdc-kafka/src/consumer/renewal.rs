//! One client after the other.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cdc_event::{Backoff, random_fraction};
use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer;
use tokio::sync::mpsc;

use super::context::{Client, Context, News};
use super::control::Control;
use super::event::ConsumerEvent;
use super::outbox::Outbox;
use super::poll::{Ended, Poller, SLEEP};
use super::settings::ConsumerSettings;
use crate::error::Error;
use crate::options::configuration_error;

/// Makes clients that are all alike.
pub(super) struct Maker {
    pub(super) config: ClientConfig,
    pub(super) settings: ConsumerSettings,
    pub(super) control: Arc<Control>,
}

/// A client that has subscribed, and what is heard of it.
pub(super) struct Made {
    pub(super) client: Arc<Client>,
    pub(super) news: Arc<News>,
}

/// Between two clients.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A client that was of use for this long begins the pauses anew.
const USEFUL: Duration = Duration::from_secs(300);

impl Maker {
    pub(super) fn make(&self) -> Result<Made, Error> {
        let news = Arc::new(News::new(&self.settings.group, self.control.waker.clone()));
        let mut client: Client = self
            .config
            .create_with_context(Context(Arc::clone(&news)))
            .map_err(configuration_error)?;
        let waker = self.control.waker.clone();
        client.set_nonempty_callback(move || waker.wake());
        let topics: Vec<&str> = self.settings.topics.iter().map(String::as_str).collect();
        client.subscribe(&topics).map_err(configuration_error)?;
        let client = Arc::new(client);
        self.control.works_with(&client);
        Ok(Made { client, news })
    }

    /// Polls until the consumer is closed, with another client when one is of no more use.
    ///
    /// Returns when the connections are gone; an error if something that was stored may not be committed.
    pub(super) fn run(self, first: Made, events: mpsc::Sender<ConsumerEvent>) -> Result<(), Error> {
        self.control.waker.wakes_this_thread();
        let mut outbox = Outbox::new(events);
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut made = first;
        loop {
            let began = Instant::now();
            let poller = Poller::new(made, &self.control, &self.settings, &mut outbox);
            match poller.run() {
                Ended::Closed(result) => return result,
                Ended::Useless(error) => outbox.tell(ConsumerEvent::Renewing(error)),
            }
            if began.elapsed() >= USEFUL {
                backoff.reset();
            }
            self.rest(Some(backoff.next_delay(random_fraction())), &mut outbox);
            if self.control.is_closing() {
                return Ok(());
            }
            made = match self.make() {
                Ok(made) => made,
                Err(error) => {
                    outbox.tell_last(ConsumerEvent::Failed(error));
                    self.rest(None, &mut outbox);
                    return Ok(());
                }
            };
        }
    }

    /// Waits until the consumer is closed, and no longer than `limit`.
    fn rest(&self, limit: Option<Duration>, outbox: &mut Outbox) {
        let began = Instant::now();
        loop {
            outbox.flush();
            let left = limit.map_or(SLEEP, |limit| limit.saturating_sub(began.elapsed()));
            if left.is_zero() || self.control.is_closing() {
                return;
            }
            thread::park_timeout(left.min(SLEEP));
        }
    }
}
