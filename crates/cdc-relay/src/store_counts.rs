//! What is in the stores that somebody should look at, as metrics.

use std::convert::Infallible;
use std::time::Duration;

use metrics::gauge;
use pg_replication::{Client, connect_client};
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::metric;

/// How old the figures may be. Alerts take minutes anyhow.
const INTERVAL: Duration = Duration::from_secs(15);
/// For one look; a server that does not answer is asked again later, over another connection.
const LIMIT: Duration = Duration::from_secs(10);

/// A metric, and the query for its value.
const COUNTS: [(&str, &str); 2] = [
    (
        metric::OPEN_FAILURES,
        "SELECT count(*)::float8 FROM cdc.failed_event WHERE status = 'open'",
    ),
    (
        metric::DISABLED_ENDPOINTS,
        "SELECT count(*)::float8 FROM cdc.endpoint WHERE state = 'disabled'",
    ),
];

/// Counts until it is dropped, which is safe at any time.
///
/// What the store does not say (it is away, the role has no privilege to read the table) is shown as NaN. Nothing is
/// logged: whatever needs the store says so by itself.
pub(crate) async fn run(config: &Config) -> Infallible {
    let options = config.at_store().postgres.options();
    loop {
        if let Ok(Ok(client)) = timeout(LIMIT, connect_client(&options)).await {
            while count(&client).await {
                sleep(INTERVAL).await;
            }
        } else {
            COUNTS.iter().for_each(|(name, _)| show(name, None));
        }
        sleep(INTERVAL).await;
    }
}

/// False when the connection is of no use any more.
async fn count(client: &Client) -> bool {
    for (name, sql) in COUNTS {
        let Ok(counted) = timeout(LIMIT, client.query_one(sql, &[])).await else {
            return false;
        };
        show(name, counted.ok().and_then(|row| row.try_get(0).ok()));
    }
    !client.is_closed()
}

fn show(name: &'static str, value: Option<f64>) {
    gauge!(name).set(value.unwrap_or(f64::NAN));
}
