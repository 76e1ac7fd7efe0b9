//! What `doctor` says of notifier and collector.

use crate::database::{TestDatabase, unique};
use crate::kafka_tools::ConfiguredTopic;

use super::{findings, tells};

#[tokio::test]
async fn says_nothing_of_consumers_that_are_not_configured() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let (_, found) = findings(&database, &[]).await;
    let about = |check: &str| found.iter().any(|finding| finding["check"] == check);
    assert!(!about("consumers") && !about("group"), "{found:?}");
}

#[tokio::test]
async fn finds_tables_and_topics_that_consumers_lack() {
    let database = TestDatabase::create().await;
    let name = database.name.as_str();
    let events = format!("{name}.events");
    let consumer = format!("[{{ group = '{name}', ordering = 'key' }}]");
    let settings = [
        ("CDC_NOTIFY__TOPICS", events.as_str()),
        ("CDC_NOTIFY__GROUP", name),
        ("CDC_RECOVER__CONSUMER", consumer.as_str()),
    ];
    let (status, found) = findings(&database, &settings).await;
    assert_eq!(status, 69);
    tells(&found, "migrations", "fail", "cdc-relay init");
    for table in ["cdc.attempt", "cdc.lane_owner", "cdc.failed_event"] {
        tells(
            &found,
            "consumers",
            "fail",
            &format!("{table}, which does not exist"),
        );
    }
    tells(&found, "group", "warn", &events);

    database.run(&["init"]).await.succeeded();
    let _topic = ConfiguredTopic::create(&events, &[]).await;
    let (status, found) = findings(&database, &settings).await;
    assert_eq!(status, 0, "{found:#?}");
    tells(&found, "migrations", "ok", "");
    for used in ["delivery, attempt", "lane_owner", "alert"] {
        tells(&found, "consumers", "ok", used);
    }
    tells(&found, "group", "ok", "0 records to be read");
}

#[tokio::test]
async fn finds_what_the_role_of_a_consumer_may_not_do() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let role = unique("consumer");
    // What the manual grants, but one.
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN;
             GRANT USAGE ON SCHEMA cdc TO {role};
             GRANT SELECT ON cdc.subscription TO {role};
             GRANT SELECT, UPDATE ON cdc.endpoint TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON cdc.delivery TO {role};
             GRANT SELECT, UPDATE, DELETE ON cdc.attempt TO {role};
             GRANT SELECT, INSERT, UPDATE ON cdc.failed_event, cdc.failed_event_action, cdc.alert TO {role}"
        ))
        .await;
    let address = database.url().rsplit_once('@').unwrap().1.to_owned();
    let url = format!("postgres://{role}@{address}");
    let settings = [
        ("CDC_POSTGRES__STORE_URL", url.as_str()),
        ("CDC_NOTIFY__TOPICS", "events"),
    ];
    let (refused, found) = findings(&database, &settings).await;
    database
        .execute(&format!("GRANT INSERT ON cdc.attempt TO {role}"))
        .await;
    let (allowed, found_later) = findings(&database, &settings).await;
    database
        .execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
    assert_eq!(refused, 69);
    tells(&found, "consumers", "fail", "needs INSERT on cdc.attempt");
    assert_eq!(allowed, 0, "{found_later:#?}");
    tells(&found_later, "consumers", "ok", "delivery, attempt");
}

#[tokio::test]
async fn finds_what_the_role_of_a_consumer_may_not_do_with_lanes() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let role = unique("lanes");
    // What the manual grants, without what is done with the actions of operators.
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN;
             GRANT USAGE ON SCHEMA cdc TO {role};
             GRANT SELECT ON cdc.subscription TO {role};
             GRANT SELECT, UPDATE ON cdc.endpoint TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON cdc.delivery, cdc.attempt TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON cdc.lane, cdc.lane_event, cdc.lane_owner TO {role};
             GRANT SELECT, INSERT, UPDATE ON cdc.failed_event, cdc.failed_event_action, cdc.alert TO {role}"
        ))
        .await;
    let address = database.url().rsplit_once('@').unwrap().1.to_owned();
    let url = format!("postgres://{role}@{address}");
    let name = database.name.as_str();
    let events = format!("{name}.events");
    let topic = ConfiguredTopic::create(&events, &[]).await;
    let consumer = format!("[{{ group = '{name}', ordering = 'key' }}]");
    let settings = [
        ("CDC_POSTGRES__STORE_URL", url.as_str()),
        ("CDC_NOTIFY__TOPICS", events.as_str()),
        ("CDC_NOTIFY__GROUP", name),
        ("CDC_RECOVER__CONSUMER", consumer.as_str()),
    ];
    let mut missing = Vec::new();
    for granted in ["SELECT", "INSERT", "UPDATE"] {
        missing.push(findings(&database, &settings).await);
        database
            .execute(&format!("GRANT {granted} ON cdc.lane_action TO {role}"))
            .await;
    }
    let (allowed, found_later) = findings(&database, &settings).await;
    database
        .execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
    drop(topic);
    let lacking = ["SELECT, INSERT, UPDATE", "INSERT, UPDATE", "UPDATE"];
    for ((status, found), lacking) in missing.iter().zip(lacking) {
        assert_eq!(*status, 69, "{found:#?}");
        let said = format!("needs {lacking} on cdc.lane_action");
        tells(found, "consumers", "fail", &said);
    }
    assert_eq!(allowed, 0, "{found_later:#?}");
    tells(&found_later, "consumers", "ok", "lane_owner, lane_action");
}
