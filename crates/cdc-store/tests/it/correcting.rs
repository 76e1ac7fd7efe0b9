//! A failed event may be given another payload, and everybody can see that it was.

use std::time::Duration;

use cdc_store::{ReplacedPayload, Status};

use crate::database::Database;
use crate::events::of_consumer;

const LEASE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn keeps_what_was_replaced_with_who_did_it() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let mut event = of_consumer("billing", 1);
    event.contents.payload = None;
    let id = store.record(&[event]).await.unwrap()[0];
    for payload in [&b"first"[..], b"second"] {
        assert!(
            store
                .correct(id, payload, "ann", Some("a typo"))
                .await
                .unwrap()
        );
    }
    let details = store.get(id).await.unwrap().unwrap();
    assert_eq!(details.contents.payload.as_deref(), Some(&b"second"[..]));
    assert_eq!(details.event.status, Status::Open);
    let replaced: Vec<_> = details
        .actions
        .iter()
        .map(|action| {
            (
                action.actor.as_str(),
                action.note.as_deref(),
                action.replaced.clone(),
            )
        })
        .collect();
    let was = |payload: Option<&[u8]>| {
        let payload = payload.map(<[u8]>::to_vec);
        ("ann", Some("a typo"), Some(ReplacedPayload { payload }))
    };
    assert_eq!(replaced, [was(None), was(Some(b"first"))]);
    let claim = store.claim(&[id], 1, LEASE, "ann").await.unwrap();
    assert_eq!(
        claim.events[0].contents.payload.as_deref(),
        Some(&b"second"[..])
    );
}

#[tokio::test]
async fn changes_nothing_that_is_held_or_settled() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let events = [of_consumer("billing", 1), of_consumer("billing", 2)];
    let ids = store.record(&events).await.unwrap();
    let claim = store.claim(&ids[..1], 1, LEASE, "me").await.unwrap();
    store.discard(&ids[1..], "me", None).await.unwrap();
    for (id, event) in ids.iter().zip(&events) {
        assert!(!store.correct(*id, b"other", "ann", None).await.unwrap());
        let details = store.get(*id).await.unwrap().unwrap();
        assert_eq!(details.contents, event.contents);
    }
    assert_eq!(store.replayed(&claim, &ids[..1]).await.unwrap(), ids[..1]);
}
