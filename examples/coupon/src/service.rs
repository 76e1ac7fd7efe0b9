//! The service: HTTP and both consumers, from the start to an orderly stop.

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::consumers::Consumers;
use crate::desk::Desk;
use crate::http::{App, router};
use crate::settings::Settings;
use crate::switches::Switches;

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
        desk,
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

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut ended = Ok(());
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            next = tasks.join_next() => match next {
                // None of them ends by itself: the first that does ends the others.
                Some(task) => ended = ended.and(task.map_err(anyhow::Error::from).flatten()),
                None => return ended,
            },
        }
        stop.cancel();
    }
}
