//! The one task that sends, so that there is one order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Backoff, random_fraction};
use cdc_kafka::{Limits, Topics};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::alert::{Alerts, Cause};
use crate::direct::{Direct, Ended, Patience};
use crate::fallback::{Fallback, Left};
use crate::outbox::Outbox;
use crate::pending::Pending;
use crate::producer::Way;
use crate::settings::Settings;

/// The first pause before Kafka is tried again, and the longest. It grows when it fails again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How long one question to Kafka may take.
const QUESTION: Duration = Duration::from_secs(2);

/// The one task that sends.
pub(crate) struct Driver {
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
    pub(crate) alerts: Arc<dyn Alerts>,
    pub(crate) queue: mpsc::Receiver<Pending>,
    /// Somebody waits for room.
    pub(crate) pressed: Arc<Notify>,
    pub(crate) way: watch::Sender<Way>,
    pub(crate) stop: CancellationToken,
}

impl Driver {
    /// Ends when the queue is closed and everything is answered for.
    pub(crate) async fn run(mut self) {
        let settings = &self.settings;
        let store_timeout = settings.store_timeout;
        let mut outbox = Outbox::new(settings.postgres.clone(), &settings.slots, store_timeout);
        let kafka = Topics::new(settings.kafka.clone(), QUESTION);
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        let (mut cause, mut error, mut left) = (Cause::Start, None, Vec::new());
        loop {
            let pause = match cause {
                Cause::Start => Duration::ZERO,
                _ => backoff.next_delay(random_fraction()),
            };
            let alerts = Arc::clone(&self.alerts);
            let mut fallback =
                Fallback::new(&mut outbox, &kafka, &*alerts, store_timeout, cause, pause);
            if cause != Cause::Start {
                fallback.announce(error.as_ref());
            }
            let ended = fallback.run(left, &mut self.queue, &self.stop).await;
            if ended == Left::Stopped {
                return;
            }
            self.way.send_replace(Way::Direct);
            match self.send_directly(&mut backoff).await {
                None => return,
                Some(diverted) => (cause, error, left) = diverted,
            }
            self.way.send_replace(Way::Outbox);
        }
    }

    /// Sends directly until that does not work; `None` if the producer was closed.
    async fn send_directly(
        &mut self,
        backoff: &mut Backoff,
    ) -> Option<(Cause, Option<cdc_kafka::Error>, Vec<Pending>)> {
        let settings = &self.settings;
        let patience = Patience {
            delivery: settings.delivery_timeout,
            outage: settings.block_time,
            pressed: settings.block_time / 4,
        };
        let mut alone = VecDeque::new();
        loop {
            let direct = match Direct::new(&settings.kafka, self.limits, patience, alone) {
                Ok(direct) => direct,
                Err((error, left)) => return Some((Cause::Failed, Some(error), left)),
            };
            let (ended, proven) = direct.run(&mut self.queue, &self.pressed, &self.stop).await;
            if proven {
                backoff.reset();
            }
            match ended {
                Ended::Stopped => return None,
                Ended::Diverted { cause, error, left } => return Some((cause, error, left)),
                Ended::Suspected(suspects) => alone = suspects,
            }
        }
    }
}
