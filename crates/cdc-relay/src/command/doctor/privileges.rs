//! What the role may do.

use super::finding::Findings;
use crate::config::{Config, OutboxTable};
use crate::database::{Database, OutboxShape, RoleFacts};
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// The role's own attributes.
pub(super) fn of_role(role: &RoleFacts, findings: &mut Findings) {
    let name = &role.name;
    if role.may_replicate {
        findings.ok("role", format!("{name:?} may replicate"));
    } else {
        findings.failed(
            "role",
            &Failure::new(
                ErrorCode::Privilege,
                format!("the role {name:?} may not replicate"),
                format!("ALTER ROLE {name:?} REPLICATION; (a managed server has a role for it, such as rds_replication)"),
            ),
        );
    }
    if !role.sees_others {
        findings.ok(
            "visibility",
            format!(
                "{name:?} does not see other roles' sessions; GRANT pg_read_all_stats shows who holds a slot or \
                 blocks it"
            ),
        );
    }
}

/// What the role may do with an outbox table.
pub(super) fn of_table(
    table: &OutboxTable,
    shape: &OutboxShape,
    config: &Config,
    findings: &mut Findings,
) {
    if !shape.may_select {
        findings.warn(
            "privileges",
            "the role may not read the table: streaming needs no privilege, but a snapshot or filling a gap does",
            format!("GRANT USAGE ON SCHEMA {} and SELECT ON {table} to it", table.schema()),
            Some(ErrorCode::Privilege),
        );
    }
    if config.outbox.retention.is_some() && !shape.may_delete {
        findings.warn(
            "retention",
            "`outbox.retention` is set, and the role may not delete rows: old rows stay",
            format!("GRANT SELECT, DELETE ON {table} to it, and on each partition"),
            Some(ErrorCode::Privilege),
        );
    }
}

const STORE: (&str, &str) = ("cdc", "failed_event");

/// Where events go that cannot be relayed.
pub(super) async fn of_store(config: &Config) -> Findings {
    let config = config.at_store();
    let mut findings = Findings::at(format!("store {}", config.postgres.options().target()));
    let found = async {
        Database::connect(&config)
            .await?
            .may_insert(STORE.0, STORE.1, &config)
            .await
    };
    match found.await {
        Ok(Some(true)) => findings.ok("store", "cdc.failed_event can be written to"),
        Ok(Some(false)) => findings.warn(
            "store",
            "the role may not write to cdc.failed_event: events that cannot be sent could not be parked",
            "GRANT USAGE ON SCHEMA cdc and SELECT, INSERT, UPDATE ON cdc.failed_event to it",
            Some(ErrorCode::Privilege),
        ),
        Ok(None) => findings.warn(
            "store",
            "cdc.failed_event does not exist: events that cannot be sent could not be parked",
            "run `cdc-relay init`",
            None,
        ),
        Err(failure) => findings.failed("store", &failure),
    }
    findings
}
