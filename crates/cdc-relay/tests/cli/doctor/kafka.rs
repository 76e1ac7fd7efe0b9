//! What `doctor` says of Kafka and its topics.

use crate::database::TestDatabase;
use crate::kafka_tools::ConfiguredTopic;

use super::{finding, findings, tells};

#[tokio::test]
async fn finds_a_fixed_topic_that_nobody_creates() {
    let database = TestDatabase::create().await;
    let settings = [
        ("CDC_OUTBOX__TOPIC", database.name.as_str()),
        ("CDC_KAFKA__TOPICS__CREATE", "false"),
    ];
    let (_, findings) = findings(&database, &settings).await;
    assert_eq!(finding(&findings, "topics")["code"], "CDC0042");
}

#[tokio::test]
async fn finds_settings_of_topics_that_endanger_events() {
    let database = TestDatabase::create().await;
    let name = &database.name;
    let topic = ConfiguredTopic::create(
        &format!("{name}.order"),
        &[
            "min.insync.replicas=2",
            "max.message.bytes=2000",
            "cleanup.policy=compact",
            "message.timestamp.before.max.ms=1000",
        ],
    )
    .await;
    let template = format!("{name}.${{routedByValue}}");
    let settings = [("CDC_OUTBOX__TOPIC", template.as_str())];
    let (status, found) = findings(&database, &settings).await;
    assert_eq!(status, 69);
    tells(&found, "replicas", "fail", &topic.name);
    tells(&found, "replicas", "fail", "Kafka takes none");
    tells(&found, "record size", "warn", "2000 bytes");
    tells(&found, "cleanup.policy", "warn", "compacted");
    tells(&found, "timestamps", "warn", "1000 ms");
    tells(&found, "brokers", "warn", "there is one");
    tells(&found, "transactions", "ok", "");
}

#[tokio::test]
async fn says_whether_topics_can_be_created_without_creating_one() {
    let database = TestDatabase::create().await;
    let template = format!("{}.${{routedByValue}}", database.name);
    let (_, found) = findings(&database, &[("CDC_OUTBOX__TOPIC", template.as_str())]).await;
    tells(&found, "topics", "ok", "which Kafka allows");
    let too_many = [
        ("CDC_OUTBOX__TOPIC", template.as_str()),
        ("CDC_KAFKA__TOPICS__REPLICATION_FACTOR", "7"),
    ];
    let (_, found) = findings(&database, &too_many).await;
    tells(&found, "topics", "fail", "cdc-relay-doctor");
    let (_, found) = findings(&database, &[("CDC_OUTBOX__TOPIC", template.as_str())]).await;
    tells(&found, "topics", "ok", "which Kafka allows");
}

#[tokio::test]
async fn finds_the_checkpoint_topic_that_init_made() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    let (_, found) = findings(&database, &[]).await;
    tells(&found, "checkpoint", "ok", "compacted, one partition");
    tells(&found, "store", "ok", "can be written to");
}
