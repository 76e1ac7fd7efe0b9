//! From the commit to the webhook: who subscribed hears once, whatever fails or is killed on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::admin::Admin;
use cdc_e2e::proxy::Proxy;
use cdc_e2e::receiver::Receiver;
use cdc_e2e::wait::{Look, until};

use crate::outlet::{SOON, emit, id, ids, one_topic};

/// Leases of deliveries last for the timeout of a request and 20 s; a record must be tried again for longer.
const LEASES: Duration = Duration::from_secs(120);

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
async fn what_a_webhook_refuses_is_stored_and_told_and_reaches_only_it_by_a_replay() -> Result<()> {
    let scenario = scenario("['200ms']").await?;
    let receiver = Receiver::start().await?;
    let scenario = scenario.with("CDC_RECOVER__ALERT__WEBHOOK", receiver.url("alert"));
    add(&scenario, &receiver, "well", "")?;
    add(&scenario, &receiver, "strict", "")?;
    receiver.answer("strict", 400);
    let mut everything = scenario.start("run")?;
    everything.until_phase("streaming").await?;
    commit(&scenario, 1..=3).await?;
    until(SOON, "the failures in the store", async || {
        let open = rows(
            &scenario,
            "SELECT event_id FROM cdc.failed_event WHERE status = 'open' ORDER BY 1",
        )
        .await?;
        Ok(Look::when(open == ids(1..=3), format!("{open:?}")))
    })
    .await?;
    until(SOON, "the alert", async || {
        let alerts = receiver.requests("alert");
        Ok(Look::when(!alerts.is_empty(), "none"))
    })
    .await?;
    let told = String::from_utf8(receiver.requests("alert")[0].body.clone())?;
    ensure!(told.contains("recover replay"), "{told}");
    let parts = rows(&scenario, "SELECT DISTINCT part FROM cdc.failed_event").await?;
    ensure!(parts == ["strict"], "{parts:?}");

    let admin = everything.admin();
    ensure!(
        admin.metric("cdc_relay_events_total").await? >= 3.0,
        "the relay counts"
    );
    ensure!(
        admin.metric("cdc_dead_letters_stored_total").await? >= 3.0,
        "the collector counts"
    );

    receiver.answer("strict", 200);
    command(&scenario, "recover replay --all")?;
    until_delivered(&receiver, "strict", &ids(1..=3), SOON).await?;
    everything.sigterm(SOON).await?;
    heard_once(&receiver, "strict")?;
    ensure!(
        receiver.requests("well").len() == 3,
        "{:?}",
        receiver.requests("well")
    );
    let statuses = rows(&scenario, "SELECT DISTINCT status FROM cdc.failed_event").await?;
    ensure!(statuses == ["replayed"], "{statuses:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_endpoint_did_not_take_since_a_time_is_sent_again_to_it_and_once() -> Result<()> {
    let scenario = scenario("['200ms']").await?;
    let receiver = Receiver::start().await?;
    for endpoint in ["mine", "other"] {
        add(&scenario, &receiver, endpoint, "")?;
        receiver.answer(endpoint, 400);
    }
    receiver.answer_to("mine", &id(4), 200);
    let mut everything = scenario.start("run")?;
    everything.until_phase("streaming").await?;
    commit(&scenario, 1..=4).await?;
    let open = "SELECT part FROM cdc.failed_event WHERE status = 'open'";
    until(SOON, "the failures in the store", async || {
        let open = rows(&scenario, open).await?.len();
        Ok(Look::when(open == 7, open))
    })
    .await?;
    let session = scenario.database().session().await?;
    session
        .batch_execute(&format!(
            "UPDATE cdc.failed_event SET last_failed_at = now() - interval '3 days' WHERE event_id = '{}'",
            id(1)
        ))
        .await?;
    for endpoint in ["mine", "other"] {
        receiver.answer(endpoint, 200);
    }
    let replay = "recover replay --endpoint mine --newer-than 2d";
    let said = command(&scenario, &format!("{replay} --dry-run --json"))?;
    let said: serde_json::Value = serde_json::from_str(&said)?;
    command(&scenario, replay)?;
    until_delivered(&receiver, "mine", &ids(2..=4), SOON).await?;
    command(&scenario, replay)?;
    everything.sigterm(SOON).await?;
    heard_once(&receiver, "mine")?;
    let heard = receiver.delivered("mine");
    ensure!(!heard.contains_key(&id(1)), "too old: {heard:?}, {said}");
    ensure!(receiver.delivered("other").is_empty(), "it was not meant");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_fails_again_is_the_same_failure_with_more_attempts() -> Result<()> {
    let scenario = scenario("['200ms']").await?;
    let receiver = Receiver::start().await?;
    add(&scenario, &receiver, "strict", "")?;
    receiver.answer("strict", 400);
    let mut everything = scenario.start("run")?;
    everything.until_phase("streaming").await?;
    commit(&scenario, 1..=1).await?;
    let open = "SELECT attempts::text FROM cdc.failed_event WHERE status = 'open'";
    let attempts = until(SOON, "the failure", async || {
        match rows(&scenario, open).await?.as_slice() {
            [attempts] => Ok(Look::Ready(attempts.parse::<u32>()?)),
            other => Ok(Look::NotYet(format!("{other:?}"))),
        }
    })
    .await?;
    command(&scenario, "recover replay --all")?;
    until(SOON, "the same failure once more", async || {
        let all = rows(
            &scenario,
            "SELECT status || ' ' || attempts FROM cdc.failed_event",
        )
        .await?;
        Ok(Look::when(
            all == [format!("open {}", attempts + 1)],
            format!("{all:?}"),
        ))
    })
    .await?;
    everything.sigterm(SOON).await?;
    Ok(())
}

/// Each kill comes right after a request that was heard and is not answered yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_that_is_killed_again_and_again_misses_nothing_and_doubts_openly() -> Result<()>
{
    const EVENTS: u32 = 300;
    const KILLS: u32 = 6;
    const IN_FLIGHT: usize = 8;
    let scenario = scenario("['1s', '2s', '5s', '10s', '15s', '20s', '20s', '20s']").await?;
    let receiver = Receiver::start().await?;
    receiver.think_for(Duration::from_millis(100));
    let bound = format!("--max-concurrency {IN_FLIGHT}");
    add(
        &scenario,
        &receiver,
        "atleast",
        &format!("{bound} --guarantee at_least_once"),
    )?;
    add(
        &scenario,
        &receiver,
        "atmost",
        &format!("{bound} --guarantee at_most_once"),
    )?;
    let _relay = scenario.relay().await?;
    let mut notifier = scenario.start("notify")?;
    let each = EVENTS / KILLS;
    for kill in 0..KILLS {
        let first = kill * each + 1;
        let before = receiver.requests("atmost").len();
        commit(&scenario, first..=first + each - 1).await?;
        until(LEASES, "a request in flight", async || {
            let now = receiver.requests("atmost").len();
            Ok(Look::when(now > before, now))
        })
        .await?;
        notifier.kill_9().await?;
        notifier = scenario.start("notify")?;
    }
    let wanted = ids(1..=EVENTS);
    until_delivered(&receiver, "atleast", &wanted, LEASES).await?;
    let heard = receiver.requests("atleast").len();
    let most = wanted.len() + IN_FLIGHT * KILLS as usize;
    ensure!(
        heard <= most,
        "{heard} requests, where {most} would be those in flight at the kills again"
    );

    let all: BTreeSet<String> = wanted.into_iter().collect();
    let unknown =
        "SELECT event_id FROM cdc.delivery WHERE endpoint_id = 'atmost' AND state = 'unknown'";
    until(LEASES, "all of them answered or in doubt", async || {
        let settled = "SELECT event_id FROM cdc.delivery
                        WHERE endpoint_id = 'atmost' AND state IN ('delivered', 'unknown')";
        let told: BTreeSet<String> = rows(&scenario, settled).await?.into_iter().collect();
        let missing: Vec<_> = all.difference(&told).collect();
        Ok(Look::when(
            missing.is_empty(),
            format!("neither: {missing:?}"),
        ))
    })
    .await?;
    heard_once(&receiver, "atmost")?;
    let doubtful = rows(&scenario, unknown).await?.len();
    ensure!(doubtful > 0, "no kill has met a request in flight");
    let listed = command(&scenario, "endpoint deliveries --state unknown --json")?;
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    ensure!(
        listed["deliveries"].as_array().map(Vec::len) == Some(doubtful),
        "{listed}"
    );
    notifier.sigterm(SOON).await?;
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
