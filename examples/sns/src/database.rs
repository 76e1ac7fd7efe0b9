//! The pool of connections, with the tables in place.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::{Config, NoTls};

/// Connections of one service.
const CONNECTIONS: usize = 8;

/// How long a request waits for one of them, and for PostgreSQL to accept one.
const PATIENCE: Duration = Duration::from_secs(5);

const SCHEMA: &str = include_str!("../sql/schema.sql");

/// Connects, and makes the tables that are missing. A connection that was lost is replaced by the pool.
///
/// # Errors
///
/// If the URL cannot be read, PostgreSQL does not answer, or `cdc-relay init` has not been run.
pub async fn open(url: &str) -> Result<Pool> {
    let config: Config = url.parse().context("DATABASE_URL is not valid")?;
    let recycling_method = RecyclingMethod::Fast;
    let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method });
    let pool = Pool::builder(manager)
        .max_size(CONNECTIONS)
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(PATIENCE))
        .runtime(Runtime::Tokio1)
        .build()
        .context("the pool cannot be made")?;
    let client = pool.get().await.context("PostgreSQL cannot be reached")?;
    let emit =
        "SELECT to_regclass('cdc.outbox') IS NOT NULL AND to_regclass('cdc.endpoint') IS NOT NULL";
    let ready: bool = client.query_one(emit, &[]).await?.get(0);
    ensure!(
        ready,
        "this database has no schema cdc: run `cdc-relay init` first"
    );
    client
        .batch_execute(SCHEMA)
        .await
        .context("the tables of schema sns cannot be made")?;
    drop(client);
    Ok(pool)
}
