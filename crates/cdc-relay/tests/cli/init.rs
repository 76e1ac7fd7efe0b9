//! `init`: idempotent, in the right order, and without surprises.

use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::binary::command;
use crate::database::{TestDatabase, unique};
use crate::services;

#[tokio::test]
async fn makes_everything_once() {
    let database = TestDatabase::create().await;
    let first = database.run(&["init"]).await.succeeded();
    assert!(first.contains("created        replication slot"), "{first}");
    let objects = database.objects().await;
    for object in [
        "schema:cdc",
        "table:outbox",
        "publication:cdc_relay",
        "slot:",
    ] {
        assert!(objects.contains(object), "{objects}");
    }
    let second = database.run(&["init"]).await.succeeded();
    assert!(
        second.lines().all(|line| line.starts_with("already there")),
        "{second}"
    );
    assert_eq!(database.objects().await, objects);
    let published = database
        .text("SELECT pubinsert AND NOT pubupdate AND NOT pubdelete AND NOT pubtruncate FROM pg_publication")
        .await;
    assert_eq!(published.as_deref(), Some("true"));
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_prints_sql_that_works() {
    let database = TestDatabase::create().await;
    let sql = database.run(&["init", "--dry-run"]).await.succeeded();
    assert_eq!(database.objects().await, "");
    assert!(sql.contains("outbox.event.${routedByValue}"), "{sql}");
    // As psql would: the slot in a transaction of its own.
    let (tables, slot) = sql.split_at(sql.find("SELECT lsn FROM").unwrap());
    database.execute(tables).await;
    database.execute(slot).await;
    let objects = database.objects().await;
    assert!(
        objects.contains("publication:cdc_relay") && objects.contains("slot:"),
        "{objects}"
    );
}

#[tokio::test]
async fn recognises_what_was_made_by_hand_from_a_dry_run() {
    let database = TestDatabase::create().await;
    let sql = database.run(&["init", "--dry-run"]).await.succeeded();
    let (tables, slot) = sql.split_at(sql.find("SELECT lsn FROM").unwrap());
    database.execute(tables).await;
    database.execute(slot).await;
    let objects = database.objects().await;
    let told = database.run(&["init"]).await.succeeded();
    assert!(
        told.lines().all(|line| line.starts_with("already there")),
        "{told}"
    );
    assert_eq!(database.objects().await, objects);
    let sql = database.run(&["init", "--dry-run"]).await.succeeded();
    assert!(sql.starts_with("-- nothing to do in the database"), "{sql}");
}

#[tokio::test]
async fn makes_the_checkpoint_topic_and_says_so_beforehand() {
    let database = TestDatabase::create().await;
    let plan = database.run(&["init", "--dry-run"]).await.succeeded();
    assert!(
        plan.contains("-- topic cdc-relay.checkpoint: created if it does not exist; one partition, cleanup.policy=compact"),
        "{plan}"
    );
    let told = database.run(&["init"]).await.succeeded();
    assert!(told.contains("topic cdc-relay.checkpoint"), "{told}");
    let by_hand = [("CDC_KAFKA__TOPICS__CREATE", "false")];
    let plan = database
        .run_with(&["init", "--dry-run"], &by_hand)
        .await
        .succeeded();
    assert!(plan.contains("cdc-relay.checkpoint: must exist"), "{plan}");
}

#[tokio::test]
async fn a_dry_run_after_init_has_nothing_to_do() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let sql = database.run(&["init", "--dry-run"]).await.succeeded();
    assert!(sql.starts_with("-- nothing to do in the database"), "{sql}");
}

#[tokio::test]
async fn refuses_a_slot_that_is_older_than_its_publication() {
    let database = TestDatabase::create().await;
    database
        .execute(&format!(
            "SELECT pg_create_logical_replication_slot('{}', 'pgoutput')",
            database.name
        ))
        .await;
    let before = database.objects().await;
    let report = database.run(&["init"]).await.failed(69, "CDC0021");
    assert!(report.contains("pg_drop_replication_slot"), "{report}");
    assert_eq!(
        database.objects().await,
        before,
        "init changed something before it refused"
    );
}

#[tokio::test]
async fn refuses_a_slot_of_another_plugin_kind_or_database() {
    let database = TestDatabase::create().await;
    let other = TestDatabase::create().await;
    database
        .execute(&format!(
            "SELECT pg_create_logical_replication_slot('{}', 'test_decoding')",
            database.name
        ))
        .await;
    let report = database.run(&["init"]).await.failed(69, "CDC0025");
    assert!(report.contains("test_decoding"), "{report}");
    let report = other
        .run_with(&["init"], &[("CDC_RELAY__SLOT", &database.name)])
        .await
        .failed(69, "CDC0025");
    assert!(
        report.contains("test_decoding") || report.contains(&database.name),
        "{report}"
    );
    other
        .execute(&format!(
            "SELECT pg_create_physical_replication_slot('{}')",
            other.name
        ))
        .await;
    let report = other.run(&["init"]).await.failed(69, "CDC0025");
    assert!(report.contains("physical"), "{report}");
}

#[tokio::test]
async fn adds_a_table_that_the_publication_lacks() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    database
        .execute("CREATE SCHEMA shop; CREATE TABLE shop.\"Out\" (LIKE cdc.outbox)")
        .await;
    let tables = [("CDC_OUTBOX__TABLES", "cdc.outbox, shop.\"Out\"")];
    let told = database.run_with(&["init"], &tables).await.succeeded();
    assert!(told.contains("changed        publication"), "{told}");
    let count = database
        .text("SELECT count(*) FROM pg_publication_tables WHERE pubname = 'cdc_relay'")
        .await;
    assert_eq!(count.as_deref(), Some("2"));
}

#[tokio::test]
async fn publishes_a_partitioned_outbox_under_its_own_name() {
    let database = TestDatabase::create().await;
    database
        .execute(
            "CREATE TABLE parts (id uuid, aggregatetype text, aggregateid text, type text, payload json, day date)
                 PARTITION BY RANGE (day);
             CREATE TABLE parts_1 PARTITION OF parts DEFAULT",
        )
        .await;
    let tables = [("CDC_OUTBOX__TABLES", "public.parts")];
    database.run_with(&["init"], &tables).await.succeeded();
    let published = database
        .text("SELECT string_agg(tablename, ',') FROM pg_publication_tables")
        .await;
    assert_eq!(published.as_deref(), Some("parts"));
    let told = database.run_with(&["doctor"], &tables).await.succeeded();
    assert!(
        told.contains("carries the inserts of all outbox tables"),
        "{told}"
    );
}

#[tokio::test]
async fn refuses_an_outbox_table_that_does_not_exist_or_lacks_a_column() {
    let database = TestDatabase::create().await;
    let tables = [("CDC_OUTBOX__TABLES", "cdc.outbox,shop.outbox")];
    let report = database
        .run_with(&["init"], &tables)
        .await
        .failed(69, "CDC0030");
    assert!(report.contains("shop.outbox"), "{report}");
    database
        .execute(
            "CREATE SCHEMA shop; CREATE TABLE shop.outbox (id int, aggregatetype text, type text)",
        )
        .await;
    let report = database
        .run_with(&["init"], &tables)
        .await
        .failed(69, "CDC0031");
    assert!(
        report.contains("aggregateid") && report.contains("`outbox.key`"),
        "{report}"
    );
    assert_eq!(database.objects().await, "");
}

#[tokio::test]
async fn refuses_a_role_that_may_not_replicate() {
    let database = TestDatabase::create().await;
    let role = unique("plain");
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {} TO {role}",
            database.name
        ))
        .await;
    let address = database.url().rsplit_once('@').unwrap().1.to_owned();
    let url = format!("postgres://{role}@{address}");
    let report = database
        .run_with(&["init"], &[("CDC_POSTGRES__URL", &url)])
        .await;
    database
        .execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
    let report = report.failed(69, "CDC0015");
    assert!(
        report.contains(&role) && report.contains("REPLICATION"),
        "{report}"
    );
    assert_eq!(database.objects().await, "");
}

#[tokio::test]
async fn names_the_transaction_that_the_slot_waits_for_and_cleans_up_when_interrupted() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let name = &database.name;
    database
        .execute(&format!("SELECT pg_drop_replication_slot('{name}')"))
        .await;
    let blocker = database.connect().await;
    blocker
        .batch_execute("SET application_name = 'the-blocker'; BEGIN; SELECT txid_current()")
        .await
        .unwrap();

    let url = database.url();
    let environment = [
        ("CDC_POSTGRES__URL", url.as_str()),
        ("CDC_KAFKA__BROKERS", services::kafka_brokers()),
        ("CDC_RELAY__SLOT", name.as_str()),
    ];
    let mut init = command(&["init"], &environment).spawn().unwrap();
    let mut lines = BufReader::new(init.stderr.take().unwrap()).lines();
    let named = async {
        loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .expect("init ended without a word");
            if line.contains("the slot waits for") && line.contains("the-blocker") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), named)
        .await
        .unwrap();
    let pid = init.id().unwrap().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let status = tokio::time::timeout(Duration::from_secs(30), init.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.code(), Some(69));
    let gone = Instant::now();
    while database.objects().await.contains("slot:") {
        assert!(
            gone.elapsed() < Duration::from_secs(10),
            "the half-made slot stayed"
        );
    }
}
