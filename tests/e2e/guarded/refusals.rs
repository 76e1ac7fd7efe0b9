//! What a broker can refuse, with librdkafka's mock cluster in the place of Kafka, and nobody in that of the relay: the slot
//! moves as if everything stored were delivered at once.

use std::time::Duration;

use anyhow::Result;
use cdc_e2e::Scenario;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::RDKafkaApiKey::Produce;
use rdkafka::types::RDKafkaRespErr;
use tokio::task::JoinSet;

use super::service::{Prepared, Service};

const TOPIC: &str = "orders";

/// More errors than there are attempts.
const ALWAYS: usize = 10_000;

/// A mock of Kafka, and a service that sends to it.
struct Stage {
    cluster: MockCluster<'static, DefaultProducerContext>,
    service: Service,
    _delivering: JoinSet<()>,
    _scenario: Scenario,
}

impl Stage {
    /// With a service that has sent something.
    async fn new() -> Result<Self> {
        let scenario = Scenario::shared().await?;
        let cluster = MockCluster::new(1)?;
        cluster.create_topic(TOPIC, 1, 1)?;
        let mut service = Prepared::new(&scenario)?
            .with("KAFKA_BROKERS", &cluster.bootstrap_servers())
            .with("TOPIC", TOPIC)
            .with("DELIVERY_TIMEOUT_MS", "1000")
            .start()?;
        let delivering = deliver_always(&scenario).await?;
        service.send_until_sent("k").await?;
        Ok(Self {
            cluster,
            service,
            _delivering: delivering,
            _scenario: scenario,
        })
    }

    /// While every attempt to write is answered by `error`, events are stored; some time after it, one is sent.
    async fn stores_while(mut self, error: RDKafkaRespErr) -> Result<()> {
        self.cluster.request_errors(Produce, &[error; ALWAYS]);
        self.service.send("k").await?.stored()?;
        let alert = self.service.alerts().last().cloned().unwrap_or_default();
        anyhow::ensure!(
            alert["alert"] == "entered" && alert["cause"] == "timed_out",
            "{alert}"
        );
        self.cluster.clear_request_errors(Produce);
        self.service.send_until_sent("k").await?;
        let alert = self.service.alerts().last().cloned().unwrap_or_default();
        anyhow::ensure!(alert["alert"] == "left", "{alert}");
        self.service.close().await
    }
}

async fn deliver_always(scenario: &Scenario) -> Result<JoinSet<()>> {
    let session = scenario.database().session().await?;
    let slot = scenario.database().name();
    let sql = format!("SELECT pg_replication_slot_advance('{slot}', pg_current_wal_flush_lsn())");
    let mut task = JoinSet::new();
    task.spawn(async move {
        while session.batch_execute(&sql).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    Ok(task)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_leader_is_stored_until_it_has_one() -> Result<()> {
    let stage = Stage::new().await?;
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    stage.stores_while(error).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_too_few_replicas_would_have_is_stored_until_there_are_enough() -> Result<()> {
    let stage = Stage::new().await?;
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS;
    stage.stores_while(error).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_passes_in_time_costs_nothing_but_time() -> Result<()> {
    let mut stage = Stage::new().await?;
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    stage.cluster.request_errors(Produce, &[error; 2]);
    stage.service.send("k").await?.sent()?;
    stage.service.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_broker_finds_too_large_is_an_error_and_no_event_for_the_outbox()
-> Result<()> {
    let mut stage = Stage::new().await?;
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    stage.cluster.request_errors(Produce, &[error]);
    let answer = stage.service.send("k").await?;
    anyhow::ensure!(
        answer.outcome == "failed" && answer.error == "Kafka refuses the event",
        "{answer:?}"
    );
    stage.service.send("k").await?.sent()?;
    stage.service.close().await
}
