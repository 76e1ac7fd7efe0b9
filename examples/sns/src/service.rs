//! Runs a service: logging, SIGTERM, HTTP.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How long requests may take after a stop was asked for.
const STOP: Duration = Duration::from_secs(3);

/// What is logged unless `RUST_LOG` says otherwise.
const LEVELS: &str = "info,recovery=warn,cdc_kafka=warn,tokio_postgres=warn";

/// Runs `service` until it ends; the token is cancelled at SIGTERM and SIGINT. An error is logged, and the exit status 1.
pub fn run<F>(service: impl FnOnce(CancellationToken) -> F) -> ExitCode
where
    F: Future<Output = Result<()>>,
{
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LEVELS));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match start(service) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start<F>(service: impl FnOnce(CancellationToken) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let ended = runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let signalled = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping");
            stop.cancel();
            std::future::pending().await
        };
        tokio::select! {
            ended = service(stop.clone()) => ended,
            never = signalled => never,
        }
    });
    // Whatever asks Kafka in a thread of its own may not keep the process.
    runtime.shutdown_timeout(STOP);
    ended
}

/// Serves `router`, and `/healthz`, until the token is cancelled and requests under way have ended, or too long after it.
///
/// # Errors
///
/// If nothing can listen there.
pub async fn serve(listen: SocketAddr, router: Router, stop: CancellationToken) -> Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    let router = router.route("/healthz", get(async || "ok\n"));
    let serving =
        axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let too_long = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP).await;
    };
    tokio::select! {
        ended = async { serving.await } => ended.context("the HTTP server ended"),
        () = too_long => Ok(()),
    }
}
