//! Two notifiers of one group, each a whole process, with rebalances between them.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::receiver::Receiver;
use cdc_e2e::relay::Relay;
use cdc_e2e::wait::{Look, until};

use super::{add, commit_apart, heard_once, rows, scenario, until_delivered};
use crate::outlet::{SOON, ids};

const ENDPOINTS: [&str; 2] = ["at_least_once", "at_most_once"];

/// A stop waits for the requests in flight, of a second at the most, and 5 s more for writing down what came of them.
const STOP: Duration = Duration::from_secs(10);

/// More than each takes while the others join and leave.
const LIMIT: Duration = Duration::from_secs(120);

/// Events that come for as long as somebody waits.
struct Load<'a> {
    scenario: &'a Scenario,
    events: u32,
}

impl Load<'_> {
    async fn more(&mut self, events: u32) -> Result<()> {
        let first = self.events + 1;
        self.events += events;
        commit_apart(self.scenario, first..=self.events).await
    }

    /// Waits until a notifier has delivered `wanted` more, under load.
    async fn until_delivers(&mut self, notifier: &Relay, wanted: f64) -> Result<()> {
        let before = delivered(notifier).await.unwrap_or(0.0);
        until(SOON, "the notifier's share", async || {
            self.more(4).await?;
            let now = delivered(notifier).await?;
            Ok(Look::when(now >= before + wanted, now))
        })
        .await
    }
}

async fn delivered(notifier: &Relay) -> Result<f64> {
    let metric = "cdc_notify_deliveries_total";
    notifier.admin().metric(metric).await
}

/// The members come and go in order, so that nothing may be sent twice: who gives partitions away has written down by then
/// what became of all that it began there, and how far it is.
#[tokio::test(flavor = "multi_thread")]
async fn notifiers_that_join_and_leave_under_load_send_each_event_to_each_endpoint_once()
-> Result<()> {
    let scenario = scenario("['500ms', '1s', '2s', '4s', '8s', '8s', '8s', '8s']")
        .await?
        .with("CDC_KAFKA__TOPICS__PARTITIONS", "6");
    let receiver = Receiver::start().await?;
    receiver.think_for(Duration::from_millis(50));
    for guarantee in ENDPOINTS {
        let more = format!("--max-concurrency 8 --guarantee {guarantee}");
        add(&scenario, &receiver, guarantee, &more)?;
    }
    let _relay = scenario.relay().await?;
    let mut load = Load {
        scenario: &scenario,
        events: 0,
    };
    let first = scenario.start("notify")?;
    load.until_delivers(&first, 40.0).await?;

    let second = scenario.start("notify")?;
    load.until_delivers(&second, 40.0).await?;
    stop_under_load(&scenario, &receiver, second, load.events).await?;
    load.until_delivers(&first, 40.0).await?;

    let third = scenario.start("notify")?;
    load.until_delivers(&third, 40.0).await?;
    stop_under_load(&scenario, &receiver, first, load.events).await?;
    load.until_delivers(&third, 40.0).await?;

    let wanted = ids(1..=load.events);
    for endpoint in ENDPOINTS {
        until_delivered(&receiver, endpoint, &wanted, LIMIT).await?;
    }
    third.sigterm(STOP).await?;
    for endpoint in ENDPOINTS {
        heard_once(&receiver, endpoint)?;
        let heard = receiver.count(endpoint);
        ensure!(heard == wanted.len(), "{endpoint} heard {heard} requests");
    }
    let unclear = "SELECT endpoint_id || ' ' || event_id || ' ' || state FROM cdc.delivery
                    WHERE state <> 'delivered'";
    let unclear = rows(&scenario, unclear).await?;
    ensure!(unclear.is_empty(), "{unclear:?}");
    Ok(())
}

/// Stops one of two notifiers while there is more to do for both.
async fn stop_under_load(
    scenario: &Scenario,
    receiver: &Receiver,
    notifier: Relay,
    events: u32,
) -> Result<()> {
    let heard = receiver.count("at_most_once");
    ensure!(heard < events as usize, "nothing is left to be done");
    let exit = notifier.sigterm(STOP).await?;
    ensure!(exit.status.success(), "{:?}", exit.status);
    let doubtful = "SELECT event_id FROM cdc.delivery WHERE state = 'unknown'";
    let doubtful = rows(scenario, doubtful).await?;
    ensure!(doubtful.is_empty(), "{doubtful:?}");
    Ok(())
}
