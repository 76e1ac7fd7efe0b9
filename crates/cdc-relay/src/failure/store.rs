//! From an error of the store of failed events to what the user is told. Whether it is tried again is decided by
//! [`cdc_store::Error::disposition`] alone.

use cdc_store::Error;
use pg_replication::SqlState;

use super::{Context, Failure};
use crate::config::Config;
use crate::error_code::ErrorCode;

impl Failure {
    /// What to tell about `error`.
    pub(crate) fn from_store(error: Error, config: &Config) -> Self {
        let config = config.at_store();
        let target = config.postgres.options().target();
        match error {
            Error::Postgres { doing, source } => Self::at_store(source, doing, &config, |role| {
                format!(
                    "GRANT USAGE ON SCHEMA cdc TO {role:?}; GRANT SELECT, INSERT, UPDATE ON cdc.failed_event, \
                     cdc.failed_event_action, cdc.alert TO {role:?}"
                )
            }),
            Error::NoTable(source) => Self::new(
                ErrorCode::StoreMissing,
                format!("the store of failed events, cdc.failed_event, does not exist ({target})"),
                "run `cdc-relay init`, or correct `postgres.store_url`",
            )
            .caused_by(source),
            Error::Unreadable { .. } => Self::new(
                ErrorCode::StoreMissing,
                format!("the store of failed events is not of the form that this version knows ({target})"),
                "run `cdc-relay init`; undo changes that were made to cdc.failed_event by hand",
            )
            .caused_by(error),
        }
    }

    /// What PostgreSQL refused at the store, where a privilege that is lacking has nothing to do with replication; `grant`
    /// says what a role needs.
    pub(super) fn at_store(
        source: pg_replication::Error,
        doing: &'static str,
        config: &Config,
        grant: impl FnOnce(&str) -> String,
    ) -> Self {
        if source.sql_state() != Some(SqlState::INSUFFICIENT_PRIVILEGE) {
            return Self::from_postgres(source, Context::new(config, doing));
        }
        let options = config.postgres.options();
        let (role, target) = (options.user(), options.target());
        Self::new(
            ErrorCode::Privilege,
            format!("could not {doing}: the role {role:?} lacks a privilege ({target})"),
            grant(role),
        )
        .caused_by(source)
    }
}
