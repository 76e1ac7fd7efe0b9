//! Kafka with two brokers: partitions change their leader while events flow.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::services::{Component, Services};
use cdc_e2e::stopwatch::Phase;
use cdc_e2e::wait::{Look, until};
use cdc_e2e::workload::{Load, Mix, Pace};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::heavy;

/// Long enough for a producer that lost its way to be found out and replaced.
const LATER: Duration = Duration::from_secs(90);

/// A broker that comes back leads again soon, not after five minutes; and both have the transactions' state.
const SETTINGS: &str = "leader.imbalance.check.interval.seconds=1;leader.imbalance.per.broker.percentage=0;\
                        transaction.state.log.replication.factor=2";

#[tokio::test(flavor = "multi_thread")]
async fn survives_the_loss_and_return_of_partition_leaders() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = Scenario::on(Services::private_kafka(SETTINGS).await?)
        .await?
        .showing_log()
        .with("CDC_KAFKA__TOPICS__REPLICATION_FACTOR", "2");
    let second = scenario.servers()?.another_broker().await?;

    let consumer = scenario.consumer()?;
    let mut relay = scenario.relay().await?;
    let load = Load::start(
        scenario.writers(2, 1),
        Mix::Everything,
        Pace(500),
        Phase::Rough,
    );
    let flows = async |since| scenario.journal().flows_again(since, LATER).await;
    flows(Instant::now()).await.context("at first")?;
    both_lead(&scenario).await?;
    let killed = Instant::now();
    second.kill(Component::Kafka).await?;
    flows(killed).await.context("after the loss of a leader")?;
    second.start_again(Component::Kafka).await?;
    both_lead(&scenario).await?;
    flows(Instant::now()).await.context("after its return")?;
    load.stop().await?;
    ensure!(relay.is_running(), "the relay has ended");
    consumer.finish(LATER).await?.require_clean()
}

/// Waits until each broker has all partitions of the events, and leads some.
async fn both_lead(scenario: &Scenario) -> Result<()> {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", scenario.kafka_brokers())
        .set_log_level(RDKafkaLogLevel::Emerg)
        .create()?;
    let prefix = scenario.database().name();
    until(LATER, "both brokers to lead", async || {
        let metadata = client.fetch_metadata(None, Duration::from_secs(2))?;
        let topics = metadata
            .topics()
            .iter()
            .filter(|topic| topic.name().starts_with(prefix));
        let partitions = topics.flat_map(|topic| topic.partitions());
        // The checkpoints' topic is older than the second broker.
        let partitions: Vec<_> = partitions
            .filter(|partition| partition.replicas().len() == 2)
            .collect();
        let replicated = partitions
            .iter()
            .filter(|partition| partition.isr().len() == 2)
            .count();
        let mut leaders: Vec<_> = partitions
            .iter()
            .map(|partition| partition.leader())
            .collect();
        leaders.sort_unstable();
        leaders.dedup();
        Ok(Look::when(
            replicated == partitions.len() && leaders.len() == 2,
            format_args!(
                "{replicated} of {} replicated, leaders {leaders:?}",
                partitions.len()
            ),
        ))
    })
    .await
}
