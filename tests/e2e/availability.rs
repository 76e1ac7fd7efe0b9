//! Servers that are not there yet, or refuse, or say nothing by themselves.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::admin::Admin;
use cdc_e2e::proxy::Proxy;
use cdc_e2e::wait::{Look, until};

use crate::outlet::{SOON, emit, id, ids, ids_until, one_topic, refused};

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_postgres_that_is_down_at_the_start() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    let session = scenario.database().session().await?;
    session.batch_execute(&emit(1)).await?;
    let nobody = Admin::on_free_port()?.0;
    let server = scenario.database().url().clone();
    let scenario = scenario.with("CDC_POSTGRES__URL", server.through(nobody).to_string());
    let mut relay = scenario.start_relay()?;
    until(SOON, "the relay to try twice", async || {
        let tries = relay.admin().metric("cdc_relay_reconnects_total").await?;
        Ok(Look::when(tries >= 2.0, tries))
    })
    .await?;
    ensure!(
        !relay.admin().is_ready().await?,
        "the relay says that it is ready"
    );
    let error = &relay.admin().status().await?["last_error"];
    ensure!(error["code"] == "CDC0010", "{error}");

    let _server = Proxy::at(nobody, server.address()).await?;
    ensure!(ids_until(&scenario, &id(1)).await? == ids([1]));
    relay.until_phase("streaming").await
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_kafka_that_is_down_at_the_start_and_confirms_nothing() -> Result<()> {
    let nobody = Admin::on_free_port()?.0;
    let scenario =
        one_topic(Scenario::shared().await?).with("CDC_KAFKA__BROKERS", nobody.to_string());
    let _relay = scenario.start_relay()?;
    let database = scenario.database();
    let session = database.session().await?;
    session.batch_execute(&emit(1)).await?;
    let event = database.current_lsn().await?;
    let confirmed = database.reply_after(event, SOON).await?.confirmed;
    ensure!(
        confirmed < event,
        "{confirmed} is confirmed, past the event at {event}"
    );

    let _broker = Proxy::at(nobody, scenario.kafka_brokers()).await?;
    ensure!(ids_until(&scenario, &id(1)).await? == ids([1]));
    database.confirmed_past(event, SOON).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_at_a_missing_topic_that_it_may_not_create_and_loses_nothing() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    // The first relay makes the topic of the checkpoints.
    scenario.relay().await?.sigterm(SOON).await?;
    let scenario = scenario.with("CDC_KAFKA__TOPICS__CREATE", "false");
    let relay = scenario.relay().await?;
    let session = scenario.database().session().await?;
    session.batch_execute(&emit(1)).await?;
    refused(&scenario, relay, "CDC0042").await?;
    let scenario = scenario.with("CDC_KAFKA__TOPICS__CREATE", "true");
    let _relay = scenario.relay().await?;
    ensure!(ids_until(&scenario, &id(1)).await? == ids([1]));
    Ok(())
}

/// Such a server never asks for a reply: the relay has to report by itself.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_outbox_moves_without_a_wal_sender_timeout() -> Result<()> {
    let scenario = Scenario::shared().await?;
    let database = scenario.database();
    database.set_wal_sender_timeout(Duration::ZERO).await?;
    let relay = scenario.relay().await?;
    let walsender = database.walsender().await?.pid;
    let busy = database.write_elsewhere(2_000).await?;
    database.confirmed_past(busy, SOON).await?;
    ensure!(
        database.walsender().await?.pid == walsender,
        "the connection was lost"
    );
    ensure!(
        relay.admin().is_healthy().await?,
        "the relay says that it is not healthy"
    );
    Ok(())
}
