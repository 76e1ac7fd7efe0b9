//! `cdc-relay endpoint`, and what the services say when there is nothing to do.

mod change;
mod lists;
mod memory;
mod remove;
mod test_message;

use crate::database::TestDatabase;

const LOOPBACK: (&str, &str) = ("CDC_NOTIFY__ALLOW_PRIVATE_NETWORKS", "127.0.0.0/8");

/// Where no request may go, and what is no URL.
const REFUSED_URLS: [&str; 6] = [
    "http://127.0.0.1/hook",
    "http://2130706433/hook",
    "http://[::ffff:169.254.169.254]/latest",
    "https://user:password@example.com/hook",
    "ftp://example.com/hook",
    "not a url",
];

/// A database with the endpoint `billing`, which `add` made with these options.
async fn with_billing(more: &[&str]) -> TestDatabase {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let add = [
        "endpoint",
        "add",
        "billing",
        "--url",
        "https://example.com/hook",
    ];
    database.run(&[&add, more].concat()).await.succeeded();
    database
}

#[tokio::test]
async fn an_endpoint_is_added_listed_counted_and_disabled_without_its_secret_being_shown_again() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let add = [
        "endpoint",
        "add",
        "billing",
        "--url",
        "http://127.0.0.1:8099/hook",
    ];
    let added = database.run_with(&add, &[LOOPBACK]).await.succeeded();
    let secret = added.trim();
    assert!(secret.starts_with("whsec_"), "{added}");
    database
        .run_with(&add, &[LOOPBACK])
        .await
        .failed(69, "CDC0070");

    let listed = database
        .run(&["endpoint", "list", "--json"])
        .await
        .succeeded();
    assert!(
        listed.contains("billing") && !listed.contains(secret),
        "{listed}"
    );

    let status = database.run(&["status", "--json"]).await.succeeded();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let counts = serde_json::json!({ "enabled": 1, "disabled": 0, "failing": 0 });
    assert_eq!(status["endpoints"], counts);
    assert_eq!(status["open_failures"], 0);

    let disable = ["endpoint", "disable", "billing", "--reason", "moves"];
    database.run(&disable).await.succeeded();
    let status = database.run(&["status"]).await.succeeded();
    assert!(
        status.contains("0 enabled") && status.contains("1 disabled"),
        "{status}"
    );
    database
        .run(&["endpoint", "enable", "billing"])
        .await
        .succeeded();
    database
        .run(&["endpoint", "enable", "nobody"])
        .await
        .failed(69, "CDC0070");
}

#[tokio::test]
async fn status_tells_how_far_consumers_are_behind() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let topic = format!("{}.events", database.name);
    let consumer = format!("[{{ group = '{}', topics = ['{topic}'] }}]", database.name);
    let settings = [("CDC_RECOVER__CONSUMER", consumer.as_str())];
    let status = database
        .run_with(&["status", "--json"], &settings)
        .await
        .succeeded();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    // Topics that are not there yet have nothing in them.
    let backlog = serde_json::json!([
        { "group": database.name, "sources": 0, "retries": 0, "dead_letters": 0 }
    ]);
    assert_eq!(status["groups"], backlog);
}

#[tokio::test]
async fn refuses_endpoints_that_must_not_be_asked() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    for url in REFUSED_URLS {
        let add = ["endpoint", "add", "x", "--url", url];
        let report = database.run(&add).await.failed(69, "CDC0070");
        assert!(!report.contains("password@"), "{report}");
    }
    let unknown = [
        "endpoint",
        "add",
        "x",
        "--url",
        "https://example.com/",
        "--format",
        "fax",
    ];
    database.run(&unknown).await.failed(69, "CDC0070");
    assert_eq!(
        database
            .text("SELECT count(*)::text FROM cdc.endpoint")
            .await
            .as_deref(),
        Some("0")
    );
}

#[tokio::test]
async fn services_without_anything_to_do_say_which_setting_is_missing() {
    let database = TestDatabase::create().await;
    let report = database.run(&["notify"]).await.failed(64, "CDC0004");
    assert!(report.contains("notify.topics"), "{report}");
    let report = database
        .run(&["recover", "run"])
        .await
        .failed(64, "CDC0004");
    assert!(report.contains("recover.consumer"), "{report}");

    let settings = [
        ("CDC_NOTIFY__TOPICS", "orders"),
        (
            "CDC_RECOVER__CONSUMER",
            "[{ group = 'cdc-notify', topics = ['users'] }]",
        ),
    ];
    let report = database
        .run_with(&["recover", "run"], &settings)
        .await
        .failed(64, "CDC0002");
    assert!(report.contains("notify.topics"), "{report}");
}

#[tokio::test]
async fn a_file_of_certificates_that_cannot_be_used_is_refused_by_name() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let no_certificates = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for file in ["/does/not/exist.pem", no_certificates] {
        let settings = [
            ("CDC_NOTIFY__TOPICS", "orders"),
            ("CDC_NOTIFY__CA_FILE", file),
            ("CDC_ADMIN__LISTEN", ""),
        ];
        let report = database
            .run_with(&["notify"], &settings)
            .await
            .failed(64, "CDC0002");
        assert!(report.contains("notify.ca_file"), "{file}: {report}");
    }
}

#[tokio::test]
async fn the_notifier_says_when_its_tables_are_missing() {
    let database = TestDatabase::create().await;
    let settings = [("CDC_NOTIFY__TOPICS", "orders"), ("CDC_ADMIN__LISTEN", "")];
    database
        .run_with(&["notify"], &settings)
        .await
        .failed(69, "CDC0060");
}
