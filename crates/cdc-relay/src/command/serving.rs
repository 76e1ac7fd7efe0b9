//! Work with the admin server beside it.

use std::future::Future;

use tokio_util::sync::CancellationToken;

use crate::admin::{AdminServer, Roles};
use crate::config::Config;
use crate::failure::Failure;

/// The admin server, if there is one, before there is anything to serve.
///
/// To be made first: counters that were made before the recorder count nothing.
#[derive(Debug)]
pub(super) struct Serving(Option<AdminServer>);

impl Serving {
    /// Listens where the configuration says, and installs the process's metrics recorder.
    ///
    /// # Errors
    ///
    /// The address cannot be used.
    pub(super) async fn bind(config: &Config) -> Result<Self, Failure> {
        let Some(address) = &config.admin.listen else {
            return Ok(Self(None));
        };
        let admin = AdminServer::bind(address).await?;
        tracing::info!(address = %admin.address(), "serving /metrics, /healthz, /readyz and /status");
        Ok(Self(Some(admin)))
    }

    /// Runs `work` and serves what `roles` say of themselves, as long as it runs: one that is stopping can still be
    /// asked.
    ///
    /// # Errors
    ///
    /// Those of the work; accepting connections fails for good.
    pub(super) async fn run(
        self,
        roles: Roles,
        shutdown: &CancellationToken,
        work: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        let Self(Some(admin)) = self else {
            return work.await;
        };
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
}
