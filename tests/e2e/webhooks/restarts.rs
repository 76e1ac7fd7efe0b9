//! The notifier's process ends, with or without warning, and is started again.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::receiver::Receiver;
use cdc_e2e::wait::{Look, until};

use super::{add, command, commit, commit_apart, heard_once, rows, scenario, until_delivered};
use crate::outlet::{SOON, ids};

/// Leases of deliveries last for the timeout of a request and 20 s; a record must be tried again for longer.
const LEASES: Duration = Duration::from_secs(120);

/// A stop waits for the requests in flight, of a second at the most, and 5 s more for writing down what came of them.
const STOP: Duration = Duration::from_secs(10);

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

/// Each stop comes while requests are in flight and events wait for their turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_that_is_stopped_under_load_and_started_again_repeats_and_misses_nothing()
-> Result<()> {
    const EVENTS: u32 = 600;
    const STOPS: usize = 2;
    const ENDPOINTS: [&str; 2] = ["at_least_once", "at_most_once"];
    let scenario = scenario("['500ms', '1s', '2s', '4s', '8s', '8s', '8s', '8s']").await?;
    let receiver = Receiver::start().await?;
    receiver.think_for(Duration::from_millis(50));
    for guarantee in ENDPOINTS {
        let more = format!("--max-concurrency 16 --guarantee {guarantee}");
        add(&scenario, &receiver, guarantee, &more)?;
    }
    let _relay = scenario.relay().await?;
    let mut notifier = scenario.start("notify")?;
    commit_apart(&scenario, 1..=EVENTS).await?;
    for _ in 0..STOPS {
        let before = receiver.count("at_most_once");
        until(SOON, "requests in flight", async || {
            let now = receiver.count("at_most_once");
            Ok(Look::when(now >= before + 20, now))
        })
        .await?;
        let exit = notifier.sigterm(STOP).await?;
        ensure!(exit.status.success(), "{:?}", exit.status);
        let heard = receiver.count("at_most_once");
        ensure!(heard < EVENTS as usize, "nothing is left to be done");
        let unclear = "SELECT endpoint_id || ' ' || event_id || ' ' || state FROM cdc.delivery
                        WHERE state IN ('claimed', 'unknown')";
        let unclear = rows(&scenario, unclear).await?;
        ensure!(unclear.is_empty(), "{unclear:?}");
        notifier = scenario.start("notify")?;
    }
    for endpoint in ENDPOINTS {
        until_delivered(&receiver, endpoint, &ids(1..=EVENTS), LEASES).await?;
    }
    notifier.sigterm(STOP).await?;
    for endpoint in ENDPOINTS {
        let heard = receiver.count(endpoint);
        ensure!(
            heard == EVENTS as usize,
            "{endpoint} heard {heard} requests"
        );
    }
    Ok(())
}
