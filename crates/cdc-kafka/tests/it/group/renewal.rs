//! A client that cannot go on is replaced.

use std::time::Duration;

use cdc_kafka::{ConsumerEvent, ConsumerSettings, Disposition, Error};

use super::outage::{member, read_to, topic, write};
use super::setup::{Member, quick};
use crate::own_kafka::{OwnKafka, SHORT_SESSION};
use crate::setup::soon;
use crate::silent_cluster::SilentCluster;

/// A group that does without a member soon, on a broker that is not fenced.
const IMPATIENT: &str = "group.min.session.timeout.ms=500;broker.session.timeout.ms=60000;broker.heartbeat.interval.ms=500";

/// Chance decides what is under way when a broker falls silent. One round is enough most times, and three nearly always.
const ROUNDS: u32 = 10;

/// Writes ten records and reads them.
async fn read_round(kafka: &OwnKafka, member: &mut Member, round: u32) {
    write(&kafka.options, round * 10, round * 10 + 10).await;
    let seen = read_to(member, round * 10 + 9).await;
    // What was read and not committed may come again; nothing is left out.
    assert!(seen[0] <= round * 10, "{seen:?}");
    assert!(
        seen.windows(2).all(|pair| pair[1] <= pair[0] + 1),
        "{seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_forgotten_every_broker_is_replaced() {
    let cluster = SilentCluster::start().await;
    let mut options = quick(cluster.options.clone());
    options
        .consumer
        .insert("topic.metadata.refresh.interval.ms".into(), "100".into());
    // With the default it finds back by itself, unless two of its threads meet in the wrong order.
    options
        .client
        .insert("metadata.recovery.strategy".into(), "none".into());
    let settings = ConsumerSettings::new("g", vec!["t".into()]);
    let mut member = Member::start(&options, &settings);
    // It keeps the addresses that it was given until it has learned of a broker.
    soon(cluster.looked_at(3)).await;
    cluster.has_no_broker(true);
    let why = soon(async {
        loop {
            if let ConsumerEvent::Renewing(error) = member.consumer.event().await {
                return error;
            }
        }
    })
    .await;
    assert!(matches!(why, Error::BrokersForgotten), "{why:?}");
    assert_eq!(why.disposition(), Disposition::Rebuild);

    cluster.has_no_broker(false);
    soon(cluster.looked_at(3)).await;
    member.close().await;
}

/// Shows the same with a real one; here chance decides whether the client forgets.
#[tokio::test(flavor = "multi_thread")]
async fn reads_on_after_a_lone_broker_was_fenced() {
    let kafka = OwnKafka::start(SHORT_SESSION).await;
    topic(&kafka.options).await;
    let mut member = member(&kafka.options);
    for round in 0..4 {
        read_round(&kafka, &mut member, round).await;
        kafka.freeze();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        kafka.thaw();
    }
    read_round(&kafka, &mut member, 4).await;
    member.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_that_fences_itself_after_an_outage_reads_on() {
    let kafka = OwnKafka::start(IMPATIENT).await;
    topic(&kafka.options).await;
    let mut options = quick(kafka.options.clone());
    for (key, value) in [
        ("session.timeout.ms", "1000"),
        ("socket.timeout.ms", "2000"),
    ] {
        options.consumer.insert(key.into(), value.into());
    }
    let mut settings = ConsumerSettings::new("g", vec!["t".into()]);
    settings.commit_interval = Duration::from_millis(50);
    settings.instance_id = Some("one".into());
    let mut member = Member::start(&options, &settings);
    for round in 0..ROUNDS {
        read_round(&kafka, &mut member, round).await;
        if let Some(why) = member.renewals.pop() {
            assert!(matches!(why, Error::Outlived { .. }), "{why:?}");
            break;
        }
        assert!(round + 1 < ROUNDS, "it was never fenced");
        kafka.freeze();
        tokio::time::sleep(Duration::from_millis(3000)).await;
        kafka.thaw();
    }
    member.close().await;
}
