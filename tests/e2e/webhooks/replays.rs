//! What an endpoint did not take is sent again when somebody asks for it, to it alone.

use anyhow::{Result, ensure};
use cdc_e2e::receiver::Receiver;
use cdc_e2e::wait::{Look, until};

use super::{add, command, commit, heard_once, rows, scenario, until_delivered};
use crate::outlet::{SOON, id, ids};

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
