//! For services that send to Kafka directly: bounded time, and the outbox as the way around an outage. Nothing is lost,
//! nothing hangs.
//!
//! * [`GuardedProducer::send`] answers with the record's place in Kafka, or that the event is [`Placed::Stored`]: in
//!   `cdc.outbox`, from where `cdc-relay relay` delivers it. After an error neither has it for certain.
//! * While Kafka takes nothing, all events go to the outbox. They go directly again when the relay has delivered every
//!   one of them: no event overtakes an earlier one of the same key.
//! * [`Event`] has only what both ways can carry, and the record is made by the code that the relay makes it with.
//! * [`Alerts`] hears when the way around is taken and when it is left.
//!
//! What is promised and what is not, with several instances of a service among others: `docs/guarded-producer.md`.
//!
//! ```no_run
//! use guarded_producer::{Event, GuardedProducer, KafkaOptions, NoAlerts, Payload, Placed, Settings};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let producer = GuardedProducer::start(
//!     Settings::new(
//!         KafkaOptions::new("localhost:9092"),
//!         "postgres://app@localhost/app".parse()?,
//!         "cdc_relay".parse()?,
//!     ),
//!     NoAlerts,
//! )?;
//! let payload = Payload::json(r#"{"order":7,"state":"paid"}"#)?;
//! let event = Event::new("order", "order.paid", payload).with_key("7");
//! match producer.send(event).await? {
//!     Placed::Sent(place) => println!("{place:?} of outbox.event.order"),
//!     Placed::Stored => println!("the relay delivers it when Kafka is back"),
//! }
//! producer.close().await;
//! # Ok(())
//! # }
//! ```

mod alert;
mod direct;
mod driver;
mod error;
mod event;
mod event_id;
mod fallback;
mod metric;
mod outbox;
mod payload;
mod pending;
mod producer;
mod record;
mod settings;

pub use alert::{Alerts, Cause, NoAlerts, Stay};
pub use error::{Disposition, SendError, StartError, StoreError};
pub use event::{Event, InvalidEvent};
pub use event_id::{EventId, InvalidEventId};
pub use metric::describe_metrics;
pub use payload::{InvalidPayload, Payload};
pub use pending::Placed;
pub use producer::{GuardedProducer, Way};
pub use settings::Settings;

pub use cdc_kafka::{Error as KafkaError, KafkaOptions, Offset, Partition, Place};
pub use cdc_outbox::{OutboxSettings, TopicTemplate};
pub use pg_replication::{ConnectOptions, SlotName};
