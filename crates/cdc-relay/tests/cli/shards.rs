//! `relay.shards`: several slots divide one outbox among them.

use pg_replication::Client;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::database::TestDatabase;
use crate::running_relay::{RunningRelay, until};

const TWO: (&str, &str) = ("CDC_RELAY__SHARDS", "2");

async fn slots(database: &TestDatabase) -> String {
    let sql = "SELECT coalesce(string_agg(slot_name, ' ' ORDER BY slot_name), '') FROM pg_replication_slots
                WHERE database = current_database()";
    database.text(sql).await.unwrap()
}

#[tokio::test]
async fn init_makes_a_slot_and_a_publication_for_each_shard() {
    let database = TestDatabase::create().await;
    database.run_with(&["init"], &[TWO]).await.succeeded();
    let name = &database.name;
    assert_eq!(slots(&database).await, format!("{name}_0of2 {name}_1of2"));
    let publications = "SELECT string_agg(pubname, ' ' ORDER BY pubname) FROM pg_publication";
    let publications = database.text(publications).await.unwrap();
    assert_eq!(publications, "cdc_relay_0of2 cdc_relay_1of2");
    let again = database.run_with(&["init"], &[TWO]).await.succeeded();
    assert!(
        again.lines().all(|line| line.starts_with("already there")),
        "{again}"
    );
    // Whatever else it finds on this machine.
    let report = database.run_with(&["doctor"], &[TWO]).await.stdout;
    for place in ["slot", "publication"] {
        let name = if place == "slot" { name } else { "cdc_relay" };
        let heading = format!("{place} {name}_1of2\n  ok ");
        assert!(report.contains(&heading), "{report}");
    }
    let status = database.run_with(&["status"], &[TWO]).await.succeeded();
    assert!(status.contains(&format!("{name}_1of2")), "{status}");
}

/// Rows that the publication of each shard carries, by the server's own decoding.
async fn streamed(client: &Client, name: &str, shard: u8) -> Vec<String> {
    let sql = "SELECT substring(encode(data, 'escape') FROM 'key-[0-9]+')
                 FROM pg_logical_slot_peek_binary_changes($1::text::name, NULL, NULL,
                      'proto_version', '1', 'publication_names', $2::text)
                WHERE get_byte(data, 0) = ascii('I')";
    let slot = format!("{name}_{shard}of2");
    let publication = format!("cdc_relay_{shard}of2");
    let rows = client.query(sql, &[&slot, &publication]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn each_row_comes_to_one_slot_whatever_the_type_of_its_key() {
    for (type_name, key) in [
        ("text", "k"),
        ("varchar(40)", "k"),
        ("char(40)", "k"),
        ("uuid", "md5(k)::uuid"),
        ("bigint", "hashtext(k)::bigint"),
        ("int", "hashtext(k)"),
        ("smallint", "(hashtext(k) % 1000)::int2"),
        ("numeric", "hashtext(k) / 7.0"),
    ] {
        let database = TestDatabase::create().await;
        database
            .execute(&format!(
                "CREATE TABLE public.events (id uuid DEFAULT gen_random_uuid(), aggregatetype text DEFAULT 'order',
                     aggregateid {type_name}, type text, payload text)"
            ))
            .await;
        let settings = [TWO, ("CDC_OUTBOX__TABLES", "public.events")];
        database.run_with(&["init"], &settings).await.succeeded();
        database
            .execute(&format!(
                "INSERT INTO events (aggregateid, payload)
                 SELECT {key}, k FROM (SELECT 'key-' || n AS k FROM generate_series(1, 300) n) keys;
                 INSERT INTO events (payload) VALUES ('key-301')"
            ))
            .await;
        let client = database.connect().await;
        let (first, second) = (
            streamed(&client, &database.name, 0).await,
            streamed(&client, &database.name, 1).await,
        );
        assert!(first.len() > 50 && second.len() > 50, "{type_name}");
        assert_eq!(first.len() + second.len(), 301, "{type_name}");
        assert!(first.iter().all(|key| !second.contains(key)), "{type_name}");
    }
}

#[tokio::test]
async fn refuses_a_key_that_no_row_filter_can_divide_by() {
    let database = TestDatabase::create().await;
    database
        .execute(
            "CREATE TABLE public.events (id int, aggregatetype text, aggregateid bytea, type text, payload text)",
        )
        .await;
    let settings = [TWO, ("CDC_OUTBOX__TABLES", "public.events")];
    let report = database
        .run_with(&["init"], &settings)
        .await
        .failed(64, "CDC0002");
    assert!(report.contains("bytea"), "{report}");
    assert_eq!(slots(&database).await, "");
}

#[tokio::test]
async fn refuses_to_relay_or_init_beside_slots_of_another_number_of_shards() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let report = database
        .run_with(&["init"], &[TWO])
        .await
        .failed(69, "CDC0029");
    assert!(report.contains("reshard"), "{report}");
    let name = &database.name;
    database
        .execute(&format!(
            "SELECT 1 FROM pg_create_logical_replication_slot('{name}_0of3', 'pgoutput')"
        ))
        .await;
    let report = database.run(&["relay"]).await.failed(69, "CDC0029");
    assert!(report.contains(&format!("{name}_0of3")), "{report}");
}

#[tokio::test]
async fn refuses_a_publication_that_does_not_divide_the_outbox() {
    let database = TestDatabase::create().await;
    database.run_with(&["init"], &[TWO]).await.succeeded();
    database
        .execute("ALTER PUBLICATION cdc_relay_1of2 SET TABLE cdc.outbox")
        .await;
    let report = database
        .run_with(&["relay"], &[TWO])
        .await
        .failed(69, "CDC0022");
    assert!(report.contains("shard 1 of 2"), "{report}");
    database
        .run_with(&["doctor"], &[TWO])
        .await
        .failed(69, "CDC0052");
}

#[tokio::test]
async fn refuses_a_shard_that_is_not_there_and_a_number_out_of_bounds() {
    let database = TestDatabase::create().await;
    let one = database
        .run_with(&["relay", "--shard", "2"], &[TWO])
        .await
        .failed(64, "CDC0005");
    assert!(one.contains("count from 0"), "{one}");
    for count in ["0", "17", "-1"] {
        let settings = [("CDC_RELAY__SHARDS", count)];
        let report = database
            .run_with(&["init"], &settings)
            .await
            .failed(64, "CDC0002");
        assert!(report.contains("1 to 16"), "{report}");
    }
}

#[tokio::test]
async fn refuses_to_reshard_while_a_relay_runs() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let relay = RunningRelay::start(&database, &[]);
    relay.until_phase("streaming").await;
    database
        .run(&["reshard", "--to", "2"])
        .await
        .failed(69, "CDC0024");
    assert_eq!(slots(&database).await, database.name);
    relay.kill().await;
}

#[tokio::test]
async fn one_process_shows_all_its_shards() {
    let database = TestDatabase::create().await;
    database.run_with(&["init"], &[TWO]).await.succeeded();
    let relay = RunningRelay::start(&database, &[TWO]);
    relay.until_phase("streaming").await;
    database
        .execute(
            "SELECT cdc.emit('cli_shards', n::text, 'Placed', '{}') FROM generate_series(1, 50) n",
        )
        .await;
    until("all events", async || {
        relay.metric("cdc_relay_events_total").await >= 50.0
    })
    .await;
    let status = relay.status().await;
    assert_eq!(status["events_total"], 50);
    let shards = status["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 2);
    assert!(
        shards
            .iter()
            .all(|shard| shard["events_total"].as_u64() > Some(5)),
        "{status}"
    );
    relay.kill().await;
}

/// The hash is not a part of PostgreSQL's interface: any server must be asked. The test of the unit has the same vectors
/// as an answer; here a message must come by the slot that has the rows of its key.
#[tokio::test]
async fn a_message_goes_by_the_slot_that_has_the_rows_of_its_key() {
    let database = TestDatabase::create().await;
    database.run_with(&["init"], &[TWO]).await.succeeded();
    let topic = format!("{}.fixed", database.name);
    let mut runner = TestRunner::default();
    let keys: Vec<String> = vec("\\PC{0,40}", 200)
        .new_tree(&mut runner)
        .unwrap()
        .current();
    let client = database.connect().await;
    for key in &keys {
        client
            .execute(
                "SELECT cdc.emit_message('x', $1, 'Placed', '{}'::json)",
                &[key],
            )
            .await
            .unwrap();
    }
    let settings = [TWO, ("CDC_OUTBOX__TOPIC", topic.as_str())];
    let relay = RunningRelay::start(&database, &settings);
    until("all messages", async || {
        relay.metric("cdc_relay_events_total").await >= 200.0
    })
    .await;
    let sql =
        "SELECT count(*) FROM unnest($1::text[]) key WHERE (hashtext(key) & 2147483647) % 2 = 0";
    let expected: i64 = client.query_one(sql, &[&keys]).await.unwrap().get(0);
    let status = relay.status().await;
    assert_eq!(status["shards"][0]["events_total"], expected, "{keys:?}");
    assert_eq!(status["events_total"], 200);
    relay.kill().await;
}
