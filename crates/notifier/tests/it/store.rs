//! What deliveries do to the database that remembers them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::stage::{Stage, handle, record};

const DEADLINE: Duration = Duration::from_secs(20);

/// Endpoints that are claimed and settled at once.
const ENDPOINTS: u32 = 400;

/// Waits until the server's statistics of deliveries say so many updates, and gives one of their columns.
async fn statistic(stage: &Stage, column: &str, updates: u32) -> String {
    let of = |column: &str| {
        format!("SELECT {column} FROM pg_stat_user_tables WHERE relid = 'cdc.delivery'::regclass")
    };
    let deadline = Instant::now() + DEADLINE;
    loop {
        let now = stage.database.text(&of("n_tup_upd")).await.unwrap();
        if now == updates.to_string() {
            return stage.database.text(&of(column)).await.unwrap();
        }
        assert!(Instant::now() < deadline, "{now} updates, not {updates}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_outcome_touches_no_index_however_many_come_together() {
    let stage = Stage::new().await;
    let url = stage.receiver.url("");
    stage
        .database
        .execute(&format!(
            "INSERT INTO cdc.endpoint (id, url)
                 SELECT gen_random_uuid(), '{url}' || n FROM generate_series(1, {ENDPOINTS}) AS n;
             INSERT INTO cdc.subscription SELECT id FROM cdc.endpoint;"
        ))
        .await;
    let notifier = stage.notifier().await;
    for event in ["1", "2", "3"] {
        handle(&notifier, &record(event)).await.unwrap();
    }
    // A session that ends has told all of its statistics.
    drop(notifier);
    let updates = 3 * ENDPOINTS;
    assert_eq!(
        statistic(&stage, "n_tup_hot_upd", updates).await,
        updates.to_string()
    );
}

#[tokio::test]
async fn what_is_known_already_leaves_nothing_of_those_beside_it_unclaimed() {
    let stage = Stage::new().await;
    for id in ["a", "b", "c"] {
        stage.endpoint(id).await;
    }
    stage
        .database
        .execute(
            "INSERT INTO cdc.delivery (event_id, endpoint_id, state, at_most_once) VALUES ('1', 'b', 'delivered', false)",
        )
        .await;
    let notifier = stage.notifier().await;
    handle(&notifier, &record("1")).await.unwrap();
    let sent = ["a", "b", "c"].map(|path| stage.receiver.ids(path).len());
    assert_eq!(sent, [1, 0, 1]);
    let epochs =
        "SELECT string_agg(endpoint_id || epoch, ' ' ORDER BY endpoint_id) FROM cdc.delivery";
    assert_eq!(stage.database.text(epochs).await.unwrap(), "a1 b1 c1");
}

#[tokio::test]
async fn a_claim_that_must_not_be_lost_waits_for_the_disk_whatever_the_session_is_set_to() {
    let stage = Stage::new().await;
    for (event, durable, other, expected) in [("1", true, "off", "on"), ("2", false, "on", "off")] {
        // What is in force when the claim's own transaction ends.
        let claim = format!(
            "SELECT set_config('synchronous_commit', '{other}', true) || ' ' ||
                    cdc.claim_new_deliveries(ARRAY['{event}'], ARRAY['a'], ARRAY[{durable}], 'o', 60, {durable})::text
                    || ' ' || current_setting('synchronous_commit')"
        );
        let claimed = stage.database.text(&claim).await.unwrap();
        assert_eq!(claimed, format!("{other} true {expected}"));
    }
}

#[tokio::test]
async fn outcomes_are_found_by_the_index_however_small_the_table_is_and_wait_for_the_disk() {
    let stage = Stage::new().await;
    let claim = "SELECT cdc.claim_new_deliveries(ARRAY['1', '2', '3'], ARRAY['a', 'a', 'a'], ARRAY[false, false, false], 'o', 60, false)";
    stage.database.execute(claim).await;
    let settle = "SELECT set_config('synchronous_commit', 'off', true) || ' ' ||
                         cdc.settle_arrived(ARRAY['1', '3', '4'], ARRAY['a', 'a', 'a'], ARRAY[200, 204, 200])
                         || ' ' || current_setting('synchronous_commit')
                         || ' ' || pg_stat_get_xact_numscans('cdc.delivery'::regclass)";
    let settled = stage.database.text(settle).await.unwrap();
    assert_eq!(settled, "off 2 on 0");
}

#[tokio::test]
async fn who_got_what_does_not_depend_on_the_order_of_a_language() {
    let stage = Stage::new().await;
    let others = "SELECT string_agg(table_name || '.' || column_name, ' ') FROM information_schema.columns
                   WHERE table_schema = 'cdc' AND table_name IN ('delivery', 'attempt')
                     AND column_name IN ('event_id', 'endpoint_id') AND collation_name IS DISTINCT FROM 'C'";
    assert_eq!(stage.database.text(others).await, None);
}
