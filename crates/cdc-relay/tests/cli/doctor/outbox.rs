//! What `doctor` says of the publication and the outbox tables.

use super::{finding, findings, tells};
use crate::database::TestDatabase;

#[tokio::test]
async fn finds_a_publication_that_does_not_carry_the_outbox() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    database
        .execute("ALTER PUBLICATION cdc_relay SET (publish = 'update')")
        .await;
    let (_, found) = findings(&database, &[]).await;
    assert_eq!(finding(&found, "publication")["code"], "CDC0022");
    database
        .execute("ALTER PUBLICATION cdc_relay SET (publish = 'insert')")
        .await;
    database
        .execute("ALTER PUBLICATION cdc_relay SET TABLE cdc.outbox (id, type)")
        .await;
    let (_, found) = findings(&database, &[]).await;
    let found = finding(&found, "publication");
    assert!(
        found["what"].as_str().unwrap().contains("aggregatetype"),
        "{found}"
    );
}

#[tokio::test]
async fn says_what_jsonb_costs() {
    let database = TestDatabase::create().await;
    database
        .execute("CREATE TABLE events (id int, aggregatetype text, aggregateid text, type text, payload jsonb)")
        .await;
    let tables = [("CDC_OUTBOX__TABLES", "public.events")];
    database.run_with(&["init"], &tables).await.succeeded();
    let (status, findings) = findings(&database, &tables).await;
    assert_eq!(status, 0);
    assert_eq!(finding(&findings, "payload")["status"], "warn");
}

#[tokio::test]
async fn finds_what_a_publication_leaves_out_or_has_too_much() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    database
        .execute(
            "CREATE TABLE noise (id int);
             ALTER PUBLICATION cdc_relay SET (publish = 'insert, delete');
             ALTER PUBLICATION cdc_relay SET TABLE cdc.outbox WHERE (aggregatetype = 'order'), noise",
        )
        .await;
    let (status, found) = findings(&database, &[]).await;
    assert_eq!(status, 0, "{found:#?}");
    tells(&found, "row filter", "warn", "aggregatetype = 'order'");
    tells(&found, "publish", "warn", "SET (publish = 'insert')");
    tells(&found, "other tables", "warn", "1 tables");

    database
        .execute(
            "CREATE TABLE parts (LIKE cdc.outbox) PARTITION BY HASH (id);
             ALTER PUBLICATION cdc_relay SET TABLE parts",
        )
        .await;
    let tables = [("CDC_OUTBOX__TABLES", "public.parts")];
    let (_, found) = findings(&database, &tables).await;
    tells(&found, "partitions", "warn", "none, by HASH (id)");
}

/// Those that are attached later would not be in it.
#[tokio::test]
async fn tells_a_publication_of_partitions_from_one_of_their_root() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    database
        .execute(
            "CREATE TABLE parts (LIKE cdc.outbox) PARTITION BY HASH (id);
             CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
             CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
             ALTER PUBLICATION cdc_relay SET (publish_via_partition_root = false);
             ALTER PUBLICATION cdc_relay SET TABLE parts_0, parts_1",
        )
        .await;
    let tables = [("CDC_OUTBOX__TABLES", "public.parts")];
    let (status, found) = findings(&database, &tables).await;
    assert_eq!(status, 69, "{found:#?}");
    tells(&found, "publication", "fail", "does not carry public.parts");

    database.run_with(&["init"], &tables).await.succeeded();
    // What is carried is not asked for again.
    database.run_with(&["init"], &tables).await.succeeded();
    let (status, found) = findings(&database, &tables).await;
    assert_eq!(status, 0, "{found:#?}");
    tells(&found, "publication", "ok", "all outbox tables");
    let others = found
        .iter()
        .find(|finding| finding["check"] == "other tables");
    assert!(others.is_none(), "{found:#?}");
}

#[tokio::test]
async fn finds_what_is_wrong_with_an_outbox_table() {
    let database = TestDatabase::create().await;
    database
        .execute(
            "CREATE UNLOGGED TABLE quick (id int NOT NULL, aggregatetype text, aggregateid text, type text, payload text,
                                          created_at bigint);
             CREATE INDEX ON quick (id); CREATE INDEX ON quick (aggregateid); CREATE INDEX ON quick (type)",
        )
        .await;
    let settings = [
        ("CDC_OUTBOX__TABLES", "public.quick"),
        ("CDC_OUTBOX__RETENTION", "7d"),
    ];
    let (_, found) = findings(&database, &settings).await;
    tells(&found, "outbox", "fail", "unlogged");
    tells(&found, "payload", "ok", "text");
    tells(&found, "indexes", "warn", "3 indexes");
    tells(&found, "nullable", "warn", "aggregatetype");
    tells(&found, "retention", "warn", "bigint");
    assert!(
        found.iter().all(|finding| {
            finding["check"] != "nullable" || !finding["what"].as_str().unwrap().contains("\"id\"")
        }),
        "{found:#?}"
    );
    let missing = [
        ("CDC_OUTBOX__TABLES", "public.quick"),
        ("CDC_OUTBOX__RETENTION", "7d"),
        ("CDC_OUTBOX__RETENTION_COLUMN", "written"),
    ];
    let (_, found) = findings(&database, &missing).await;
    tells(&found, "retention", "warn", "\"written\" does not exist");
}
