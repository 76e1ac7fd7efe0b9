//! What is stored comes back as it was, once, and is on disk.

use std::time::{Duration, SystemTime};

use cdc_store::{Error, FailedEvents, Filter, Origin, Status, Target};
use pg_replication::Disposition;

use crate::database::Database;
use crate::events::{of_consumer, of_relay};

#[tokio::test]
async fn gives_back_every_byte() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let mut event = of_relay(0x16_B374_D848, 3, "e1");
    event.target = Some(Target {
        topic: "orders".into(),
        partition: Some(4),
    });
    event.contents.key = Some((0..=255).rev().collect());
    event.contents.payload = Some((0..=255).collect());
    event.contents.headers.push("id", None);
    event.contents.headers.push("empty", Some(Vec::new()));
    let ids = store.record(std::slice::from_ref(&event)).await.unwrap();
    let stored = store.get(ids[0]).await.unwrap().unwrap();
    assert_eq!(stored.contents, event.contents);
    assert_eq!(stored.event.origin, event.origin);
    assert_eq!(stored.event.target, event.target);
    assert_eq!(stored.event.event_id.as_deref(), Some("e1"));
    assert_eq!(stored.event.error, event.error);
    assert_eq!(stored.event.payload_bytes, Some(256));
    assert_eq!(stored.event.status, Status::Open);
    assert!(stored.actions.is_empty());
    let age = SystemTime::now().duration_since(stored.event.first_failed_at);
    assert!(age.unwrap_or_default() < Duration::from_secs(60));
}

#[tokio::test]
async fn tells_a_missing_value_from_an_empty_one() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let (mut without, mut empty) = (of_relay(1, 0, "a"), of_relay(1, 1, "b"));
    (without.contents.key, without.contents.payload) = (None, None);
    (empty.contents.key, empty.contents.payload) = (Some(Vec::new()), Some(Vec::new()));
    without.contents.timestamp_ms = None;
    let ids = store
        .record(&[without.clone(), empty.clone()])
        .await
        .unwrap();
    assert_eq!(
        store.get(ids[0]).await.unwrap().unwrap().contents,
        without.contents
    );
    assert_eq!(
        store.get(ids[1]).await.unwrap().unwrap().contents,
        empty.contents
    );
}

#[tokio::test]
async fn an_event_that_is_read_again_is_only_counted() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let mut nameless = of_relay(7, 1, "gone");
    nameless.event_id = None;
    let events = [of_relay(7, 0, "a"), nameless, of_consumer("g", 5)];
    let first = store.record(&events).await.unwrap();
    let again = store.record(&events).await.unwrap();
    assert_eq!(first, again);
    let listed = store.list(&Filter::default(), 10).await.unwrap();
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|event| event.attempts == 2), "{listed:?}");
    assert!(
        listed
            .iter()
            .all(|event| event.last_failed_at > event.first_failed_at)
    );
}

#[tokio::test]
async fn the_same_position_of_another_server_slot_or_history_is_another_event() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let event = of_relay(7, 0, "a");
    let (mut server, mut slot) = (event.clone(), event.clone());
    if let (Origin::Relay { system_id, .. }, Origin::Relay { slot: name, .. }) =
        (&mut server.origin, &mut slot.origin)
    {
        *system_id = "18446744073709551615".parse().unwrap();
        *name = "other".parse().unwrap();
    }
    let restored = of_relay(7, 0, "b");
    let ids = store
        .record(&[event, server.clone(), slot, restored])
        .await
        .unwrap();
    let listed = store.list(&Filter::default(), 10).await.unwrap();
    assert_eq!(listed.len(), 4);
    assert_eq!(
        store.get(ids[1]).await.unwrap().unwrap().event.origin,
        server.origin
    );
}

#[tokio::test]
async fn answers_in_the_order_given_with_repetitions_and_both_sources_mixed() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let events = [
        of_consumer("g", 9),
        of_relay(9, 0, "z"),
        of_relay(1, 0, "a"),
        of_consumer("g", 9),
        of_relay(9, 0, "z"),
    ];
    let ids = store.record(&events).await.unwrap();
    assert_eq!(ids[0], ids[3]);
    assert_eq!(ids[1], ids[4]);
    for (event, id) in events.iter().zip(&ids) {
        assert_eq!(
            store.get(*id).await.unwrap().unwrap().event.origin,
            event.origin
        );
    }
    assert_eq!(store.record(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn takes_more_than_one_statement_holds() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let mut events: Vec<_> = (0..1200).map(|index| of_relay(5, index, "e")).collect();
    events[700].contents.payload = Some(vec![7; 20 << 20]);
    let ids = store.record(&events).await.unwrap();
    assert_eq!(ids.len(), 1200);
    let large = store.get(ids[700]).await.unwrap().unwrap();
    assert_eq!(large.event.origin, events[700].origin);
    assert_eq!(large.contents.payload, events[700].contents.payload);
}

#[tokio::test]
async fn is_on_disk_whatever_the_servers_default() {
    let database = Database::create().await;
    database
        .execute(&format!(
            "ALTER DATABASE {} SET synchronous_commit = off;
             CREATE TABLE seen (setting text);
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
             CREATE TRIGGER see AFTER INSERT OR UPDATE ON cdc.failed_event FOR EACH ROW EXECUTE FUNCTION see()",
            database.name()
        ))
        .await;
    assert_eq!(
        database
            .text("current_setting('synchronous_commit')")
            .await
            .unwrap(),
        "off"
    );
    let mut store = database.store().await;
    store
        .record(&[of_relay(1, 0, "a"), of_consumer("g", 1)])
        .await
        .unwrap();
    store.record(&[of_relay(1, 0, "a")]).await.unwrap();
    let seen = database
        .text("SELECT string_agg(setting, ' ') FROM seen")
        .await;
    assert_eq!(seen.as_deref(), Some("on on on"));
}

#[tokio::test]
async fn stores_what_no_text_of_postgresql_can_hold() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let (mut header, mut topic) = (of_relay(1, 0, "a\0b"), of_relay(1, 1, "c"));
    header.contents.headers.push("na\0me", Some(b"\0".to_vec()));
    topic.target.as_mut().unwrap().topic = "or\0ders".into();
    let ids = store.record(&[header, topic]).await.unwrap();
    for id in ids {
        let stored = store.get(id).await.unwrap().unwrap();
        assert_eq!(stored.event.target, None, "it can't be sent like this");
    }
}

#[tokio::test]
async fn connects_again_after_the_session_was_ended() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let end = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.text(end).await;
    // The end may be noticed only by the first call after it, and that one may fail.
    let first = store.record(&[of_relay(1, 0, "a")]).await;
    if let Err(error) = &first {
        assert_eq!(error.disposition(), Disposition::Transient, "{error:?}");
    }
    store.record(&[of_relay(1, 0, "a")]).await.unwrap();
    assert_eq!(store.list(&Filter::default(), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn says_that_the_table_is_missing() {
    let database = Database::empty().await;
    let error = FailedEvents::connect(database.options()).await.unwrap_err();
    assert!(matches!(error, Error::NoTable(_)), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Permanent);
}

#[tokio::test]
async fn the_table_refuses_states_that_must_not_be() {
    let database = Database::create().await;
    let mut store = database.store().await;
    let mut without_record = of_relay(1, 1, "b");
    without_record.target = None;
    store
        .record(&[of_relay(1, 0, "a"), without_record])
        .await
        .unwrap();
    let client = database.client().await;
    for change in [
        "status = 'gone'",
        "status = 'replaying'",
        "lease_token = gen_random_uuid(), lease_until = now()",
        "topic = NULL, status = 'replayed'",
        "source = 'consumer'",
        "slot = NULL",
        "consumer_group = 'g'",
        "dead_letter_topic = 't'",
        "headers = '{}'",
        "attempts = 0",
    ] {
        let sql = format!("UPDATE cdc.failed_event SET {change}");
        let error = client.batch_execute(&sql).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "23514", "{change}: {error:?}");
    }
}
