//! The admin HTTP server: `/metrics`, `/healthz`, `/readyz` and `/status`.

pub(crate) mod client;
mod roles;
mod routes;

use std::net::SocketAddr;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::ListenAddress;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::metric;

pub(crate) use roles::Roles;

/// How often the recorder forgets histogram samples that were already counted into buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// The admin server, listening but not serving yet: a wrong address is known before anything else starts.
#[derive(Debug)]
pub(crate) struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    metrics: PrometheusHandle,
}

impl AdminServer {
    /// Listens on `address` and installs the process's metrics recorder. Call it once.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::AdminAddress`] when the address cannot be used.
    pub(crate) async fn bind(address: &ListenAddress) -> Result<Self, Failure> {
        let refused = |error: std::io::Error| {
            let remedy = if error.kind() == std::io::ErrorKind::AddrInUse {
                "another process listens there, perhaps a second relay: give this one another `admin.listen`, \
                 or \"\" to serve nothing"
            } else {
                "set `admin.listen` to an address of this machine, such as 127.0.0.1:9464, or \"\" to serve nothing"
            };
            Failure::new(
                ErrorCode::AdminAddress,
                format!("the admin server cannot listen on {address} (`admin.listen`)"),
                remedy,
            )
            .caused_by(error)
        };
        let listener = TcpListener::bind(address.as_str()).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self {
            listener,
            address,
            metrics: install_recorder()?,
        })
    }

    /// The address in use, with the port that the system chose for port 0.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`. Requests under way are finished.
    ///
    /// # Errors
    ///
    /// Accepting connections fails for good.
    pub(crate) async fn serve(
        self,
        roles: Roles,
        shutdown: CancellationToken,
    ) -> Result<(), Failure> {
        let Self {
            listener,
            address,
            metrics,
        } = self;
        let upkeep = async {
            let mut tick = tokio::time::interval(UPKEEP);
            loop {
                tick.tick().await;
                metrics.run_upkeep();
            }
        };
        let router = routes::router(roles, metrics.clone());
        let server = axum::serve(listener, router)
            .with_graceful_shutdown(shutdown.clone().cancelled_owned());
        tokio::select! {
            served = server => served.map_err(|error| {
                Failure::new(
                    ErrorCode::AdminAddress,
                    format!("the admin server on {address} stopped"),
                    "see the cause; the relay can run without it (`admin.listen = \"\"`)",
                )
                .caused_by(error)
            }),
            () = upkeep => Ok(()),
        }
    }
}

fn install_recorder() -> Result<PrometheusHandle, Failure> {
    let failed = |error: metrics_exporter_prometheus::BuildError| {
        Failure::internal("the metrics recorder cannot be installed").caused_by(error)
    };
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Full(metric::COMMIT_TO_ACK.to_owned()),
            &metric::LATENCY_BUCKETS,
        )
        .map_err(failed)?
        .install_recorder()
        .map_err(failed)?;
    metric::describe();
    recovery::describe_metrics();
    dead_letters::describe();
    ordered_lanes::describe_metrics();
    redirect_topic::describe_metrics();
    Ok(handle)
}
