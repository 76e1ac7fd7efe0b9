//! A replication session, which shows poolers and `pg_hba.conf`.

use super::finding::Findings;
use crate::config::Config;
use crate::failure::{Context, Failure};

pub(super) async fn check(config: &Config) -> Result<Findings, Failure> {
    let context = Context::new(config, "open a replication session");
    let told = |error| Failure::from_postgres(error, context);
    let mut session = pg_replication::Session::connect(&config.postgres.options())
        .await
        .map_err(told)?;
    let identity = session.identify_system().await.map_err(told)?;
    let mut findings = Findings::default();
    findings.ok(
        "replication",
        format!(
            "the connection leads to PostgreSQL itself (system {}, timeline {})",
            identity.system_id, identity.timeline
        ),
    );
    Ok(findings)
}
