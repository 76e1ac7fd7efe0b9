//! A consumer whose Kafka client can't go on gets another one, and the process goes on.

use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::receiver::Receiver;
use cdc_e2e::services::{Component, Services};
use cdc_e2e::wait::{Look, until};

use crate::heavy;
use crate::outlet::{SOON, emit, ids, one_topic};

/// A broker that is not fenced for a silence, but ends the sessions of its groups soon.
const IMPATIENT: &str = "group.min.session.timeout.ms=500;broker.session.timeout.ms=60000";

/// Longer than the session of the members.
const SILENCE: Duration = Duration::from_secs(4);

/// Whether a commit is under way when the broker falls silent is chance; it takes two rounds most times.
const ROUNDS: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_that_fences_itself_after_an_outage_goes_on() -> Result<()> {
    let _turn = heavy::turn().await;
    let scenario = one_topic(Scenario::on(Services::private_kafka(IMPATIENT).await?).await?);
    let name = scenario.database().name().to_owned();
    let scenario = scenario
        .showing_log()
        .with("CDC_NOTIFY__TOPICS", format!("{name}.events"))
        .with("CDC_NOTIFY__GROUP", &name)
        .with("CDC_NOTIFY__ALLOW_PRIVATE_NETWORKS", "127.0.0.0/8")
        .with(
            "CDC_RECOVER__CONSUMER",
            format!("[{{ group = '{name}', instance_id = 'one' }}]"),
        )
        .with("CDC_KAFKA__CONSUMER__SESSION_TIMEOUT_MS", "1000")
        .with("CDC_KAFKA__CONSUMER__HEARTBEAT_INTERVAL_MS", "100")
        .with("CDC_KAFKA__CONSUMER__SOCKET_TIMEOUT_MS", "2000");
    let receiver = Receiver::start().await?;
    let url = receiver.url("well");
    scenario
        .run(&format!("endpoint add well --url {url}"))
        .await?;
    let _relay = scenario.relay().await?;
    let mut notifier = scenario.start("notify")?;
    let session = scenario.database().session().await?;
    let mut renewals = 0.0;
    for round in 0..ROUNDS {
        session.batch_execute(&emit(round)).await?;
        until(SOON, "the webhook", async || {
            ensure!(notifier.is_running(), "the notifier has ended");
            let delivered = receiver.delivered("well");
            let missing = ids(0..=round)
                .into_iter()
                .find(|id| !delivered.contains_key(id));
            Ok(Look::when(missing.is_none(), format!("{missing:?}")))
        })
        .await?;
        let metric = notifier
            .admin()
            .metric("cdc_recovery_client_renewals_total");
        // There is no such metric before the first.
        renewals = metric.await.unwrap_or_default();
        if renewals > 0.0 {
            break;
        }
        scenario.servers()?.freeze(Component::Kafka)?;
        tokio::time::sleep(SILENCE).await;
        scenario.servers()?.thaw(Component::Kafka)?;
    }
    ensure!(renewals > 0.0, "it was never fenced");
    notifier.sigterm(SOON).await?;
    let delivered = receiver.delivered("well");
    ensure!(
        delivered.values().all(|count| *count == 1),
        "heard more than once: {delivered:?}"
    );
    Ok(())
}
