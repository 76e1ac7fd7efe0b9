//! Work with the admin server beside it.

use std::future::{Future, pending};

use tokio_util::sync::CancellationToken;

use crate::admin::{AdminServer, Roles};
use crate::config::Config;
use crate::failure::Failure;
use crate::store_counts;

/// The admin server, if there is one, before there is anything to serve.
///
/// To be made first: counters that were made before the recorder count nothing.
#[derive(Debug)]
pub(super) struct Serving(Option<Served>);

#[derive(Debug)]
struct Served {
    admin: AdminServer,
    config: Config,
}

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
        let config = config.clone();
        Ok(Self(Some(Served { admin, config })))
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
        let Self(Some(Served { admin, config })) = self else {
            return work.await;
        };
        let needs_store = roles.notify.is_some() || roles.collect.is_some();
        let served = CancellationToken::new();
        let serving = admin.serve(roles, served.clone());
        let counting = async {
            if needs_store {
                store_counts::run(&config).await
            } else {
                pending().await
            }
        };
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
            never = counting => match never {},
        }
    }
}
