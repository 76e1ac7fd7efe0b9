//! `relay`: what cannot pass by itself ends it with its code, and nothing else does.

use crate::database::TestDatabase;

async fn ready() -> TestDatabase {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    database
}

#[tokio::test]
async fn stops_without_a_publication() {
    let database = ready().await;
    database.execute("DROP PUBLICATION cdc_relay").await;
    let report = database.run(&["relay"]).await.failed(69, "CDC0020");
    assert!(report.contains("\"cdc_relay\""), "{report}");
}

#[tokio::test]
async fn stops_when_the_publication_lacks_the_table() {
    let database = ready().await;
    database
        .execute("ALTER PUBLICATION cdc_relay DROP TABLE cdc.outbox")
        .await;
    let report = database.run(&["relay"]).await.failed(69, "CDC0022");
    assert!(report.contains("cdc.outbox"), "{report}");
}

#[tokio::test]
async fn explains_a_publication_that_is_younger_than_the_slot() {
    let database = ready().await;
    database
        .execute("DROP PUBLICATION cdc_relay; SELECT cdc.emit('order', '1', 'Placed', '{}')")
        .await;
    database
        .execute("CREATE PUBLICATION cdc_relay FOR TABLE cdc.outbox WITH (publish = 'insert')")
        .await;
    let report = database.run(&["relay"]).await.failed(69, "CDC0021");
    assert!(
        report.contains(&database.name) && report.contains("created after the slot"),
        "{report}"
    );
}

#[tokio::test]
async fn stops_without_a_slot() {
    let database = ready().await;
    database
        .execute(&format!(
            "SELECT pg_drop_replication_slot('{}')",
            database.name
        ))
        .await;
    let report = database.run(&["relay"]).await.failed(69, "CDC0023");
    assert!(
        report.contains(&database.name) && report.contains("cdc-relay init"),
        "{report}"
    );
}

#[tokio::test]
async fn stops_at_a_slot_of_another_plugin_or_database() {
    let database = ready().await;
    let other = ready().await;
    other
        .run_with(&["relay"], &[("CDC_RELAY__SLOT", &database.name)])
        .await
        .failed(69, "CDC0025");
    let name = &database.name;
    database
        .execute(&format!(
            "SELECT pg_drop_replication_slot('{name}');
             SELECT 1 FROM pg_create_logical_replication_slot('{name}', 'test_decoding')"
        ))
        .await;
    database.run(&["relay"]).await.failed(69, "CDC0025");
}

#[tokio::test]
async fn stops_at_a_role_that_may_not_replicate() {
    let database = ready().await;
    let role = crate::database::unique("plain");
    database.execute(&format!("CREATE ROLE {role} LOGIN")).await;
    let address = database.url().rsplit_once('@').unwrap().1.to_owned();
    let url = format!("postgres://{role}@{address}");
    let ended = database
        .run_with(&["relay"], &[("CDC_POSTGRES__URL", &url)])
        .await;
    database.execute(&format!("DROP ROLE {role}")).await;
    ended.failed(69, "CDC0015");
}

#[tokio::test]
async fn stops_at_an_invalid_row_which_can_be_skipped_as_its_page_says() {
    let database = TestDatabase::create().await;
    let table = "CREATE TABLE public.events
        (id int, aggregatetype text, aggregateid text, type text, payload json, created_at timestamptz DEFAULT now())";
    database.execute(table).await;
    let template = format!("{}.${{routedByValue}}", database.name);
    let settings = [
        ("CDC_OUTBOX__TABLES", "public.events"),
        ("CDC_OUTBOX__TOPIC", &template),
    ];
    database.run_with(&["init"], &settings).await.succeeded();
    database
        .execute("INSERT INTO events VALUES (1, NULL, '7', 'Placed', '{}')")
        .await;

    let report = database
        .run_with(&["relay"], &settings)
        .await
        .failed(69, "CDC0032");
    let (before, _) = report.split_once('#').unwrap();
    let position = before.rsplit(' ').next().unwrap();
    let again = database
        .run_with(&["relay"], &settings)
        .await
        .failed(69, "CDC0032");
    assert!(
        again.contains(position),
        "it was skipped without being asked: {again}"
    );

    let name = &database.name;
    let skip = format!("SELECT pg_replication_slot_advance('{name}', '{position}'::pg_lsn + 1)");
    database.execute(&skip).await;
    database
        .run_with(&["relay"], &settings)
        .await
        .failed(69, "CDC0028");
    // The next invalid row is reached only if the first one is behind.
    database
        .execute("INSERT INTO events VALUES (2, NULL, '7', 'Placed', '{}')")
        .await;
    let next = database
        .run_with(&["--set", "relay.on_gap=accept", "relay"], &settings)
        .await
        .failed(69, "CDC0032");
    assert!(!next.contains(position), "{next}");
}
