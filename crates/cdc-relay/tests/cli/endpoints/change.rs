//! `cdc-relay endpoint change`.

use serde_json::{Value, json};

use super::{LOOPBACK, REFUSED_URLS, with_billing};
use crate::binary;
use crate::database::TestDatabase;

/// Everything but what a notifier writes into it.
const ROW: &str = "SELECT concat_ws(' ', url, format, template, guarantee, max_concurrency, rate_per_second, ordered)
    FROM cdc.endpoint WHERE id = 'billing'";
const SUBSCRIPTIONS: &str =
    "SELECT string_agg(coalesce(subject, '*') || '/' || coalesce(event_type, '*'), ' '
    ORDER BY subject, event_type) FROM cdc.subscription WHERE endpoint_id = 'billing'";
const AS_ADDED: &str = "https://example.com/hook json at_least_once 8 f";

async fn change(database: &TestDatabase, more: &[&str]) -> binary::Ended {
    let change = ["endpoint", "change", "billing"];
    database.run(&[&change, more].concat()).await
}

async fn row(database: &TestDatabase) -> String {
    database.text(ROW).await.unwrap()
}

#[tokio::test]
async fn changes_what_is_given_says_what_it_was_and_leaves_the_rest() {
    let database = with_billing(&["--rate", "5"]).await;
    let secrets = "SELECT secrets FROM cdc.endpoint";
    let secret = database.text(secrets).await.unwrap();
    let more = [
        "--url",
        "https://example.com/v2",
        "--max-concurrency",
        "16",
        "--ordered",
    ];
    let told = change(&database, &more).await.succeeded();
    for line in [
        "billing is changed",
        "url: https://example.com/hook → https://example.com/v2",
        "max_concurrency: 8 → 16",
        "ordered: false → true",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert_eq!(told.lines().count(), 4, "{told}");
    assert_eq!(
        row(&database).await,
        "https://example.com/v2 json at_least_once 16 5 t"
    );
    let more = [
        "--no-rate",
        "--no-ordered",
        "--guarantee",
        "at_most_once",
        "--json",
    ];
    let told = change(&database, &more).await.succeeded();
    let told: Value = serde_json::from_str(&told).unwrap();
    let expected = json!({ "id": "billing", "changed": {
        "rate_per_second": { "from": 5.0, "to": null },
        "ordered": { "from": true, "to": false },
        "guarantee": { "from": "at_least_once", "to": "at_most_once" },
    }});
    assert_eq!(told, expected);
    assert_eq!(
        row(&database).await,
        "https://example.com/v2 json at_most_once 16 f"
    );
    let told = change(&database, &["--no-rate"]).await.succeeded();
    assert!(told.contains("is like that already"), "{told}");
    assert_eq!(database.text(SUBSCRIPTIONS).await.unwrap(), "*/*");
    assert_eq!(database.text(secrets).await.unwrap(), secret);
}

#[tokio::test]
async fn a_template_comes_and_goes_with_its_format() {
    let database = with_billing(&[]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), r#"{"text": "{{id}}"}"#).unwrap();
    let template = ["--template-file", file.path().to_str().unwrap()];
    change(&database, &["--format", "template"])
        .await
        .failed(69, "CDC0070");
    change(&database, &template).await.failed(69, "CDC0070");
    assert_eq!(row(&database).await, AS_ADDED);
    let both = [&template[..], &["--format", "template"]].concat();
    let told = change(&database, &both).await.succeeded();
    assert!(
        told.contains("format: json → template") && told.contains("template: none → 18 bytes"),
        "{told}"
    );
    // The template is that of the endpoint: it needs no other with it.
    std::fs::write(file.path(), r#"{"text": "{{type}}"}"#).unwrap();
    let told = change(&database, &template).await.succeeded();
    assert!(told.contains("template: 18 bytes → 20 bytes"), "{told}");
    change(&database, &["--format", "cloudevents"])
        .await
        .succeeded();
    assert_eq!(
        row(&database).await,
        "https://example.com/hook cloudevents at_least_once 8 f"
    );
}

#[tokio::test]
async fn subscriptions_are_those_that_add_would_have_made() {
    let database = with_billing(&["--type", "order.paid", "--type", "order.sent"]).await;
    let subscriptions = async || database.text(SUBSCRIPTIONS).await;
    let more = ["--subject", "ann", "--type", "order.paid"];
    let told = change(&database, &more).await.succeeded();
    assert!(
        told.contains("subscriptions: order.paid, order.sent → order.paid of ann"),
        "{told}"
    );
    assert_eq!(subscriptions().await.unwrap(), "ann/order.paid");
    let more = [
        "--subject",
        "ann",
        "--type",
        "order.paid",
        "--type",
        "post.*",
    ];
    change(&database, &more).await.succeeded();
    assert_eq!(subscriptions().await.unwrap(), "ann/order.paid ann/post.*");
    let told = change(&database, &["--every-event", "--json"])
        .await
        .succeeded();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        told["changed"]["subscriptions"]["to"],
        json!([{ "subject": null, "type": null }])
    );
    assert_eq!(subscriptions().await.unwrap(), "*/*");
    let told = change(&database, &["--no-subscription"]).await.succeeded();
    assert!(
        told.contains("subscriptions: every event → no event"),
        "{told}"
    );
    assert_eq!(subscriptions().await, None);
    for both in [
        ["--every-event", "--no-subscription"],
        ["--every-event", "--subject=ann"],
        ["--rate=1", "--no-rate"],
        ["--ordered", "--no-ordered"],
    ] {
        let report = change(&database, &both).await;
        assert_eq!(report.status, 64, "{both:?}: {report:?}");
    }
}

#[tokio::test]
async fn what_is_refused_leaves_the_endpoint_as_it_was() {
    let database = with_billing(&[]).await;
    let report = change(&database, &[]).await.failed(64, "CDC0005");
    assert!(report.contains("what to change"), "{report}");
    let nobody = ["endpoint", "change", "nobody", "--ordered"];
    database.run(&nobody).await.failed(69, "CDC0070");
    for url in REFUSED_URLS {
        // What is good beside it is not done either.
        let more = ["--url", url, "--max-concurrency", "16", "--type", "a"];
        let report = change(&database, &more).await.failed(69, "CDC0070");
        assert!(!report.contains("password@"), "{report}");
    }
    change(&database, &["--format", "fax"])
        .await
        .failed(69, "CDC0070");
    change(&database, &["--template-file", "/does/not/exist"])
        .await
        .failed(64, "CDC0005");
    for limits in [
        ["--max-concurrency", "1001"],
        ["--max-concurrency", "4294967295"],
        ["--rate", "0"],
        ["--rate", "NaN"],
    ] {
        let report = change(&database, &[&limits[..], &["--type", "a"]].concat()).await;
        assert_eq!(report.status, 69, "{limits:?}: {report:?}");
    }
    for bad in [
        ["--max-concurrency", "0"],
        ["--guarantee", "exactly_once"],
        ["--rate", "much"],
        ["--secret-file", "/dev/null"],
    ] {
        let report = change(&database, &bad).await;
        assert_eq!(report.status, 64, "{bad:?}: {report:?}");
    }
    assert_eq!(row(&database).await, AS_ADDED);
    assert_eq!(database.text(SUBSCRIPTIONS).await.unwrap(), "*/*");
}

#[tokio::test]
async fn shows_no_more_of_a_url_than_the_list_does() {
    let database = with_billing(&[]).await;
    let url = |end| format!("http://127.0.0.1:8099/services/{end}/secret-of-a-chat");
    for (end, more) in [("T0001", &[][..]), ("T0002", &["--json"])] {
        let url = url(end);
        let change = ["endpoint", "change", "billing", "--url", &url];
        let change = [&change, more].concat();
        let told = database.run_with(&change, &[LOOPBACK]).await.succeeded();
        assert!(
            told.contains("/services/") && !told.contains("secret-of"),
            "{told}"
        );
    }
    assert!(row(&database).await.starts_with(&url("T0002")));
}

#[tokio::test]
async fn help_shows_how() {
    for command in ["change", "remove"] {
        let help = binary::run(&["endpoint", command, "--help"], &[]).await;
        let help = help.succeeded();
        let example = format!("cdc-relay endpoint {command} billing");
        assert!(
            help.contains("Examples:") && help.contains(&example),
            "{help}"
        );
    }
}
