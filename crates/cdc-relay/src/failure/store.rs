//! From an error of the store of failed events to what the user is told. Whether it is tried again is decided by
//! [`cdc_store::Error::disposition`] alone.

use cdc_store::Error;

use super::{Context, Failure};
use crate::config::Config;
use crate::error_code::ErrorCode;

/// SQLSTATE of a role that lacks a privilege.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

impl Failure {
    /// What to tell about `error`.
    pub(crate) fn from_store(error: Error, config: &Config) -> Self {
        let config = config.at_store();
        let target = config.postgres.options().target();
        match error {
            Error::Postgres { doing, source } => {
                let refused = source.sql_state().is_some_and(|state| state.as_str() == INSUFFICIENT_PRIVILEGE);
                if !refused {
                    return Self::from_postgres(source, Context::new(&config, doing));
                }
                let role = config.postgres.options().user().to_owned();
                Self::new(
                    ErrorCode::Privilege,
                    format!("could not {doing}: the role {role:?} lacks a privilege ({target})"),
                    format!(
                        "GRANT USAGE ON SCHEMA cdc TO {role:?}; GRANT SELECT, INSERT, UPDATE ON cdc.failed_event, \
                         cdc.failed_event_action, cdc.alert TO {role:?}"
                    ),
                )
                .caused_by(source)
            }
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
}
