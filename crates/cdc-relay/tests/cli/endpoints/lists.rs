//! Lists of endpoints, deliveries and requests: what is chosen, and how they go on.

use serde_json::Value;

use crate::database::TestDatabase;

async fn json(database: &TestDatabase, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    let said = database.run(&arguments).await.succeeded();
    serde_json::from_str(&said).unwrap()
}

/// Reads a list page by page, two rows each, as somebody would who types what it says at its end. Gives the `name` of each row.
async fn paged(database: &TestDatabase, list: &[&str], rows: &str, name: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut arguments = [list, &["--limit", "2"]].concat();
        if let Some(after) = &after {
            arguments.extend(["--after", after]);
        }
        let page = json(database, &arguments).await;
        let found = page[rows].as_array().unwrap();
        seen.extend(
            found
                .iter()
                .map(|row| row[name].as_str().unwrap().to_owned()),
        );
        let said = database.run(&arguments).await.succeeded();
        let Some(next) = page["next"].as_str() else {
            assert!(!said.contains("--after"), "{said}");
            return seen;
        };
        assert_eq!(found.len(), 2);
        assert!(
            said.contains(&format!("--after '{next}' goes on")),
            "{said}"
        );
        after = Some(next.to_owned());
    }
}

#[tokio::test]
async fn requests_are_listed_for_people_and_programs() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let none = database.run(&["endpoint", "attempts"]).await.succeeded();
    assert!(none.contains("notify.attempt_log"), "{none}");
    database
        .execute(
            "INSERT INTO cdc.attempt (event_id, endpoint_id, epoch, milliseconds, status, code, excerpt)
             VALUES ('e-1', 'billing', 1, 12, 503, 'webhook-server-error', 'try later'),
                    ('e-2', 'billing', 1, 5, 200, NULL, NULL)",
        )
        .await;
    let list = ["endpoint", "attempts", "--event", "e-1"];
    let listed = database.run(&list).await.succeeded();
    assert!(
        ["12 ms", "503", "webhook-server-error"]
            .iter()
            .all(|part| listed.contains(part))
            && !listed.contains("e-2"),
        "{listed}"
    );
    let json = ["endpoint", "attempts", "--endpoint", "billing", "--json"];
    let json = database.run(&json).await.succeeded();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["attempts"].as_array().map(Vec::len), Some(2), "{json}");
}

#[tokio::test]
async fn requests_are_chosen_by_code_status_and_time() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    database
        .execute(
            "INSERT INTO cdc.attempt (event_id, endpoint_id, epoch, at, milliseconds, status, code) VALUES
                 ('e-1', 'billing', 1, now() - interval '1 day', 12, 503, 'webhook-server-error'),
                 ('e-2', 'billing', 1, now() - interval '90 minutes', 9, 502, 'webhook-server-error'),
                 ('e-3', 'billing', 1, now() - interval '30 minutes', 5, NULL, 'webhook-timeout'),
                 ('e-4', 'billing', 1, now(), 5, 200, NULL)",
        )
        .await;
    for (options, expected) in [
        ("--status 503", "e-1"),
        ("--status 5xx", "e-2 e-1"),
        ("--status 5xx --newer-than 1h", ""),
        ("--code webhook-timeout", "e-3"),
        ("--newer-than 1h", "e-4 e-3"),
        ("--older-than 1h", "e-2 e-1"),
        ("--older-than 1h --newer-than 2h --endpoint billing", "e-2"),
    ] {
        let list = ["endpoint", "attempts"];
        let options: Vec<_> = list.into_iter().chain(options.split(' ')).collect();
        let listed = json(&database, &options).await;
        let listed = listed["attempts"].as_array().unwrap();
        let events: Vec<_> = listed
            .iter()
            .map(|one| one["event_id"].as_str().unwrap())
            .collect();
        assert_eq!(events.join(" "), expected, "{options:?}");
    }
    for wrong in [
        "--status=often",
        "--status=6",
        "--newer-than=soon",
        "--after=e-1",
    ] {
        let refused = database.run(&["endpoint", "attempts", wrong]).await;
        let (option, _) = wrong.split_once('=').unwrap();
        assert_eq!(refused.status, 64, "{refused:?}");
        assert!(refused.stderr.contains(option), "{refused:?}");
    }
}

#[tokio::test]
async fn a_list_that_is_cut_off_says_how_it_goes_on() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    database
        .execute(
            "INSERT INTO cdc.endpoint (id, url)
             SELECT 'e, ' || n, 'https://example.com/' FROM generate_series(1, 5) AS n;
             INSERT INTO cdc.delivery (event_id, endpoint_id, state, at_most_once, code)
             SELECT 'd-' || n, 'e, 1', 'failed', false, 'webhook-gone' FROM generate_series(1, 5) AS n;
             INSERT INTO cdc.attempt (event_id, endpoint_id, epoch, milliseconds)
             SELECT 'a-' || n, 'e, 1', 1, 5 FROM generate_series(1, 4) AS n",
        )
        .await;
    let endpoints = paged(&database, &["endpoint", "list"], "endpoints", "id").await;
    assert_eq!(endpoints, ["e, 1", "e, 2", "e, 3", "e, 4", "e, 5"]);
    let list = ["endpoint", "deliveries", "--endpoint", "e, 1"];
    let deliveries = paged(&database, &list, "deliveries", "event_id").await;
    assert_eq!(deliveries, ["d-1", "d-2", "d-3", "d-4", "d-5"]);
    let list = ["endpoint", "attempts"];
    let attempts = paged(&database, &list, "attempts", "event_id").await;
    assert_eq!(attempts, ["a-4", "a-3", "a-2", "a-1"]);

    let all = json(&database, &["endpoint", "list"]).await;
    assert_eq!(all["endpoints"].as_array().map(Vec::len), Some(5));
    assert_eq!(all["next"], Value::Null);
    let behind = ["endpoint", "list", "--after", "e, 5"];
    let behind = database.run(&behind).await.succeeded();
    assert!(behind.contains("no endpoints after e, 5"), "{behind}");
}
