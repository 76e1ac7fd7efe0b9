//! The SNS three times, side by side: events sent directly, from a table that is polled, and by cdc-relay. Then Kafka is
//! killed, and a service.

mod comparison;
mod idle;
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use self::comparison::Comparison;
use self::idle::idle;
use self::world::World;
use crate::progress::Progress;
use crate::services::{Component, Services};
use crate::sns::Mode;

/// Posts while nothing is broken, for the latency.
const CALM: u32 = 25;

/// Posts while Kafka is away.
const OUTAGE: u32 = 10;

/// Plays it to its end, and prints the comparison. Whether each mode was as is promised.
///
/// # Errors
/// Fails if something does not happen that the story waits for.
pub async fn play(services: &Arc<Services>) -> Result<bool> {
    let progress = Progress::on_stdout();
    progress.now("starting three SNS: direct, polling, cdc; three subscribers each");
    let mut worlds = start(services).await?;
    let told = tell(services, &mut worlds, &progress).await;
    if !told.as_ref().is_ok_and(Comparison::is_as_promised) {
        for world in &worlds {
            progress.note(&format!("--- {}\n{}", world.mode(), world.log(30)));
        }
    }
    let comparison = told?;
    progress.now("stopping all of it");
    let [direct, polling, cdc] = worlds;
    tokio::try_join!(direct.stop(), polling.stop(), cdc.stop())?;
    drop(progress);
    comparison.print();
    Ok(comparison.is_as_promised())
}

async fn start(services: &Arc<Services>) -> Result<[World; 3]> {
    let [direct, polling, cdc] = Mode::ALL.map(|mode| World::start(services, mode));
    let (direct, polling, cdc) = tokio::try_join!(direct, polling, cdc)?;
    Ok([direct, polling, cdc])
}

async fn tell(
    services: &Services,
    worlds: &mut [World; 3],
    progress: &Progress,
) -> Result<Comparison> {
    let [direct, polling, cdc] = worlds;

    progress.now("the first post, for which topics are created");
    tokio::try_join!(direct.post(1), polling.post(1), cdc.post(1))?;
    tokio::try_join!(
        direct.until_heard(),
        polling.until_heard(),
        cdc.until_heard()
    )?;

    progress.now(format!("{CALM} posts, nothing is broken"));
    tokio::try_join!(
        direct.post_calmly(CALM),
        polling.post_calmly(CALM),
        cdc.post_calmly(CALM)
    )?;
    tokio::try_join!(
        direct.until_heard(),
        polling.until_heard(),
        cdc.until_heard()
    )?;

    progress.now(format!("kill -9 Kafka, and {OUTAGE} posts meanwhile"));
    services.instance()?.kill(Component::Kafka).await?;
    tokio::try_join!(
        direct.post_at_risk(OUTAGE),
        polling.post(OUTAGE),
        cdc.post(OUTAGE)
    )?;
    progress.now("starting Kafka");
    services.instance()?.start_again(Component::Kafka).await?;
    let back = Instant::now();
    progress.now("Kafka is back");
    tokio::try_join!(polling.until_recovered(back), cdc.until_recovered(back))?;

    progress.now("the post-services die between commit and send");
    tokio::try_join!(
        direct.crash_at_risk(),
        polling.post_and_crash(),
        cdc.post_and_crash()
    )?;

    // What comes behind them shows that what is missing now will not come.
    progress.now("a few more posts");
    tokio::try_join!(direct.post(3), polling.post(3), cdc.post(3))?;
    tokio::try_join!(
        direct.until_heard(),
        polling.until_heard(),
        cdc.until_heard()
    )?;

    progress.now("nothing: how busy is a database that has nothing to do?");
    let idle = idle(&[direct.database(), polling.database(), cdc.database()]).await?;

    let (direct, polling, cdc) = tokio::try_join!(direct.seen(), polling.seen(), cdc.seen())?;
    Ok(Comparison::new([direct, polling, cdc], idle))
}

/// How long anything may take that is to happen at all.
const SOON: Duration = Duration::from_secs(60);
