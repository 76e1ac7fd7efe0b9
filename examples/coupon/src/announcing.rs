//! How an application becomes an event: with its row in one transaction, or after it by a producer of the service's own.

use anyhow::{Context, Result};
use guarded_producer::{
    ConnectOptions, Event, EventId, GuardedProducer, KafkaOptions, NoAlerts, Payload, Way,
};

use crate::event::{AGGREGATE, CouponRequested, TYPE};
use crate::settings::{Mode, Settings};

/// Who makes the event of an application.
#[derive(Debug)]
pub(crate) enum Announcing {
    /// `cdc.emit`, in the statement that records the application: there is never one without the other.
    InTransaction,
    /// The service itself, when the application is recorded: a crash may come between.
    Guarded(Box<GuardedProducer>),
}

/// An application whose event may not have been sent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unannounced {
    /// The same each time: whoever remembers ids knows a repetition.
    pub(crate) id: EventId,
    pub(crate) request: CouponRequested,
}

impl Announcing {
    /// Starts what the mode needs. Kafka does not have to be there.
    ///
    /// # Errors
    ///
    /// A setting cannot be used.
    pub(crate) fn start(settings: &Settings) -> Result<Self> {
        match settings.mode {
            Mode::Outbox => Ok(Self::InTransaction),
            Mode::Guarded => Ok(Self::Guarded(Box::new(producer(settings)?))),
        }
    }

    /// Which way events go at the moment, in one word.
    pub(crate) fn way(&self) -> &'static str {
        match self {
            Self::InTransaction => "transaction",
            Self::Guarded(producer) => match producer.way() {
                Way::Direct => "direct",
                Way::Outbox => "outbox",
            },
        }
    }

    /// Waits until every event that was accepted is in Kafka or in the outbox. No other is taken then.
    pub(crate) async fn close(&self) {
        match self {
            Self::InTransaction => {}
            Self::Guarded(producer) => producer.close().await,
        }
    }
}

impl Unannounced {
    /// Sends the event, to Kafka or to the outbox: which of them has it makes no difference here.
    ///
    /// # Errors
    ///
    /// Neither of them has it for certain.
    pub(crate) async fn send(&self, producer: &GuardedProducer) -> Result<()> {
        let CouponRequested { user_id, sequence } = self.request;
        let event = Event::new(AGGREGATE, TYPE, Payload::of(&self.request)?)
            .with_key(user_id.to_string())
            .with_id(self.id);
        producer.send(event).await.with_context(|| {
            format!("could not announce that user {user_id} has number {sequence}")
        })?;
        Ok(())
    }
}

fn producer(settings: &Settings) -> Result<GuardedProducer> {
    let relay = &settings.relay;
    // The error would repeat what it could not read.
    let database: ConnectOptions = settings
        .database_url
        .reveal()
        .parse()
        .map_err(|_| anyhow::anyhow!("DATABASE_URL is no URL of a PostgreSQL database"))?;
    let kafka = KafkaOptions::new(&settings.kafka_brokers);
    let mut guarded = guarded_producer::Settings::new(kafka, database, relay.relay_slot.clone());
    guarded.outbox.topic = relay.relay_topic.clone();
    // It says in the log, at warn and info, when it takes the way around and when it is back.
    Ok(GuardedProducer::start(guarded, NoAlerts)?)
}
