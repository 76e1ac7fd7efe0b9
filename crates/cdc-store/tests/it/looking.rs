//! Lists, filters and figures.

use std::time::Duration;

use cdc_store::{ErrorReport, Filter, ListPlace, Status};

use crate::database::Database;
use crate::events::{of_consumer, of_relay};

#[tokio::test]
async fn a_filter_means_what_it_says() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let mut other = of_relay(2, 0, "b");
    other.target.as_mut().unwrap().topic = "bills".into();
    other.contents.key = Some(vec![0, 255]);
    other.error = ErrorReport::new("CDC0044", "not allowed", []);
    let ids = store.record(&[of_relay(1, 0, "a"), other]).await.unwrap();
    database
        .execute(&format!(
            "UPDATE cdc.failed_event SET last_failed_at = now() - interval '2 hours' WHERE id = {}",
            ids[1]
        ))
        .await;
    store.discard(&ids[1..], "me", None).await.unwrap();
    let fingerprint = store.get(ids[1]).await.unwrap().unwrap().event.fingerprint;
    let hour = Some(Duration::from_secs(3600));
    let all = Filter::default();
    for (filter, expected) in [
        (all.clone(), vec![ids[0], ids[1]]),
        (
            Filter {
                ids: vec![ids[1]],
                ..all.clone()
            },
            vec![ids[1]],
        ),
        (
            Filter {
                statuses: vec![Status::Open],
                ..all.clone()
            },
            vec![ids[0]],
        ),
        (
            Filter {
                statuses: vec![Status::Open, Status::Discarded],
                ..all.clone()
            },
            ids.clone(),
        ),
        (
            Filter {
                topic: Some("bills".into()),
                ..all.clone()
            },
            vec![ids[1]],
        ),
        (
            Filter {
                key: Some(vec![0, 255]),
                ..all.clone()
            },
            vec![ids[1]],
        ),
        (
            Filter {
                code: Some("CDC0044".into()),
                ..all.clone()
            },
            vec![ids[1]],
        ),
        (
            Filter {
                fingerprint: Some(fingerprint),
                ..all.clone()
            },
            vec![ids[1]],
        ),
        (
            Filter {
                older_than: hour,
                ..all.clone()
            },
            vec![ids[1]],
        ),
        (
            Filter {
                newer_than: hour,
                ..all.clone()
            },
            vec![ids[0]],
        ),
        (
            Filter {
                older_than: Some(Duration::MAX),
                ..all.clone()
            },
            vec![],
        ),
        (
            Filter {
                newer_than: Some(Duration::MAX),
                ..all.clone()
            },
            ids.clone(),
        ),
    ] {
        let listed = store.list(&filter, 10).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|event| event.id).collect();
        assert_eq!(listed, expected, "{filter:?}");
    }
    assert_eq!(
        store.list(&all, 1).await.unwrap()[0].id,
        ids[0],
        "the last failure comes first"
    );
}

#[tokio::test]
async fn pages_have_each_event_once_though_many_failed_at_the_same_time() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let events: Vec<_> = (1..=9).map(|lsn| of_relay(lsn, 0, "a")).collect();
    store.record(&events).await.unwrap();
    database
        .execute(
            "UPDATE cdc.failed_event SET last_failed_at = now() - make_interval(secs => id % 2)",
        )
        .await;
    let all = store.list(&Filter::default(), 100).await.unwrap();
    assert_eq!(all.len(), 9);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(&Filter::default(), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(ListPlace {
            last_failed_at: last.last_failed_at,
            id: last.id,
        });
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn counts_by_status_and_by_reason() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let empty = store.stats(10).await.unwrap();
    assert_eq!(empty.statuses.len(), Status::ALL.len());
    assert!(empty.groups.is_empty());

    let ids = store
        .record(&[
            of_relay(1, 0, "a"),
            of_relay(2, 0, "b"),
            of_relay(3, 0, "c"),
            of_consumer("g", 1),
        ])
        .await
        .unwrap();
    store.discard(&ids[..1], "me", None).await.unwrap();
    let stats = store.stats(10).await.unwrap();
    let counts: Vec<_> = stats
        .statuses
        .iter()
        .map(|count| (count.status, count.events))
        .collect();
    assert_eq!(
        counts,
        [
            (Status::Open, 3),
            (Status::Replaying, 0),
            (Status::Replayed, 0),
            (Status::Discarded, 1)
        ]
    );
    let groups: Vec<_> = stats
        .groups
        .iter()
        .map(|group| (group.scope.as_str(), group.events))
        .collect();
    assert_eq!(groups, [("cdc_relay", 2), ("g", 1)]);
    assert_eq!(stats.groups[0].code, "CDC0043");
    assert_eq!(store.stats(1).await.unwrap().groups.len(), 1);
}
