//! A replication session, which shows poolers and `pg_hba.conf`.

use super::finding::Findings;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::{Context, Failure};

pub(super) async fn check(config: &Config, findings: &mut Findings) -> Result<(), Failure> {
    let context = Context::new(config, "open a replication session");
    let told = |error| Failure::from_postgres(error, context);
    let mut session = pg_replication::Session::connect(&config.postgres.options())
        .await
        .map_err(told)?;
    let identity = session.identify_system().await.map_err(told)?;
    if identity.database.is_none() {
        return Err(Failure::new(
            ErrorCode::Pooler,
            "the replication session has no database, although one was asked for; something between drops it",
            "let `postgres.url` lead to PostgreSQL itself, not to a pooler or proxy",
        ));
    }
    findings.ok(
        "replication",
        format!(
            "the connection leads to PostgreSQL itself (system {}, timeline {})",
            identity.system_id, identity.timeline
        ),
    );
    Ok(())
}
