//! Where the stores are, and how they get there.

use crate::database::{TestDatabase, unique};

const STORE_TABLES: &str =
    "SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_class
     WHERE relnamespace = to_regnamespace('cdc') AND relkind = 'r'";

/// What `init` makes for the stores, with tables of partitions left out.
const STORES: &str = "alert attempt delivery endpoint failed_event failed_event_action lane lane_action lane_event lane_owner";

fn with_outbox() -> String {
    format!("{STORES} outbox schema_history store_history subscription")
}

#[tokio::test]
async fn are_in_the_outboxs_database_by_default() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let tables = database.text(STORE_TABLES).await.unwrap();
    assert_eq!(tables, with_outbox());
    let told = database.run(&["recover", "list"]).await.succeeded();
    assert!(told.contains("no failed event"), "{told}");
}

#[tokio::test]
async fn may_have_a_database_of_their_own_which_serves_several_outboxes() {
    let outbox = TestDatabase::create().await;
    let store = TestDatabase::create().await;
    let url = store.url();
    let settings = [("CDC_POSTGRES__STORE_URL", url.as_str())];
    outbox.run_with(&["init"], &settings).await.succeeded();
    assert_eq!(
        outbox.text(STORE_TABLES).await.unwrap(),
        "outbox schema_history"
    );
    assert_eq!(
        store.text(STORE_TABLES).await.unwrap(),
        format!("{STORES} store_history subscription")
    );
    outbox
        .run_with(&["recover", "stats"], &settings)
        .await
        .succeeded();

    let again = outbox.run_with(&["init"], &settings).await.succeeded();
    assert!(
        !again.contains("applied") && !again.contains("created"),
        "{again}"
    );
    // A database may be both: the store of another one, and later an outbox itself.
    store.run(&["init"]).await.succeeded();
    let tables = store.text(STORE_TABLES).await.unwrap();
    assert_eq!(tables, with_outbox());
}

#[tokio::test]
async fn what_a_dry_run_printed_and_somebody_ran_is_not_done_again() {
    let outbox = TestDatabase::create().await;
    let store = TestDatabase::create().await;
    let url = store.url();
    let settings = [("CDC_POSTGRES__STORE_URL", url.as_str())];
    let printed = outbox
        .run_with(&["init", "--dry-run"], &settings)
        .await
        .succeeded();
    assert_eq!(store.objects().await, "");
    let (rest, for_store) =
        printed.split_at(printed.find("-- in the database of the stores").unwrap());
    assert!(
        for_store.contains(&store.name),
        "it does not say which: {for_store}"
    );
    // As psql would: the slot in a transaction of its own.
    let (tables, slot) = rest.split_at(rest.find("SELECT lsn FROM").unwrap());
    outbox.execute(tables).await;
    outbox.execute(slot).await;
    store.execute(for_store).await;
    let told = outbox.run_with(&["init"], &settings).await.succeeded();
    assert!(!told.contains("applied"), "{told}");
    let printed = outbox
        .run_with(&["init", "--dry-run"], &settings)
        .await
        .succeeded();
    assert!(
        printed.starts_with("-- nothing to do in the database"),
        "{printed}"
    );
}

#[tokio::test]
async fn a_missing_store_and_a_missing_grant_are_told_apart() {
    let database = TestDatabase::create().await;
    let report = database
        .run(&["recover", "list"])
        .await
        .failed(69, "CDC0060");
    assert!(report.contains("cdc-relay init"), "{report}");

    database.run(&["init"]).await.succeeded();
    let role = unique("plain");
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA cdc TO {role}"
        ))
        .await;
    let address = database.url().rsplit_once('@').unwrap().1.to_owned();
    let url = format!("postgres://{role}@{address}");
    let refused = database
        .run_with(&["recover", "list"], &[("CDC_POSTGRES__STORE_URL", &url)])
        .await;
    // What the configuration page says is enough.
    database
        .execute(&format!(
            "GRANT SELECT, INSERT, UPDATE ON cdc.failed_event, cdc.failed_event_action TO {role};
             INSERT INTO cdc.failed_event
                 (source, system_id, slot, commit_lsn, change_index, error_code, error_message, fingerprint)
             VALUES ('relay', '1', 's', '0/1', 0, 'CDC0032', 'invalid', 'f')"
        ))
        .await;
    let allowed = database
        .run_with(
            &["recover", "discard", "--all"],
            &[("CDC_POSTGRES__STORE_URL", &url)],
        )
        .await;
    database
        .execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
    let report = refused.failed(69, "CDC0015");
    assert!(
        report.contains("GRANT SELECT, INSERT, UPDATE ON cdc.failed_event"),
        "{report}"
    );
    allowed.succeeded();
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_named_by_its_setting() {
    let database = TestDatabase::create().await;
    let report = database
        .run_with(
            &["recover", "list"],
            &[(
                "CDC_POSTGRES__STORE_URL",
                "postgres://nobody@127.0.0.1:1/store",
            )],
        )
        .await
        .failed(69, "CDC0010");
    assert!(
        report.contains("`postgres.store_url`") && report.contains("127.0.0.1:1"),
        "{report}"
    );
    let ended = database
        .run_with(
            &["config"],
            &[("CDC_POSTGRES__STORE_URL", "postgres://u:hunter2@h/d")],
        )
        .await
        .succeeded();
    assert!(
        ended.contains("store_url") && !ended.contains("hunter2"),
        "{ended}"
    );
}
