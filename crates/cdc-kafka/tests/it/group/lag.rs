//! How far a group is behind.

use std::time::Duration;

use cdc_kafka::{Error, KafkaOptions, Offset, group_lag};
use rdkafka::types::RDKafkaApiKey::OffsetFetch;
use rdkafka::types::RDKafkaRespErr::{
    RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
    RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
};

use super::setup::{TestGroup, delete_before};
use crate::setup::{DEADLINE, mock, unique_name};

#[tokio::test(flavor = "multi_thread")]
async fn tells_how_far_a_group_is_behind_without_joining_it() {
    let group = TestGroup::create("lag", 3).await;
    group.write(0, 0, 10).await;
    group.write(1, 0, 10).await;
    let mut member = group.join();
    member.assigned(3).await;
    assert!(member.reader(0).store(Offset(4)));
    member.close().await;
    delete_before(&group, 1, Offset(3)).await;

    let topics = [group.topic.name.clone(), unique_name("nowhere")];
    let lag = group_lag(&group.options, &group.name, &topics, DEADLINE)
        .await
        .unwrap();
    let seen: Vec<_> = lag
        .iter()
        .map(|lag| {
            (
                lag.partition.partition.0,
                lag.committed,
                lag.start.0,
                lag.end.0,
                lag.offsets_behind(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (0, Some(Offset(4)), 0, 10, 6),
            (1, None, 3, 10, 7),
            (2, None, 0, 0, 0)
        ]
    );
}

#[tokio::test]
async fn says_that_the_cluster_is_away() {
    let options = KafkaOptions::new("127.0.0.1:1");
    let asked = group_lag(&options, "g", &["t".into()], Duration::from_millis(300)).await;
    assert!(matches!(asked, Err(Error::Unreachable { .. })), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_again_while_the_group_has_no_coordinator() {
    let (cluster, options) = mock("t");
    cluster.request_errors(
        OffsetFetch,
        &[
            RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
            RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        ],
    );
    let lag = group_lag(&options, "g", &["t".into()], DEADLINE)
        .await
        .unwrap();
    assert_eq!((lag.len(), lag[0].committed), (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_to_show_the_group_is_told_at_once() {
    let (cluster, options) = mock("t");
    cluster.request_errors(OffsetFetch, &[RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED]);
    let asked = group_lag(&options, "g", &["t".into()], DEADLINE).await;
    assert!(matches!(asked, Err(Error::Unreachable { .. })), "{asked:?}");
}
