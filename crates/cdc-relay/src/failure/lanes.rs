//! From an error of the lanes to what the user is told. Whether it is tried again is decided by
//! [`ordered_lanes::Error::disposition`] alone.

use ordered_lanes::Error;

use super::Failure;
use crate::config::Config;
use crate::error_code::ErrorCode;

impl Failure {
    /// What to tell about `error`.
    pub(crate) fn from_lanes(error: Error, config: &Config) -> Self {
        let config = config.at_store();
        let target = config.postgres.options().target();
        match error {
            Error::Postgres { doing, source } => Self::at_store(source, doing, &config, |role| {
                format!(
                    "GRANT USAGE ON SCHEMA cdc TO {role:?}; GRANT SELECT, INSERT, UPDATE, DELETE ON cdc.lane, \
                     cdc.lane_event, cdc.lane_owner TO {role:?}; GRANT SELECT, INSERT, UPDATE ON cdc.lane_action TO {role:?}"
                )
            }),
            Error::NoTable(source) => Self::new(
                ErrorCode::StoreMissing,
                format!("the tables of ordered mode do not exist, or are of an older version ({target})"),
                "run `cdc-relay init`, or correct `postgres.store_url`",
            )
            .caused_by(source),
            Error::Unreadable { .. } => Self::new(
                ErrorCode::StoreMissing,
                format!("the tables of ordered mode are not of the form that this version knows ({target})"),
                "run `cdc-relay init`; undo changes that were made by hand",
            )
            .caused_by(error),
            Error::Fenced(_)
            | Error::LeaseLost
            | Error::Full { .. }
            | Error::LaneFull { .. }
            | Error::NotOfPartition { .. } => {
                Self::internal("the lanes of ordered mode were used in the wrong way").caused_by(error)
            }
        }
    }

    /// What to tell about a runner that cannot keep its keys in order.
    pub(super) fn from_order(error: cdc_event::OrderError, config: &Config) -> Self {
        let disposition = error.disposition;
        let source = match error.source.downcast::<Error>() {
            Ok(error) => return Self::from_lanes(*error, config),
            Err(source) => source,
        };
        match source.downcast::<redirect_topic::Error>() {
            Ok(error) => Self::from_redirect(*error, config),
            Err(source) => {
                let error = cdc_event::OrderError {
                    disposition,
                    source,
                };
                Self::internal("the order of keys cannot be kept").caused_by(error)
            }
        }
    }
}
