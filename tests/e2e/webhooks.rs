//! From the commit to the webhook: who subscribed hears once, whatever fails or is killed on the way.

mod group;
mod metrics;
mod missed;
mod news;
mod outages;
mod overdue;
mod replays;
mod restarts;
mod secrets;

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::receiver::Receiver;
use cdc_e2e::wait::{Look, until};

use crate::outlet::{SOON, emit, id, ids, one_topic};

/// A scenario whose events go to webhooks on this machine; `tiers` is a list of delays in TOML.
async fn scenario(tiers: &str) -> Result<Scenario> {
    let scenario = one_topic(Scenario::shared().await?);
    let name = scenario.database().name().to_owned();
    let consumer = format!(
        "[{{ group = '{name}', retry = {{ blocking = {{ kind = 'none' }}, tiers = {tiers} }} }}]"
    );
    Ok(scenario
        .with("CDC_NOTIFY__TOPICS", format!("{name}.events"))
        .with("CDC_NOTIFY__GROUP", name)
        .with("CDC_NOTIFY__TIMEOUT", "1s")
        .with("CDC_NOTIFY__ALLOW_PRIVATE_NETWORKS", "127.0.0.0/8")
        .with("CDC_RECOVER__CONSUMER", consumer))
}

fn command(scenario: &Scenario, arguments: &str) -> Result<String> {
    let output = scenario.command(arguments)?.output()?;
    let text = String::from_utf8(output.stdout)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{arguments}: {said}");
    Ok(text)
}

fn add(scenario: &Scenario, receiver: &Receiver, endpoint: &str, more: &str) -> Result<String> {
    let url = receiver.url(endpoint);
    command(
        scenario,
        &format!("endpoint add {endpoint} --url {url} {more}"),
    )
}

async fn commit(scenario: &Scenario, numbers: std::ops::RangeInclusive<u32>) -> Result<()> {
    let session = scenario.database().session().await?;
    for number in numbers {
        session.batch_execute(&emit(number)).await?;
    }
    Ok(())
}

/// Each has a key of its own, so that none waits for another.
async fn commit_apart(scenario: &Scenario, numbers: std::ops::RangeInclusive<u32>) -> Result<()> {
    let session = scenario.database().session().await?;
    let (first, last) = numbers.into_inner();
    let id = "'00000000-0000-4000-8000-' || lpad(n::text, 12, '0')";
    let sql = format!(
        "SELECT cdc.emit('order', 'k' || n, 'Happened', '{{}}', NULL, ({id})::uuid) FROM generate_series({first}, {last}) AS n"
    );
    Ok(session.batch_execute(&sql).await?)
}

async fn until_delivered(
    receiver: &Receiver,
    endpoint: &str,
    wanted: &[String],
    limit: Duration,
) -> Result<()> {
    until(limit, &format!("webhooks to {endpoint}"), async || {
        let delivered = receiver.delivered(endpoint);
        let missing: Vec<_> = wanted
            .iter()
            .filter(|id| !delivered.contains_key(*id))
            .collect();
        Ok(Look::when(
            missing.is_empty(),
            format!("{missing:?} are missing"),
        ))
    })
    .await
}

fn heard_once(receiver: &Receiver, endpoint: &str) -> Result<()> {
    let delivered = receiver.delivered(endpoint);
    let twice: Vec<_> = delivered.iter().filter(|(_, count)| **count > 1).collect();
    ensure!(
        twice.is_empty(),
        "{endpoint} heard these more than once: {twice:?}"
    );
    Ok(())
}

async fn rows(scenario: &Scenario, sql: &str) -> Result<Vec<String>> {
    let session = scenario.database().session().await?;
    let rows = session.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subscriber_hears_each_event_once_and_one_that_fails_holds_nobody_up() -> Result<()> {
    let scenario = scenario("['500ms', '1s', '2s', '4s', '8s', '8s', '8s', '8s']").await?;
    let receiver = Receiver::start().await?;
    add(&scenario, &receiver, "well", "")?;
    add(&scenario, &receiver, "ill", "")?;
    receiver.answer("ill", 503);
    let _relay = scenario.relay().await?;
    let notifier = scenario.start("notify")?;
    commit(&scenario, 1..=20).await?;
    let wanted = ids(1..=20);
    until_delivered(&receiver, "well", &wanted, SOON).await?;
    until(SOON, "a request to the one that fails", async || {
        let requests = receiver.requests("ill").len();
        Ok(Look::when(requests > 0, requests))
    })
    .await?;
    receiver.answer("ill", 200);
    until_delivered(&receiver, "ill", &wanted, SOON).await?;
    notifier.sigterm(SOON).await?;
    for endpoint in ["well", "ill"] {
        heard_once(&receiver, endpoint)?;
    }
    ensure!(
        receiver.requests("well").len() == 20,
        "one that hears is asked once"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_chooses_by_subject_and_a_disabled_endpoint_hears_nothing() -> Result<()> {
    let scenario = scenario("['1s']").await?;
    let receiver = Receiver::start().await?;
    add(&scenario, &receiver, "mine", "--subject k")?;
    add(&scenario, &receiver, "others", "--subject somebody-else")?;
    add(&scenario, &receiver, "off", "")?;
    command(&scenario, "endpoint disable off --reason test")?;
    let _relay = scenario.relay().await?;
    let notifier = scenario.start("notify")?;
    commit(&scenario, 1..=5).await?;
    until_delivered(&receiver, "mine", &ids(1..=5), SOON).await?;
    notifier.sigterm(SOON).await?;
    for endpoint in ["others", "off"] {
        ensure!(
            receiver.requests(endpoint).is_empty(),
            "{endpoint} heard something"
        );
    }
    let listed = command(&scenario, "endpoint list")?;
    ensure!(
        listed.contains("disabled") && !listed.contains("whsec_"),
        "{listed}"
    );
    let first = receiver.requests("mine")[0].clone();
    ensure!(first.id == id(1), "{first:?}");
    let body: serde_json::Value = serde_json::from_slice(&first.body)?;
    ensure!(body["id"] == id(1) && body["subject"] == "k", "{body}");
    Ok(())
}
