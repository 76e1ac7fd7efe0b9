//! The servers that are measured on.

use anyhow::Result;
use cdc_e2e::database::{DatabaseUrl, Session};
use cdc_e2e::services::{Component, Services};

/// What PostgreSQL is set to, so that nothing but the walsender works while a backlog is drained.
const SETTINGS: [(&str, &str); 4] = [
    ("shared_buffers", "1GB"),
    ("max_wal_size", "16GB"),
    ("checkpoint_timeout", "30min"),
    ("autovacuum", "off"),
];

/// PostgreSQL and Kafka of our own: in `SERVICES_DIR` if it is set, else in a temporary folder. Destroyed when dropped.
pub(crate) async fn start() -> Result<Services> {
    let services = match std::env::var_os("SERVICES_DIR") {
        Some(dir) => Services::in_dir(dir.into(), false).await?,
        None => Services::private(&[Component::Postgres, Component::Kafka]).await?,
    };
    let session = Session::open(&DatabaseUrl::parse(services.database_url())?).await?;
    for (name, value) in SETTINGS {
        session
            .batch_execute(&format!("ALTER SYSTEM SET {name} = '{value}'"))
            .await?;
    }
    drop(session);
    // Some of them are read at the start only.
    let instance = services.instance()?;
    instance.stop(Component::Postgres).await?;
    instance.start_again(Component::Postgres).await?;
    // Nobody is killed here, and a broker must not be taken for dead because the processors are busy.
    instance.be_patient_with_kafka().await?;
    Ok(services)
}
