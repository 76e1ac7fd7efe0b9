//! What `/metrics` says.

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::wait::{Look, until};

use crate::outlet::{SOON, emit, id, ids_until, one_topic};

#[tokio::test(flavor = "multi_thread")]
async fn counts_every_event_and_transaction_once() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    let relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    for n in 0..10 {
        let events: String = (3 * n..3 * n + 3).map(emit).collect();
        session
            .batch_execute(&format!("BEGIN; {events} COMMIT;"))
            .await?;
        session
            .batch_execute(&format!("BEGIN; {} ROLLBACK;", emit(1000 + n)))
            .await?;
    }
    ids_until(&scenario, &id(29)).await?;
    let expected = [
        ("cdc_relay_events_total", 30.0),
        ("cdc_relay_transactions_total", 10.0),
        ("cdc_relay_commit_to_ack_seconds_count", 10.0),
        ("cdc_relay_ignored_changes_total", 0.0),
        ("cdc_relay_in_flight_events", 0.0),
        ("cdc_relay_in_flight_bytes", 0.0),
        ("cdc_relay_lag_seconds", 0.0),
        ("cdc_relay_streaming", 1.0),
        ("cdc_relay_kafka_answers", 1.0),
    ];
    until(SOON, "the metrics", async || {
        let mut wrong = Vec::new();
        for (name, value) in expected {
            let found = relay.admin().metric(name).await?;
            if (found - value).abs() > f64::EPSILON {
                wrong.push(format!("{name} is {found}, not {value}"));
            }
        }
        Ok(Look::when(wrong.is_empty(), wrong.join(", ")))
    })
    .await?;
    ensure!(relay.admin().is_ready().await?, "it is not ready");
    Ok(())
}
