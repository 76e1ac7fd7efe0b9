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

/// Rows of a table of schema `cdc`, and the metric that shows their number.
struct Count {
    metric: &'static str,
    table: &'static str,
    sql: &'static str,
}

const COUNTS: [Count; 2] = [
    Count {
        metric: metric::OPEN_FAILURES,
        table: "failed_event",
        sql: "SELECT count(*)::float8 FROM cdc.failed_event WHERE status = 'open'",
    },
    Count {
        metric: metric::DISABLED_ENDPOINTS,
        table: "endpoint",
        sql: "SELECT count(*)::float8 FROM cdc.endpoint WHERE state = 'disabled'",
    },
];

/// Whether the role may read a table. A refusal would be a line in the server's log each time.
const MAY_READ: &str = "
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_class AS class JOIN pg_catalog.pg_namespace AS schema ON schema.oid = relnamespace
         WHERE nspname = 'cdc' AND relname = $1::text::name
           AND pg_catalog.has_schema_privilege(schema.oid, 'USAGE')
           AND pg_catalog.has_table_privilege(class.oid, 'SELECT')
    )";

/// Counts until it is dropped, which is safe at any time.
///
/// What the store does not say (it is away, the role has no privilege to read the table) is shown as NaN. Nothing is
/// logged: whatever needs the store says so by itself.
pub(crate) async fn run(config: &Config) -> Infallible {
    let options = config.at_store().postgres.options();
    loop {
        if let Ok(Ok(client)) = timeout(LIMIT, connect_client(&options)).await {
            while let Ok(()) = timeout(LIMIT, look(&client)).await {
                if client.is_closed() {
                    break;
                }
                sleep(INTERVAL).await;
            }
        }
        COUNTS.iter().for_each(|count| show(count, None));
        sleep(INTERVAL).await;
    }
}

async fn look(client: &Client) {
    for count in &COUNTS {
        show(count, counted(client, count).await.ok().flatten());
    }
}

/// `None` if the role may not know.
async fn counted(client: &Client, count: &Count) -> Result<Option<f64>, tokio_postgres::Error> {
    let may = client.query_one(MAY_READ, &[&count.table]).await?;
    if !may.try_get(0)? {
        return Ok(None);
    }
    let row = client.query_one(count.sql, &[]).await?;
    row.try_get(0).map(Some)
}

fn show(count: &Count, value: Option<f64>) {
    gauge!(count.metric).set(value.unwrap_or(f64::NAN));
}
