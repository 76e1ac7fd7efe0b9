//! Looking at a cluster and creating topics.

use std::time::{Duration, Instant};

use cdc_kafka::{
    Disposition, Error, KafkaOptions, TopicConfig, TopicInfo, TopicOutcome, TopicSettings, Topics,
};

use crate::setup::{DEADLINE, brokers, delete_topic, soon, unique_name};

const SETTINGS: TopicSettings = TopicSettings {
    partitions: 3,
    replication_factor: -1,
};

fn topics() -> Topics {
    Topics::new(KafkaOptions::new(brokers()), DEADLINE)
}

/// Deletes the topics also when the test fails.
struct Cleanup(Vec<String>);

impl Drop for Cleanup {
    fn drop(&mut self) {
        self.0.iter().for_each(|name| delete_topic(name));
    }
}

#[tokio::test]
async fn creates_what_is_missing_and_leaves_what_is_there() {
    let names = Cleanup(vec![unique_name("first"), unique_name("second")]);
    let [first, second] = &names.0[..] else {
        unreachable!("two names")
    };
    let created = topics()
        .ensure(std::slice::from_ref(second), SETTINGS)
        .await
        .unwrap();
    assert_eq!(
        created,
        [TopicOutcome::Created {
            topic: second.clone()
        }]
    );

    let other = TopicSettings {
        partitions: 7,
        ..SETTINGS
    };
    let outcomes = topics().ensure(&names.0, other).await.unwrap();
    assert_eq!(
        outcomes,
        [
            TopicOutcome::Created {
                topic: first.clone()
            },
            TopicOutcome::Existed {
                topic: second.clone()
            },
        ]
    );
    // The brokers take a moment to tell each other of a new topic.
    let partitions = soon(async {
        loop {
            let infos = topics().describe(&names.0).await.unwrap();
            let partitions: Vec<_> = infos
                .iter()
                .filter_map(|info| match info {
                    TopicInfo::Present { partitions, .. } => Some(*partitions),
                    TopicInfo::Missing { .. } => None,
                })
                .collect();
            if partitions.len() == 2 {
                return partitions;
            }
        }
    })
    .await;
    assert_eq!(partitions, [7, 3]);
}

#[tokio::test]
async fn does_not_create_a_topic_by_asking_for_it() {
    let name = unique_name("asked");
    for _ in 0..2 {
        let infos = topics()
            .describe(std::slice::from_ref(&name))
            .await
            .unwrap();
        assert_eq!(
            infos,
            [TopicInfo::Missing {
                topic: name.clone()
            }]
        );
    }
}

#[tokio::test]
async fn says_which_topic_was_refused_and_that_it_is_for_good() {
    let names = Cleanup(vec![unique_name("replicas")]);
    let settings = TopicSettings {
        partitions: 1,
        replication_factor: 100,
    };
    let error = topics().ensure(&names.0, settings).await.unwrap_err();
    assert!(
        matches!(&error, Error::Topic { topic, .. } if *topic == names.0[0]),
        "{error:?}"
    );
    assert_eq!(error.disposition(), Disposition::Permanent);

    let invalid = ["not/a/topic".to_owned()];
    let error = topics().ensure(&invalid, SETTINGS).await.unwrap_err();
    assert!(
        matches!(&error, Error::Topic { topic, .. } if *topic == invalid[0]),
        "{error:?}"
    );
    assert_eq!(error.disposition(), Disposition::Permanent);
}

#[tokio::test]
async fn creates_a_topic_with_properties_and_tells_them() {
    const NAMES: [&str; 4] = [
        "cleanup.policy",
        "max.message.bytes",
        "min.insync.replicas",
        "no.such.property",
    ];
    let names = Cleanup(vec![unique_name("compacted")]);
    let properties = async || topics().config(&names.0[0], &NAMES).await.unwrap();
    assert_eq!(properties().await, None);

    let config = TopicConfig::compacted().with("max.message.bytes", "2000000");
    let outcomes = topics()
        .ensure_with(&names.0, SETTINGS, config)
        .await
        .unwrap();
    assert!(matches!(&outcomes[..], [TopicOutcome::Created { .. }]));
    let properties = soon(async {
        loop {
            if let Some(properties) = properties().await {
                return properties;
            }
        }
    })
    .await;
    assert_eq!(properties["cleanup.policy"], "compact");
    assert_eq!(properties["max.message.bytes"], "2000000");
    assert_eq!(
        properties["min.insync.replicas"], "1",
        "the brokers' default"
    );
    assert_eq!(properties.len(), 3, "{properties:?}");
}

#[tokio::test]
async fn refuses_a_property_that_kafka_does_not_know() {
    let names = Cleanup(vec![unique_name("property")]);
    let config = TopicConfig::new().with("cleanup.policy", "burn");
    let error = topics()
        .ensure_with(&names.0, SETTINGS, config)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Topic { topic, .. } if *topic == names.0[0]),
        "{error:?}"
    );
    assert_eq!(error.disposition(), Disposition::Permanent);
}

#[tokio::test]
async fn lists_the_brokers() {
    let cluster = topics().ping().await.unwrap();
    assert_eq!(cluster.brokers, [brokers()]);
}

#[tokio::test]
async fn gives_up_in_time_and_says_where_and_why() {
    let timeout = Duration::from_millis(500);
    let topics = Topics::new(KafkaOptions::new("127.0.0.1:1"), timeout);
    let started = Instant::now();
    let error = topics.ping().await.unwrap_err();
    assert!(started.elapsed() < timeout * 6, "{:?}", started.elapsed());
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Transient);
    let text = error.to_string();
    for part in ["127.0.0.1:1", "list its brokers", "Connection refused"] {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}
