//! A Spring application reads our dead letters as it reads its own.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use cdc_e2e::receiver::Receiver;
use cdc_e2e::services::checkout;
use cdc_e2e::wait::{Look, until};
use cdc_e2e::{Delivery, Scenario};
use tokio::io::AsyncWriteExt;

use crate::outlet::{Record, SOON, emit, id, one_topic, records_of, records_until};

fn script() -> PathBuf {
    checkout().join("tests/interop/spring_dead_letter")
}

/// Whether Spring Kafka is to be had here.
fn is_there() -> bool {
    let fetched = Command::new(script()).arg("--fetch").output();
    let has_java = Command::new("java").arg("-version").output();
    [fetched, has_java]
        .into_iter()
        .all(|output| output.is_ok_and(|output| output.status.success()))
}

/// A scenario of which every event goes to one webhook; without transactions, offsets are those of the events alone.
fn with_webhooks(scenario: Scenario) -> Scenario {
    let name = scenario.database().name().to_owned();
    one_topic(scenario)
        .delivering(Delivery::AtLeastOnce)
        .with("CDC_NOTIFY__TOPICS", format!("{name}.events"))
        .with("CDC_NOTIFY__GROUP", &name)
        .with("CDC_NOTIFY__ALLOW_PRIVATE_NETWORKS", "127.0.0.0/8")
        .with(
            "CDC_RECOVER__CONSUMER",
            format!("[{{ group = '{name}', retry = {{ tiers = ['1s'] }} }}]"),
        )
}

#[tokio::test(flavor = "multi_thread")]
async fn springs_own_accessors_read_the_headers_of_a_dead_letter() -> Result<()> {
    if !is_there() {
        eprintln!("skipped: Spring Kafka cannot be had with mvn, or there is no java");
        return Ok(());
    }
    let scenario = with_webhooks(Scenario::shared().await?);
    let receiver = Receiver::start().await?;
    let url = receiver.url("strict");
    scenario
        .run(&format!("endpoint add strict --url {url}"))
        .await?;
    let _relay = scenario.relay().await?;
    let notifier = scenario.start("notify")?;
    let session = scenario.database().session().await?;
    session.batch_execute(&(emit(1) + &emit(2))).await?;
    until(SOON, "two webhooks", async || {
        let heard = receiver.requests("strict").len();
        Ok(Look::when(heard == 2, heard))
    })
    .await?;
    receiver.answer("strict", 400);
    session.batch_execute(&emit(3)).await?;

    let name = scenario.database().name();
    let (source, dead_letters) = (
        format!("{name}.events"),
        format!("{name}.events.{name}.DLT"),
    );
    let letters = records_of(&scenario, &dead_letters, &id(3)).await?;
    let records = records_until(&scenario, &id(3)).await?;
    let failed = records.last().context("no record")?;
    let [letter] = &letters[..] else {
        anyhow::bail!("{letters:?}");
    };
    let expected = expected(name, &source, failed, letter)?;
    let ended = read_by_spring(scenario.kafka_brokers(), &dead_letters, &expected).await?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "{said}");
    notifier.sigterm(SOON).await?;
    Ok(())
}

/// What the third record and the error in its letter are to be for Spring.
fn expected(group: &str, source: &str, failed: &Record, letter: &Record) -> Result<String> {
    let text = |name: &str| letter.header(name).with_context(|| format!("no {name}"));
    let message = text("kafka_dlt-exception-message")?;
    ensure!(message.contains("400"), "{message}");
    let lines = [
        ("value", "{}"),
        ("key", "k"),
        ("topic", source),
        ("partition", "0"),
        ("offset", "2"),
        (
            "timestamp",
            &failed.timestamp_ms.context("no time")?.to_string(),
        ),
        ("timestamp-type", "CreateTime"),
        ("group", group),
        ("exception", text("cdc-error-code")?),
        ("message", message),
        ("stack-trace", text("kafka_dlt-exception-stacktrace")?),
    ]
    .map(|(name, value)| {
        let value = value.replace('\\', "\\\\").replace('\n', "\\n");
        format!("{name}={value}\n")
    });
    Ok(lines.concat())
}

async fn read_by_spring(brokers: &str, topic: &str, expected: &str) -> Result<Output> {
    let mut child = tokio::process::Command::new(script())
        .args([brokers, topic])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = child.stdin.take().context("stdin is piped")?;
    input.write_all(expected.as_bytes()).await?;
    drop(input);
    Ok(tokio::time::timeout(SOON, child.wait_with_output()).await??)
}
