//! Work with the admin server beside it.

use std::future::Future;

use tokio_util::sync::CancellationToken;

use crate::admin::{AdminServer, Roles};
use crate::config::Config;
use crate::failure::Failure;

/// Runs `work` and serves what `roles` say of themselves, as long as it runs: one that is stopping can still be asked.
///
/// # Errors
///
/// Those of the work; the admin server's address cannot be used.
pub(super) async fn run(
    config: &Config,
    roles: Roles,
    shutdown: &CancellationToken,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let Some(address) = &config.admin.listen else {
        return work.await;
    };
    let admin = AdminServer::bind(address).await?;
    tracing::info!(address = %admin.address(), "serving /metrics, /healthz, /readyz and /status");
    let served = CancellationToken::new();
    let serving = admin.serve(roles, served.clone());
    tokio::pin!(serving, work);
    tokio::select! {
        done = &mut work => {
            served.cancel();
            done.and(serving.await)
        }
        failed = &mut serving => {
            shutdown.cancel();
            work.await.and(failed)
        }
    }
}
