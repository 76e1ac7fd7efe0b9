//! From an error of the notifier's store to what the user is told. Whether it is tried again is decided by
//! [`notifier::Error::disposition`] alone.

use notifier::Error;

use super::Failure;
use crate::config::Config;
use crate::error_code::ErrorCode;

impl Failure {
    /// What to tell about `error`.
    pub(crate) fn from_notifier(error: Error, config: &Config) -> Self {
        let config = config.at_store();
        let target = config.postgres.options().target();
        match error {
            Error::Postgres { doing, source } => Self::at_store(source, doing, &config, |_| {
                "GRANT it what docs/configuration.md lists under Webhooks: the notifier's role does not need all that \
                 `cdc-relay endpoint` does"
                    .to_owned()
            }),
            Error::TimedOut { .. } => Self::new(
                ErrorCode::PostgresUnreachable,
                format!("PostgreSQL has not answered in time ({target})"),
                "look at what the server is busy with (pg_stat_activity); whether it was done is not known",
            )
            .caused_by(error),
            Error::NoTable(source) => Self::new(
                ErrorCode::StoreMissing,
                format!("the tables of the notifier do not exist ({target})"),
                "run `cdc-relay init`, or correct `postgres.store_url`",
            )
            .caused_by(source),
            Error::Unreadable { .. } => Self::new(
                ErrorCode::StoreMissing,
                format!("the tables of the notifier are not of the form that this version knows ({target})"),
                "run `cdc-relay init`; undo changes that were made by hand",
            )
            .caused_by(error),
            Error::EndpointExists(ref id) => {
                let remedy = "take another name, or change that one";
                Self::new(ErrorCode::Endpoint, format!("there is an endpoint {id} already"), remedy)
            }
            Error::NoEndpoint(ref id) => {
                let remedy = "`cdc-relay endpoint list` names them all";
                Self::new(ErrorCode::Endpoint, format!("there is no endpoint {id}"), remedy)
            }
            Error::Invalid { what, source } => Self::new(
                ErrorCode::Endpoint,
                format!("the {what} of the endpoint cannot be used"),
                "see the cause; `notify.allow_private_networks` lets through what is not public",
            )
            .caused_by(source),
            Error::Secret(source) => Self::new(
                ErrorCode::Endpoint,
                "the secret of an endpoint cannot be stored or read",
                "`notify.secret_keys` must have the key that it was sealed with, and may have newer ones before it",
            )
            .caused_by(source),
            Error::Stopping => Self::internal("the notifier is stopping"),
        }
    }
}
