//! Reading as a member of a consumer group.

mod context;
mod control;
mod event;
mod fetched;
mod holding;
mod lag;
mod outbox;
mod poll;
mod reader;
mod rebalance;
mod renewal;
mod session;
mod settings;
mod waker;

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};
use tokio::sync::{mpsc, oneshot};

use self::control::Control;
pub use self::event::{ConsumerEvent, Revocation};
pub use self::fetched::FetchedRecord;
pub use self::lag::{PartitionLag, group_lag};
pub use self::reader::{OffsetStore, PartitionReader};
use self::renewal::Maker;
pub use self::settings::{Assignment, ConsumerSettings, Start};
use crate::code::KafkaCode;
use crate::error::Error;
use crate::options::KafkaOptions;

/// A member of a consumer group.
///
/// A thread of its own (`kafka-poll`) polls without a break, so that the member stays in its group however long records
/// take. Each assigned partition is read by a [`PartitionReader`] at its own pace; what is not read waits at the
/// broker, but for what is fetched ahead: `queued.max.messages.kbytes` (4 MiB unless set) and one answer for each
/// partition. Nothing is ever paused.
///
/// What is done with is stored ([`PartitionReader::store`]), and committed soon after. A record comes again, here or
/// elsewhere, as long as no offset above its own was committed: at least once.
///
/// Trouble with brokers, topics that do not exist and permissions that are missing are waited out. A client that cannot
/// go on, while another one could, is replaced ([`ConsumerEvent::Renewing`]).
///
/// Dropping it leaves the group as [`close`](Self::close) does, in the background.
///
/// # Example
///
/// ```no_run
/// use cdc_kafka::{ConsumerEvent, ConsumerSettings, GroupConsumer, KafkaOptions};
///
/// # async fn example() -> Result<(), cdc_kafka::Error> {
/// let settings = ConsumerSettings::new("billing", vec!["orders".into()]);
/// let mut consumer = GroupConsumer::start(&KafkaOptions::new("localhost:9092"), &settings)?;
/// let mut reading = tokio::task::JoinSet::new();
/// loop {
///     match consumer.event().await {
///         ConsumerEvent::Assigned(readers) => {
///             for mut reader in readers {
///                 reading.spawn(async move {
///                     while let Some(record) = reader.next().await {
///                         println!("{} {:?}", reader.topic(), record.value);
///                         reader.store(record.offset.next());
///                     }
///                 });
///             }
///         }
///         // The readers have ended; whoever has records in flight keeps this until they are finished.
///         ConsumerEvent::Revoking(revocation) => revocation.done(),
///         ConsumerEvent::Lost(_) => {}
///         ConsumerEvent::Trouble(error) | ConsumerEvent::Renewing(error) => eprintln!("{error}"),
///         ConsumerEvent::Failed(error) => return Err(error),
///     }
/// }
/// # }
/// ```
pub struct GroupConsumer {
    events: mpsc::Receiver<ConsumerEvent>,
    control: Arc<Control>,
    group: String,
    /// Resolves when the group is left and the connections are gone.
    ended: oneshot::Receiver<Result<(), Error>>,
}

/// Who a member is, for [`TransactionalProducer::set_offsets`](crate::TransactionalProducer::set_offsets): offsets of a
/// member that was replaced are refused by it. It holds for the generation of the group in which it was taken.
pub struct GroupMetadata(ConsumerGroupMetadata);

/// Events that wait for their owner; the rest waits in the poll thread, and holds rebalances up.
const EVENTS: usize = 16;

impl GroupConsumer {
    /// Joins the group in the background, whether Kafka is there or not.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConsumer`] for settings that cannot be meant; a property that is refused or not understood; no
    /// thread to be had.
    pub fn start(options: &KafkaOptions, settings: &ConsumerSettings) -> Result<Self, Error> {
        let control = Arc::new(Control::default());
        let maker = Maker {
            config: options.group_config(settings)?,
            settings: settings.clone(),
            control: Arc::clone(&control),
        };
        let first = maker.make()?;
        let (sender, events) = mpsc::channel(EVENTS);
        let (done, ended) = oneshot::channel();
        thread::Builder::new()
            .name("kafka-poll".into())
            .spawn(move || drop(done.send(maker.run(first, sender))))
            .map_err(|error| Error::Thread(Arc::new(error)))?;
        Ok(Self {
            events,
            control,
            group: settings.group.clone(),
            ended,
        })
    }

    /// Waits for the next event.
    ///
    /// To be called without long breaks: while 16 events wait, no rebalance begins. Cancel safe: no event is lost.
    pub async fn event(&mut self) -> ConsumerEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => ConsumerEvent::Failed(Error::Abandoned),
        }
    }

    /// For a transaction that commits offsets of this group; `None` when the consumer has failed, or its client is being
    /// replaced. It is to be taken anew after each event.
    #[must_use]
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        self.control.client()?.group_metadata().map(GroupMetadata)
    }

    /// Ends all readers, commits what is stored, and leaves the group, unless this is a static member, which is waited
    /// for.
    ///
    /// What is in flight is to be finished and stored before. After `deadline` leaving goes on in the background.
    /// Cancel safe: it is then like a drop.
    ///
    /// # Errors
    ///
    /// When something that was stored may not be committed, and will come again: [`Error::Consume`] with the reason.
    pub async fn close(mut self, deadline: Duration) -> Result<(), Error> {
        self.control.close();
        match tokio::time::timeout(deadline, &mut self.ended).await {
            Ok(result) => result.map_err(|_| Error::Abandoned)?,
            Err(_) => Err(Error::Consume {
                group: self.group.as_str().into(),
                detail: "it did not leave the group in time".into(),
                code: KafkaCode::new(rdkafka::types::RDKafkaErrorCode::OperationTimedOut),
            }),
        }
    }
}

impl GroupMetadata {
    pub(crate) fn native(&self) -> &ConsumerGroupMetadata {
        &self.0
    }
}

impl Drop for GroupConsumer {
    fn drop(&mut self) {
        self.control.close();
    }
}

impl fmt::Debug for GroupConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupConsumer")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for GroupMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupMetadata")
    }
}
