//! Endpoints that take longer to answer than a record waits for them.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::receiver::Receiver;
use cdc_e2e::wait::{Look, until};

use super::{add, commit, rows, scenario};
use crate::outlet::SOON;

/// A record waits for two seconds.
const THINKS: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn without_retries_what_is_said_late_is_heard_and_nobody_is_asked_twice() -> Result<()> {
    each_is_asked_as_often_as_it_would_be_in_time("[]", "", 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_retry_topic_what_is_said_late_counts_as_one_attempt() -> Result<()> {
    each_is_asked_as_often_as_it_would_be_in_time("['200ms']", "", 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_order_what_is_said_late_counts_as_one_attempt() -> Result<()> {
    each_is_asked_as_often_as_it_would_be_in_time("['200ms']", "ordering = 'key',", 2).await
}

/// `attempts` is how often one that fails is asked.
async fn each_is_asked_as_often_as_it_would_be_in_time(
    tiers: &str,
    ordering: &str,
    attempts: usize,
) -> Result<()> {
    let scenario = scenario(tiers).await?;
    let group = scenario.database().name().to_owned();
    let consumer = format!(
        "[{{ group = '{group}', {ordering} retry = {{ blocking = {{ kind = 'none' }}, tiers = {tiers} }} }}]"
    );
    let scenario = scenario
        .with("CDC_RECOVER__CONSUMER", consumer)
        .with("CDC_NOTIFY__TIMEOUT", "20s");
    let receiver = Receiver::start().await?;
    receiver.think_for(THINKS);
    for (endpoint, status) in [("well", 200), ("strict", 400), ("ill", 503)] {
        add(&scenario, &receiver, endpoint, "")?;
        receiver.answer(endpoint, status);
    }
    let mut everything = scenario.start("run")?;
    everything.until_phase("streaming").await?;
    commit(&scenario, 1..=1).await?;
    let failed =
        "SELECT part || ' ' || error_code || ' ' || error_message || ' ' || delivery.status
                    FROM cdc.failed_event JOIN cdc.delivery USING (event_id)
                   WHERE part = endpoint_id ORDER BY 1";
    until(SOON, "the dead letters of two", async || {
        let letters = rows(&scenario, failed).await?;
        Ok(Look::when(letters.len() >= 2, format!("{letters:?}")))
    })
    .await?;
    until(SOON, "what the third one took", async || {
        let delivered = "SELECT endpoint_id FROM cdc.delivery WHERE state = 'delivered'";
        let delivered = rows(&scenario, delivered).await?;
        Ok(Look::when(delivered == ["well"], format!("{delivered:?}")))
    })
    .await?;
    everything.sigterm(SOON).await?;
    let letters = rows(&scenario, failed).await?;
    ensure!(
        letters
            == [
                "ill webhook-server-error the endpoint answered 503 503",
                "strict webhook-client-error the endpoint answered 400 400"
            ],
        "{letters:?}"
    );
    let asked = ["well", "strict", "ill"].map(|endpoint| receiver.count(endpoint));
    ensure!(asked == [1, 1, attempts], "{asked:?}");
    Ok(())
}
