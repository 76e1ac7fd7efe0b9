//! Figures of the servers that alerts need, on `/metrics`.

use crate::cluster::Cluster;
use crate::database::{TestDatabase, unique};
use crate::running_relay::{RunningRelay, until};

const KEPT_AT_MOST: f64 = (1_u32 << 30) as f64;

#[tokio::test]
async fn a_relay_tells_how_much_log_its_slot_holds_and_how_much_it_may() {
    let server = Cluster::start("wal_level = logical\nmax_slot_wal_keep_size = 1GB").await;
    let database = TestDatabase::create_on(&server.url()).await;
    database.run(&["init"]).await.succeeded();
    let relay = RunningRelay::start(&database, &[]);
    until("the slot's figures show", async || {
        relay.metric("cdc_relay_slot_retained_bytes").await > 0.0
    })
    .await;
    let safe = relay.metric("cdc_relay_slot_safe_bytes").await;
    assert!(safe > 0.0 && safe < 2.0 * KEPT_AT_MOST, "{safe}");
    let lag = relay.metric("cdc_relay_slot_lag_bytes").await;
    assert!((0.0..KEPT_AT_MOST).contains(&lag), "{lag}");
}

#[tokio::test]
async fn a_collector_tells_how_many_failures_are_open_and_endpoints_disabled() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    database
        .execute(
            "INSERT INTO cdc.failed_event
                 (source, system_id, slot, commit_lsn, change_index, error_code, error_message, fingerprint, status)
             SELECT 'relay', '1', 's', '0/1', n, 'CDC0032', 'invalid', 'f',
                    CASE WHEN n > 2 THEN 'discarded' ELSE 'open' END
               FROM generate_series(1, 5) AS n;
             INSERT INTO cdc.endpoint (id, url, state, disabled_reason, disabled_at)
             VALUES ('gone', 'https://gone.example', 'disabled', 'by_hand', now());
             INSERT INTO cdc.endpoint (id, url) VALUES ('there', 'https://there.example')",
        )
        .await;
    let consumer = format!("[{{ group = '{0}', topics = ['{0}'] }}]", unique("counted"));
    let collector = RunningRelay::start_role(
        &["recover", "run"],
        &database,
        &[("CDC_RECOVER__CONSUMER", &consumer)],
    );
    until("the stores are counted", async || {
        let open = collector.metric("cdc_failed_events_open").await;
        open > 1.5 && open < 2.5
    })
    .await;
    until("the endpoints are counted", async || {
        let disabled = collector.metric("cdc_notify_disabled_endpoints").await;
        disabled > 0.5 && disabled < 1.5
    })
    .await;
}

#[tokio::test]
async fn what_a_role_may_not_read_is_no_number_and_no_error_of_the_server() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let role = unique("counter");
    // What the configuration page has for a notifier.
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA cdc TO {role};
             GRANT SELECT ON cdc.subscription TO {role};
             GRANT SELECT, UPDATE ON cdc.endpoint TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON cdc.delivery TO {role}"
        ))
        .await;
    let address = database.url().rsplit_once('@').unwrap().1.to_owned();
    let url = format!("postgres://{role}@{address}");
    let topics = unique("counted");
    let settings = [
        ("CDC_POSTGRES__URL", url.as_str()),
        (
            "CDC_RECOVER__CONSUMER",
            &format!("[{{ group = '{topics}', topics = ['{topics}'] }}]"),
        ),
    ];
    let collector = RunningRelay::start_role(&["recover", "run"], &database, &settings);
    until("the endpoints are counted", async || {
        collector.shows("cdc_notify_disabled_endpoints").await
    })
    .await;
    let open = collector.metric("cdc_failed_events_open").await;
    let disabled = collector.metric("cdc_notify_disabled_endpoints").await;
    collector.kill().await;
    database
        .execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
    assert!(open.is_nan(), "{open}");
    assert!(disabled.abs() < 0.5, "{disabled}");
}
