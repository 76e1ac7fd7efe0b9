//! What people hear of endpoints that do not work.

use anyhow::{Context, Result, ensure};
use cdc_e2e::admin::Admin;
use cdc_e2e::proxy::Proxy;
use cdc_e2e::receiver::Receiver;
use cdc_e2e::wait::{Look, until};
use serde_json::Value;

use super::{add, command, commit, rows, scenario, until_delivered};
use crate::outlet::{SOON, ids};

/// What was told, as JSON.
fn told(receiver: &Receiver) -> Result<Vec<Value>> {
    let requests = receiver.requests("alert");
    let news = requests
        .iter()
        .map(|request| Ok(serde_json::from_slice(&request.body)?));
    news.collect()
}

/// The command of the text of `news` that begins like this, without the name of the program.
fn to_type<'a>(news: &'a Value, begins: &str) -> Result<&'a str> {
    let text = news["data"]["text"].as_str().unwrap_or_default();
    let mut commands = text
        .lines()
        .filter_map(|line| line.strip_prefix("cdc-relay "));
    commands
        .find(|command| command.starts_with(begins))
        .with_context(|| format!("no such command in {news}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_disabled_and_one_that_fails_is_warned_of_once_with_what_to_type()
-> Result<()> {
    let scenario = scenario("['200ms']").await?;
    let receiver = Receiver::start().await?;
    let scenario = scenario
        .with("CDC_RECOVER__ALERT__WEBHOOK", receiver.url("alert"))
        .with("CDC_NOTIFY__DISABLE_AFTER", "1h")
        .with("CDC_NOTIFY__CACHE_EXPIRY", "0s");
    for (endpoint, status) in [("leaving", 410), ("ill", 500)] {
        add(&scenario, &receiver, endpoint, "")?;
        receiver.answer(endpoint, status);
    }
    let session = scenario.database().session().await?;
    session
        .batch_execute(
            "UPDATE cdc.endpoint SET first_failed_at = now() - interval '31 minutes',
                    last_failed_at = now() - interval '10 minutes' WHERE id = 'ill'",
        )
        .await?;
    let _relay = scenario.relay().await?;
    let notifier = scenario.start("notify")?;
    commit(&scenario, 1..=3).await?;
    until(SOON, "both news", async || {
        let told = told(&receiver)?;
        Ok(Look::when(told.len() >= 2, format!("{told:?}")))
    })
    .await?;
    let disabled = rows(
        &scenario,
        "SELECT id || ' ' || disabled_reason FROM cdc.endpoint WHERE state = 'disabled'",
    )
    .await?;
    ensure!(disabled == ["leaving gone"], "{disabled:?}");

    let mut news = told(&receiver)?;
    news.sort_by_key(|news| news["type"].to_string());
    let [gone, failing] = news.as_slice() else {
        anyhow::bail!("told more than once: {news:?}");
    };
    ensure!(
        gone["type"] == "cdc.endpoint-disabled" && gone["data"]["endpoint"] == "leaving",
        "{gone}"
    );
    ensure!(
        failing["type"] == "cdc.endpoint-failing"
            && failing["data"]["endpoint"] == "ill"
            && failing["data"]["percent"] == 50,
        "{failing}"
    );
    let attempts = command(&scenario, to_type(failing, "endpoint attempts")?)?;
    ensure!(attempts.contains("500"), "{attempts}");

    receiver.answer("leaving", 200);
    command(&scenario, to_type(gone, "endpoint test")?)?;
    command(&scenario, to_type(gone, "endpoint enable")?)?;
    commit(&scenario, 4..=4).await?;
    until_delivered(&receiver, "leaving", &ids(4..=4), SOON).await?;
    notifier.sigterm(SOON).await?;
    let told = told(&receiver)?;
    ensure!(told.len() == 2, "told more than once: {told:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn news_wait_for_a_receiver_that_is_away_through_the_end_of_the_notifier_and_are_told_once()
-> Result<()> {
    let scenario = scenario("['200ms']").await?;
    let receiver = Receiver::start().await?;
    let nobody = Admin::on_free_port()?.0;
    let scenario = scenario.with(
        "CDC_RECOVER__ALERT__WEBHOOK",
        format!("http://{nobody}/alert"),
    );
    add(&scenario, &receiver, "leaving", "")?;
    receiver.answer("leaving", 410);
    let _relay = scenario.relay().await?;
    let notifier = scenario.start("notify")?;
    commit(&scenario, 1..=1).await?;
    until(SOON, "more tries than there were from memory", async || {
        let tries = rows(
            &scenario,
            "SELECT news_tries::text FROM cdc.endpoint WHERE news_tries >= 4",
        )
        .await?;
        Ok(Look::when(!tries.is_empty(), "fewer"))
    })
    .await?;
    notifier.kill_9().await?;
    let notifier = scenario.start("notify")?;
    let url = receiver.url("alert");
    let address = url
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix("/alert"));
    let _back = Proxy::at(nobody, address.context("an address")?).await?;
    until(SOON, "the news", async || {
        let told = told(&receiver)?;
        Ok(Look::when(!told.is_empty(), "nothing"))
    })
    .await?;
    until(
        SOON,
        "it to be written down that they were told",
        async || {
            let left = "SELECT id FROM cdc.endpoint WHERE news_at IS NOT NULL";
            let left = rows(&scenario, left).await?;
            Ok(Look::when(left.is_empty(), format!("{left:?}")))
        },
    )
    .await?;
    let news = told(&receiver)?.remove(0);
    ensure!(
        news["type"] == "cdc.endpoint-disabled" && news["data"]["endpoint"] == "leaving",
        "{news}"
    );
    receiver.answer("leaving", 200);
    command(&scenario, to_type(&news, "endpoint test")?)?;
    command(&scenario, to_type(&news, "endpoint enable")?)?;
    notifier.sigterm(SOON).await?;
    let told = told(&receiver)?;
    ensure!(told.len() == 1, "told more than once: {told:?}");
    Ok(())
}
