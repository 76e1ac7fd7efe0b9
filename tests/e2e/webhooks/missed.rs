//! What an endpoint missed while it was disabled reaches it by one command, and nobody else by that.

use std::io::Read;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::process::{Pid, Signal};
use cdc_e2e::receiver::Receiver;
use cdc_e2e::topics::delete_records_before;
use cdc_e2e::wait::{Look, until};

use super::{add, command, commit, heard_once, rows, scenario, until_delivered};
use crate::outlet::{SOON, first_records_of, ids};

const REPLAY: &str = "recover replay --missed --endpoint off";

/// The endpoints `well` and `off`, of which the second missed the first `count` events.
async fn missed(count: u32) -> Result<(Scenario, Receiver)> {
    missed_by(scenario("['200ms']").await?, count).await
}

async fn missed_by(scenario: Scenario, count: u32) -> Result<(Scenario, Receiver)> {
    let receiver = Receiver::start().await?;
    let scenario = scenario.with("CDC_NOTIFY__CACHE_EXPIRY", "2s");
    for endpoint in ["well", "off"] {
        add(&scenario, &receiver, endpoint, "")?;
    }
    command(&scenario, "endpoint disable off --reason test")?;
    let relay = scenario.relay().await?;
    let notifier = scenario.start("notify")?;
    commit(&scenario, 1..=count).await?;
    until_delivered(&receiver, "well", &ids(1..=count), SOON).await?;
    until_count(&scenario, "missed", count as usize).await?;
    notifier.sigterm(SOON).await?;
    relay.sigterm(SOON).await?;
    ensure!(receiver.requests("off").is_empty(), "it was disabled");
    Ok((scenario, receiver))
}

/// The topic of the group's retries.
fn retries(scenario: &Scenario) -> String {
    let name = scenario.database().name();
    format!("{name}.events.{name}.retry-1")
}

/// Waits until that many deliveries to `off` are in a state.
async fn until_count(scenario: &Scenario, state: &str, count: usize) -> Result<()> {
    let sql = format!(
        "SELECT event_id FROM cdc.delivery WHERE endpoint_id = 'off' AND state = '{state}'"
    );
    until(SOON, &format!("deliveries that are {state}"), async || {
        let found = rows(scenario, &sql).await?.len();
        Ok(Look::when(found == count, found))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn reaches_it_alone_and_once_by_the_command_that_enabling_prints() -> Result<()> {
    let (scenario, receiver) = missed(5).await?;
    let relay = scenario.relay().await?;
    // It learns that the endpoint is disabled, and that it is not only later.
    let notifier = scenario.start("notify")?;
    commit(&scenario, 6..=6).await?;
    until_count(&scenario, "missed", 6).await?;
    let told = command(&scenario, "endpoint enable off")?;
    let to_type = told
        .lines()
        .find_map(|line| line.trim().strip_prefix("cdc-relay "));
    ensure!(to_type == Some(REPLAY), "{told}");
    let told = command(&scenario, REPLAY)?;
    ensure!(told.contains("6 events sent to off"), "{told}");
    until_delivered(&receiver, "off", &ids(1..=6), SOON).await?;
    until_count(&scenario, "delivered", 6).await?;

    let again = command(&scenario, REPLAY)?;
    ensure!(again.contains("0 events sent to off"), "{again}");
    commit(&scenario, 7..=7).await?;
    for endpoint in ["well", "off"] {
        until_delivered(&receiver, endpoint, &ids(7..=7), SOON).await?;
    }
    notifier.sigterm(SOON).await?;
    relay.sigterm(SOON).await?;
    let heard: Vec<_> = receiver
        .requests("off")
        .into_iter()
        .map(|request| request.id)
        .collect();
    ensure!(heard == ids(1..=7), "{heard:?}");
    ensure!(receiver.requests("well").len() == 7, "it missed nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reaches_it_in_order_where_keys_keep_theirs() -> Result<()> {
    for backend in ["lanes", "redirect_topic"] {
        let scenario = scenario("[]").await?;
        let consumer = format!(
            "[{{ group = '{}', ordering = 'key', order_backend = '{backend}', \
             retry = {{ blocking = {{ kind = 'none' }}, tiers = ['200ms'] }} }}]",
            scenario.database().name()
        );
        let scenario = scenario.with("CDC_RECOVER__CONSUMER", consumer);
        let (scenario, receiver) = missed_by(scenario, 20).await?;
        command(&scenario, "endpoint enable off")?;
        let notifier = scenario.start("notify")?;
        for _ in 0..2 {
            command(&scenario, REPLAY)?;
        }
        until_delivered(&receiver, "off", &ids(1..=20), SOON).await?;
        until_count(&scenario, "delivered", 20).await?;
        notifier.sigterm(SOON).await?;
        let heard: Vec<_> = receiver
            .requests("off")
            .into_iter()
            .map(|request| request.id)
            .collect();
        ensure!(heard == ids(1..=20), "{backend}: {heard:?}");
        ensure!(receiver.requests("well").len() == 20, "{backend}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn is_heard_once_although_it_was_sent_by_two() -> Result<()> {
    let (scenario, receiver) = missed(3).await?;
    command(&scenario, "endpoint enable off")?;
    command(&scenario, REPLAY)?;
    // What it leaves behind if it is killed before it has noted what it sent.
    let session = scenario.database().session().await?;
    session
        .batch_execute("UPDATE cdc.delivery SET state = 'missed' WHERE state = 'retrying'")
        .await?;
    let told = command(&scenario, REPLAY)?;
    ensure!(told.contains("3 events sent to off"), "{told}");
    first_records_of(&scenario, &retries(&scenario), 6).await?;
    let notifier = scenario.start("notify")?;
    until_delivered(&receiver, "off", &ids(1..=3), SOON).await?;
    until(SOON, "the end of the retries", async || {
        let status = command(&scenario, "status --json")?;
        let status: serde_json::Value = serde_json::from_str(&status)?;
        let retries = &status["groups"][0]["retries"];
        Ok(Look::when(*retries == 0, status.to_string()))
    })
    .await?;
    notifier.sigterm(SOON).await?;
    heard_once(&receiver, "off")
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_after_it_was_interrupted() -> Result<()> {
    let (scenario, receiver) = missed(12).await?;
    command(&scenario, "endpoint enable off")?;
    let notifier = scenario.start("notify")?;
    let mut replay = scenario.command(&format!("{REPLAY} --rate 1/s"))?;
    let mut replay = replay.stdout(Stdio::piped()).spawn()?;
    first_records_of(&scenario, &retries(&scenario), 1).await?;
    Pid(replay.id()).send(Signal::Terminate)?;
    let mut told = String::new();
    let mut stdout = replay.stdout.take().context("it is piped")?;
    stdout.read_to_string(&mut told)?;
    ensure!(replay.wait()?.success(), "{told}");
    ensure!(
        told.contains("not touched, since it was interrupted"),
        "{told}"
    );
    command(&scenario, REPLAY)?;
    until_delivered(&receiver, "off", &ids(1..=12), SOON).await?;
    until_count(&scenario, "delivered", 12).await?;
    notifier.sigterm(SOON).await?;
    heard_once(&receiver, "off")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_has_lost_by_its_retention_is_told_and_the_rest_arrives() -> Result<()> {
    let (scenario, receiver) = missed(5).await?;
    let mut offsets: Vec<i64> = Vec::new();
    for origin in rows(
        &scenario,
        "SELECT origin FROM cdc.delivery WHERE endpoint_id = 'off'",
    )
    .await?
    {
        let (_, offset) = origin.rsplit_once('@').context("no place")?;
        offsets.push(offset.parse()?);
    }
    offsets.sort_unstable();
    let topic = format!("{}.events", scenario.database().name());
    delete_records_before(scenario.kafka_brokers(), &topic, 0, offsets[2]).await?;
    command(&scenario, "endpoint enable off")?;
    let output = scenario.command(REPLAY)?.output()?;
    let (told, report) = (
        String::from_utf8(output.stdout)?,
        String::from_utf8(output.stderr)?,
    );
    let lost = format!(
        "2 events of {topic}[0], offsets {} to {}, not sent",
        offsets[0], offsets[1]
    );
    ensure!(
        output.status.code() == Some(69) && report.contains("error[CDC0061]"),
        "{report}"
    );
    ensure!(
        told.contains("3 events sent to off") && told.contains(&lost),
        "{told}"
    );
    let notifier = scenario.start("notify")?;
    until_delivered(&receiver, "off", &ids(3..=5), SOON).await?;
    notifier.sigterm(SOON).await?;
    heard_once(&receiver, "off")?;
    until_count(&scenario, "missed", 2).await
}
