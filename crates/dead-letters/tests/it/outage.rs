//! While the store is away nothing is lost, and nothing is given up.

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Failure, Record};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::database::Database;
use crate::letters::{Running, letter};

/// As a runner does: again and again.
async fn store_at_last(running: &Running, record: &Record) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while running.store(record).await.is_err() {
        assert!(Instant::now() < deadline, "it is never stored");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_cannot_be_stored_is_tried_again_until_it_is() {
    let database = Database::create().await;
    let running = Running::start(&database);
    running.store(&letter(0, 0, 1)).await.unwrap();
    database.close().await;
    for offset in 1..6 {
        let failure = running.store(&letter(offset, offset, 1)).await.unwrap_err();
        let Failure::Transient { error, .. } = failure else {
            panic!("given up: {failure:?}");
        };
        assert_eq!(error.code().as_str(), "dead-letter-not-stored");
        assert!(error.causes().count() > 0);
    }
    database.open().await;
    for offset in 1..6 {
        store_at_last(&running, &letter(offset, offset, 1)).await;
    }
    assert_eq!(database.events().await.len(), 6);
}

#[tokio::test]
async fn a_store_that_was_never_made_is_waited_for_too() {
    let database = Database::create().await;
    let parked = "ALTER TABLE cdc.failed_event RENAME TO elsewhere";
    database.execute(parked).await;
    let running = Running::start(&database);
    let failure = running.store(&letter(0, 0, 1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Transient { .. }), "{failure:?}");
    let back = "ALTER TABLE cdc.elsewhere RENAME TO failed_event";
    database.execute(back).await;
    store_at_last(&running, &letter(0, 0, 1)).await;
}

#[tokio::test]
async fn one_that_the_store_refuses_holds_no_other_back() {
    let database = Database::create().await;
    // Any reason of the server's that is about one row alone.
    let rule = "ALTER TABLE cdc.failed_event ADD CONSTRAINT refused CHECK (origin_offset <> 3)";
    database.execute(rule).await;
    let running = Arc::new(Running::start(&database));
    let mut storing = JoinSet::new();
    for offset in 0..6 {
        let running = Arc::clone(&running);
        storing.spawn(async move {
            (
                offset,
                running.store(&letter(offset, offset, 1)).await.is_ok(),
            )
        });
    }
    let mut stored = storing.join_all().await;
    stored.sort_unstable();
    let stored: Vec<_> = stored.into_iter().map(|(_, stored)| stored).collect();
    assert_eq!(stored, [true, true, true, false, true, true]);
}
