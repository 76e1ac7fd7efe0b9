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

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_sent_otherwise_than_asked_for_are_counted_and_said_once() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?)
        .with("CDC_OUTBOX__TABLES", "public.loose")
        .with("CDC_OUTBOX__EXPAND_JSON", "true");
    let session = scenario.database().session().await?;
    session
        .batch_execute(
            "CREATE TABLE loose (id text, aggregatetype text, aggregateid text, type text, payload text, traceparent text)",
        )
        .await?;
    scenario.init().await?;
    let relay = scenario.relay().await?;
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    session
        .batch_execute(&format!(
            "INSERT INTO loose VALUES ('1', 'order', 'k', 't', 'no json', NULL), ('2', 'order', 'k', 't', 'nor this', NULL),
                                      ('3', 'order', 'k', 't', '{{}}', 'nonsense'), ('4', 'order', 'k', 't', '{{}}', '{good}')"
        ))
        .await?;
    ensure!(ids_until(&scenario, "4").await? == ["1", "2", "3", "4"]);
    let metrics = relay.admin().get("/metrics").await?.body;
    for (kind, count) in [("unexpanded_payload", 2), ("invalid_trace_context", 1)] {
        let line = format!("cdc_relay_event_notices_total{{kind=\"{kind}\"}} {count}");
        ensure!(
            metrics.lines().any(|found| found == line),
            "no {line}: {metrics}"
        );
    }
    let log = scenario.log().tail(usize::MAX);
    for (what, event) in [("payload is no JSON", "1"), ("trace context is none", "3")] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(what)).collect();
        ensure!(
            lines.len() == 1
                && lines
                    .iter()
                    .all(|line| line.contains(&format!("event_id={event}"))),
            "{lines:?}"
        );
    }
    Ok(())
}
