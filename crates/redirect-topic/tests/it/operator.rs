//! What an operator does to records that were given up.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cdc_event::{
    Admission, Attempt, DeadHead, ErrorCode, Fate, HandlerError, KeyOrder, OrderDisposition,
    PartitionOrder, Replayed, Unfinished,
};
use order_model::Random;
use redirect_topic::{RedirectSettings, RedirectTopic};
use tokio::time::sleep;

use crate::model::{GROUP, MemoryLog, Said, Source, entry, id};

fn given_up() -> Vec<Unfinished> {
    vec![Unfinished {
        part: None,
        attempt: Attempt {
            number: NonZeroU32::MIN,
            first_failed_at: None,
        },
        error: HandlerError::new(ErrorCode::from_static("no-luck"), "it did not work"),
        fate: Fate::Dead,
        delays: 1,
    }]
}

#[tokio::test(start_paused = true)]
async fn who_lost_the_partition_does_not_say_that_nothing_is_known() {
    let log = MemoryLog::new(1, 1);
    let settings = RedirectSettings::new(DeadHead::Hold);
    let process = || RedirectTopic::with_log(Arc::new(log.clone()), settings);
    let (one, other) = (process(), process());
    let source = Source::new(0, 0, &mut Random::new(1));
    let record = source.log.iter().find(|record| record.key.is_some());
    let record = record.unwrap();

    let former = one.take_over(&source.assigned()).await.unwrap();
    let owner = other.take_over(&source.assigned()).await.unwrap();
    owner.park(record, &given_up()).await.unwrap();
    // The former one has not noticed.
    let replayed = loop {
        match one.replay(GROUP, record, Attempt::FIRST, None).await {
            Ok(replayed) => break replayed,
            Err(error) => assert_eq!(error.disposition, OrderDisposition::Transient),
        }
    };
    assert_eq!(replayed, Replayed::Taken);
    let key = entry(id(record), None);
    while log.waiting(|waiting| waiting.said(&key).cloned()) == Some(Said::Held) {
        sleep(Duration::from_secs(1)).await;
    }
    drop((former, owner));
}

#[tokio::test(start_paused = true)]
async fn what_was_left_out_and_discarded_is_not_handled_when_it_is_read_again() {
    let log = MemoryLog::new(1, 1);
    let settings = RedirectSettings::new(DeadHead::Skip);
    let order = RedirectTopic::with_log(Arc::new(log.clone()), settings);
    let source = Source::new(0, 0, &mut Random::new(1));
    let record = source.log.iter().find(|record| record.key.is_some());
    let record = record.unwrap();
    let take_over = async || order.take_over(&source.assigned()).await.unwrap();

    let owner: Arc<dyn PartitionOrder> = take_over().await;
    owner.park(record, &given_up()).await.unwrap();
    let key = entry(id(record), None);
    let said = || log.waiting(|waiting| waiting.said(&key).cloned());
    assert_eq!(said(), Some(Said::Skipped));
    let discarded = order.discard(GROUP, &record.origin, None);
    discarded.await.unwrap();
    while said() == Some(Said::Skipped) {
        sleep(Duration::from_secs(1)).await;
    }
    // Before its offset was committed.
    drop(owner);
    let next = take_over().await;
    assert_eq!(next.admit(record).await.unwrap(), Admission::DealtWith);
    next.forget(record.origin.offset + 1).await.unwrap();
    assert_eq!(said(), None);
}
