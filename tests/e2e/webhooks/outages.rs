//! The database is away.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::admin::Admin;
use cdc_e2e::proxy::Proxy;
use cdc_e2e::receiver::Receiver;
use cdc_e2e::wait::{Look, until};

use super::{add, commit, commit_apart, heard_once, rows, scenario, until_delivered};
use crate::outlet::{SOON, ids};

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_waits_for_a_database_that_is_away_when_it_starts() -> Result<()> {
    let scenario = scenario("['1s']").await?;
    let receiver = Receiver::start().await?;
    add(&scenario, &receiver, "mine", "")?;
    let _relay = scenario.relay().await?;
    let server = scenario.database().url().clone();
    let nobody = Admin::on_free_port()?.0;
    let scenario = scenario.with("CDC_POSTGRES__URL", server.through(nobody).to_string());
    let mut notifier = scenario.start("notify")?;
    until(SOON, "a word about the database", async || {
        let log = scenario.log().tail(100);
        Ok(Look::when(log.contains("waiting for PostgreSQL"), log))
    })
    .await?;
    ensure!(notifier.is_running(), "it has ended");
    commit(&scenario, 1..=3).await?;
    let _server = Proxy::at(nobody, server.address()).await?;
    until_delivered(&receiver, "mine", &ids(1..=3), SOON).await?;
    notifier.sigterm(SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_wait_for_a_store_that_is_away() -> Result<()> {
    let scenario = scenario("['200ms']").await?;
    let receiver = Receiver::start().await?;
    add(&scenario, &receiver, "strict", "")?;
    receiver.answer("strict", 400);
    let server = scenario.database().url().clone();
    let nobody = Admin::on_free_port()?.0;
    let _relay = scenario.relay().await?;
    let notifier = scenario.start("notify")?;
    let scenario = scenario.with(
        "CDC_POSTGRES__STORE_URL",
        server.through(nobody).to_string(),
    );
    let collector = scenario.start("recover run")?;
    commit(&scenario, 1..=3).await?;
    until(SOON, "the collector to say that it waits", async || {
        let status = collector.admin().status().await?;
        Ok(Look::when(status["recover"]["trouble"].is_string(), status))
    })
    .await?;
    ensure!(
        !collector.admin().is_ready().await?,
        "it says that it is ready"
    );
    let stored = "SELECT event_id FROM cdc.failed_event ORDER BY 1";
    ensure!(
        rows(&scenario, stored).await?.is_empty(),
        "something was stored already"
    );

    let _server = Proxy::at(nobody, server.address()).await?;
    until(SOON, "the dead letters in the store", async || {
        let found = rows(&scenario, stored).await?;
        Ok(Look::when(found == ids(1..=3), format!("{found:?}")))
    })
    .await?;
    until(SOON, "the collector to be ready", async || {
        Ok(Look::when(collector.admin().is_ready().await?, "not ready"))
    })
    .await?;
    collector.sigterm(SOON).await?;
    notifier.sigterm(SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_nothing_is_sent_nothing_is_given_up_and_no_answer_is_forgotten()
-> Result<()> {
    const ENDPOINTS: [&str; 2] = ["at_least_once", "at_most_once"];
    let scenario = scenario("['200ms', '500ms']").await?;
    let receiver = Receiver::start().await?;
    for guarantee in ENDPOINTS {
        let more = format!("--guarantee {guarantee}");
        add(&scenario, &receiver, guarantee, &more)?;
    }
    let _relay = scenario.relay().await?;
    let (scenario, proxy) = behind_a_proxy(scenario, "20s").await?;
    let notifier = scenario.start("notify")?;
    commit_apart(&scenario, 1..=5).await?;
    for endpoint in ENDPOINTS {
        until_delivered(&receiver, endpoint, &ids(1..=5), SOON).await?;
    }

    receiver.think_for(Duration::from_secs(2));
    commit_apart(&scenario, 6..=10).await?;
    until(SOON, "requests in flight", async || {
        let heard = ENDPOINTS.map(|endpoint| receiver.count(endpoint));
        Ok(Look::when(heard == [10, 10], format!("{heard:?}")))
    })
    .await?;
    let address = proxy.address();
    drop(proxy);
    commit_apart(&scenario, 11..=50).await?;
    until(
        SOON,
        "each record to have been tried again and again",
        async || {
            let errors = notifier
                .admin()
                .metric("cdc_notify_store_errors_total")
                .await?;
            Ok(Look::when(errors >= 200.0, errors))
        },
    )
    .await?;
    let heard = ENDPOINTS.map(|endpoint| receiver.count(endpoint));
    ensure!(heard == [10, 10], "sent without a claim: {heard:?}");
    let claimed = "SELECT DISTINCT event_id FROM cdc.delivery WHERE state = 'claimed' ORDER BY 1";
    let claimed = rows(&scenario, claimed).await?;
    ensure!(claimed == ids(6..=10), "{claimed:?}");

    receiver.think_for(Duration::ZERO);
    let server = scenario.database().url().address();
    let _server = Proxy::at(address, server).await?;
    for endpoint in ENDPOINTS {
        until_delivered(&receiver, endpoint, &ids(1..=50), SOON).await?;
    }
    let unclear = "SELECT endpoint_id || ' ' || event_id || ' ' || state FROM cdc.delivery
                    WHERE state <> 'delivered'";
    until(SOON, "all of it to be written down", async || {
        let unclear = rows(&scenario, unclear).await?;
        Ok(Look::when(unclear.is_empty(), format!("{unclear:?}")))
    })
    .await?;
    notifier.sigterm(SOON).await?;
    let heard = ENDPOINTS.map(|endpoint| receiver.count(endpoint));
    ensure!(heard == [50, 50], "{heard:?}");
    let log = scenario.log().tail(usize::MAX);
    ensure!(!log.contains("dead letter"), "given up");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_that_is_stopped_while_the_database_is_away_does_not_wait_for_it() -> Result<()>
{
    let scenario = scenario("['200ms', '500ms']").await?;
    let receiver = Receiver::start().await?;
    add(&scenario, &receiver, "mine", "")?;
    let _relay = scenario.relay().await?;
    let (scenario, proxy) = behind_a_proxy(scenario, "60s").await?;
    let notifier = scenario.start("notify")?;
    commit_apart(&scenario, 1..=5).await?;
    until_delivered(&receiver, "mine", &ids(1..=5), SOON).await?;
    // What came of a request is waited for, as long as a request may take.
    until(SOON, "all of it to be written down", async || {
        let written = "SELECT event_id FROM cdc.delivery WHERE state = 'delivered'";
        let written = rows(&scenario, written).await?.len();
        Ok(Look::when(written == 5, written))
    })
    .await?;
    let address = proxy.address();
    drop(proxy);
    commit_apart(&scenario, 6..=25).await?;
    until(SOON, "records that wait", async || {
        let errors = notifier
            .admin()
            .metric("cdc_notify_store_errors_total")
            .await?;
        Ok(Look::when(errors >= 40.0, errors))
    })
    .await?;
    // Its consumer waits for its records, otherwise, as long as for a request.
    let exit = notifier.sigterm(Duration::from_secs(30)).await?;
    ensure!(exit.status.success(), "{:?}", exit.status);
    ensure!(receiver.count("mine") == 5, "sent without a claim");

    let server = scenario.database().url().address();
    let _server = Proxy::at(address, server).await?;
    let notifier = scenario.start("notify")?;
    until_delivered(&receiver, "mine", &ids(1..=25), SOON).await?;
    notifier.sigterm(SOON).await?;
    heard_once(&receiver, "mine")
}

/// A notifier that is started from now on reaches its database through the proxy, and waits for so long for an answer to
/// a request.
async fn behind_a_proxy(scenario: Scenario, timeout: &str) -> Result<(Scenario, Proxy)> {
    let server = scenario.database().url().clone();
    let proxy = Proxy::in_front_of(server.address()).await?;
    let scenario = scenario
        .with(
            "CDC_POSTGRES__URL",
            server.through(proxy.address()).to_string(),
        )
        .with("CDC_NOTIFY__TIMEOUT", timeout);
    Ok((scenario, proxy))
}
