//! The service: HTTP and both consumers, from the start to an orderly stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::consumers::Consumers;
use crate::desk::Desk;
use crate::http::{App, router};
use crate::settings::Settings;
use crate::switches::Switches;

/// How long a stop may take. What is not done by then is done again, by whoever comes next.
const STOP: Duration = Duration::from_secs(20);

/// Serves until SIGTERM or SIGINT; then requests and attempts in flight end, and offsets are committed.
///
/// # Errors
///
/// PostgreSQL, Redis or Kafka cannot be reached at the start; a consumer cannot go on.
pub(crate) async fn run(settings: Settings) -> Result<()> {
    let stop = CancellationToken::new();
    let desk = Arc::new(Desk::open(&settings).await?);
    let switches = Arc::new(Switches::new(settings.fail_odd, settings.fail_dlt));
    let brokers = &settings.kafka_brokers;
    let consumers = Consumers::prepare(brokers, &settings.consumers, &desk, &switches).await?;
    let app = App {
        desk: Arc::clone(&desk),
        switches,
        statuses: consumers.statuses(),
    };
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("listen at {}", settings.listen))?;
    tracing::info!(listen = %settings.listen, topic = settings.consumers.topic, "serving");

    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    let Consumers {
        requests,
        dead_letters,
    } = consumers;
    let token = stop.clone();
    tasks.spawn(async move { Ok(Box::pin(requests.run(token)).await?) });
    let token = stop.clone();
    tasks.spawn(async move { Ok(Box::pin(dead_letters.run(token)).await?) });
    let stopped = stop.clone().cancelled_owned();
    tasks.spawn(async move {
        let serving = axum::serve(listener, router(app)).with_graceful_shutdown(stopped);
        Ok(serving.await?)
    });

    let first = tokio::select! {
        signalled = signalled() => signalled,
        // None of them ends by itself: the first that does ends the others.
        Some(task) = tasks.join_next() => task.map_err(anyhow::Error::from).flatten(),
    };
    stop.cancel();
    let others = async {
        let mut ended = first;
        while let Some(task) = tasks.join_next().await {
            ended = ended.and(task.map_err(anyhow::Error::from).flatten());
        }
        // A request whose user has gone away may have left its event under way.
        desk.announcing().close().await;
        ended
    };
    timeout(STOP, others)
        .await
        .unwrap_or_else(|_| bail!("it has not stopped within {STOP:?}"))
}

async fn signalled() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
