//! `cdc-relay endpoint remove`.

use serde_json::{Value, json};

use super::with_billing;
use crate::database::{TestDatabase, unique};

const REMOVE: [&str; 3] = ["endpoint", "remove", "billing"];

/// Deliveries of `billing` that did not arrive, one that did, one to another endpoint, and two failed events, of which one
/// is open.
const HISTORY: &str = "
    INSERT INTO cdc.delivery (event_id, endpoint_id, state, code, at_most_once) VALUES
        ('1', 'billing', 'delivered', NULL, false),
        ('2', 'billing', 'retrying', 'webhook-server-error', false),
        ('3', 'billing', 'retrying', 'webhook-server-error', false),
        ('4', 'billing', 'failed', 'webhook-client-error', false),
        ('5', 'billing', 'missed', 'endpoint-disabled', false),
        ('6', 'billing', 'unknown', 'delivery-unknown', true),
        ('6', 'other', 'unknown', 'delivery-unknown', true);
    INSERT INTO cdc.failed_event
        (source, consumer_group, origin_topic, origin_partition, origin_offset, part, topic, status,
         error_code, error_message, fingerprint)
    SELECT 'consumer', 'cdc-notify', 'orders', 0, n, part, 'orders', status, 'webhook-client-error', 'no', 'f'
      FROM (VALUES (1, 'billing', 'open'), (2, 'billing', 'discarded'), (3, 'other', 'open')) AS e (n, part, status);";

async fn count(database: &TestDatabase, table: &str) -> String {
    let sql = format!("SELECT count(*) FROM cdc.{table}");
    database.text(&sql).await.unwrap()
}

#[tokio::test]
async fn an_endpoint_that_got_everything_goes_with_its_subscriptions_and_leaves_its_history() {
    let database = with_billing(&["--type", "order.paid", "--type", "order.sent"]).await;
    database
        .execute(
            "INSERT INTO cdc.delivery (event_id, endpoint_id, state, at_most_once) VALUES ('1', 'billing', 'delivered', false);
             INSERT INTO cdc.endpoint (id, url) VALUES ('other', 'https://example.com/');
             INSERT INTO cdc.subscription (endpoint_id) VALUES ('other');",
        )
        .await;
    let told = database.run(&REMOVE).await.succeeded();
    assert_eq!(told, "billing is removed, with its 2 subscriptions\n");
    assert_eq!(count(&database, "endpoint").await, "1");
    assert_eq!(count(&database, "subscription").await, "1");
    assert_eq!(count(&database, "delivery").await, "1");
    database.run(&REMOVE).await.failed(69, "CDC0070");
    let yes = ["endpoint", "remove", "billing", "--yes", "--json"];
    database.run(&yes).await.failed(69, "CDC0070");
}

#[tokio::test]
async fn one_that_has_not_got_everything_is_only_removed_when_that_is_said() {
    let database = with_billing(&[]).await;
    database.execute(HISTORY).await;
    for json in [&[][..], &["--json"]] {
        let refused = database.run(&[&REMOVE, json].concat()).await;
        let report = refused.failed(69, "CDC0070");
        for part in [
            "2 to be tried again or given up, 1 refused, 1 missed while it was disabled, 1 in doubt, 1 open as failed",
            "endpoint remove billing --yes",
        ] {
            assert!(report.contains(part), "{part}: {report}");
        }
    }
    assert_eq!(count(&database, "endpoint").await, "1");
    assert_eq!(count(&database, "subscription").await, "1");

    let told = database.run(&[&REMOVE[..], &["--yes"]].concat()).await;
    let told = told.succeeded();
    for part in [
        "billing is removed, with its subscription\n",
        "2 to be tried again or given up",
        "cdc-relay recover discard --group cdc-notify --endpoint billing",
        "cdc-relay endpoint deliveries --endpoint billing --state unknown",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(count(&database, "endpoint").await, "0");
    assert_eq!(count(&database, "delivery").await, "7");
    // What it tells to type.
    let discard = ["recover", "discard", "--group", "cdc-notify"];
    let discard = [&discard[..], &["--endpoint", "billing"]].concat();
    let told = database.run(&discard).await.succeeded();
    assert!(told.contains("1 event discarded"), "{told}");
    let resolve = ["endpoint", "resolve", "6", "billing", "--arrived"];
    database.run(&resolve).await.succeeded();
}

#[tokio::test]
async fn tells_programs_what_is_lost() {
    let database = with_billing(&["--no-subscription"]).await;
    database.execute(HISTORY).await;
    let remove = [&REMOVE[..], &["--yes", "--json"]].concat();
    let told = database.run(&remove).await.succeeded();
    let told: Value = serde_json::from_str(&told).unwrap();
    let undelivered = json!({ "retrying": 2, "failed": 1, "missed": 1, "unknown": 1 });
    let expected = json!({
        "id": "billing", "subscriptions": 0, "foreign_subscriptions": 0,
        "undelivered": undelivered, "open_failures": 1,
    });
    assert_eq!(told, expected);
}

#[tokio::test]
async fn subscriptions_of_the_application_are_left_to_it() {
    let database = with_billing(&["--no-subscription"]).await;
    database
        .execute(
            "DROP TABLE cdc.subscription;
             CREATE VIEW cdc.subscription AS
                 SELECT 'billing'::text AS endpoint_id, n::text AS subject, NULL::text AS event_type
                   FROM generate_series(1, 3) AS n;",
        )
        .await;
    let told = database.run(&REMOVE).await.succeeded();
    assert!(
        told.starts_with("billing is removed\n") && told.contains("3 times"),
        "{told}"
    );
    assert_eq!(count(&database, "endpoint").await, "0");
}

#[tokio::test]
async fn the_grants_of_the_manual_are_enough_and_one_that_lacks_is_named() {
    let database = with_billing(&[]).await;
    let role = unique("plain");
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA cdc TO {role};
             GRANT SELECT, INSERT, UPDATE ON cdc.endpoint TO {role};
             GRANT SELECT, INSERT, DELETE ON cdc.subscription TO {role};
             GRANT SELECT ON cdc.delivery, cdc.failed_event TO {role};"
        ))
        .await;
    let address = database.url().rsplit_once('@').unwrap().1.to_owned();
    let url = format!("postgres://{role}@{address}");
    let settings = [("CDC_POSTGRES__STORE_URL", url.as_str())];
    let change = ["endpoint", "change", "billing", "--type", "order.paid"];
    let changed = database.run_with(&change, &settings).await;
    let refused = database.run_with(&REMOVE, &settings).await;
    database
        .execute(&format!("GRANT DELETE ON cdc.endpoint TO {role}"))
        .await;
    let removed = database.run_with(&REMOVE, &settings).await;
    database
        .execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
    changed.succeeded();
    let report = refused.failed(69, "CDC0015");
    assert!(
        report.contains("remove an endpoint") && report.contains("GRANT "),
        "{report}"
    );
    removed.succeeded();
}
