//! Adds endpoints.

use tokio_postgres::types::Type;
use webhook::Secret;

use super::{Endpoints, NewEndpoint, columns};
use crate::directory::format;
use crate::error::Error;
use crate::secret_keys::SecretError;

const ENDPOINT: &str = "
    INSERT INTO cdc.endpoint
        (id, url, format, template, secrets, guarantee, max_concurrency, rate_per_second, ordered)
    VALUES ($1, $2, $3, $4, ARRAY[$5], $6, $7, $8, $9)";

/// Both or neither.
const ENDPOINT_AND_SUBSCRIPTIONS: &str = "
    INSERT INTO cdc.subscription (endpoint_id, subject, event_type)
    SELECT DISTINCT added.id, subject, event_type FROM added, unnest($10, $11) AS wanted (subject, event_type)";

impl Endpoints {
    /// Adds an endpoint with its subscriptions, and gives the secret to tell its receiver: it is not shown again.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a URL that may not be asked, has credentials, or is not `http` or `https`, and for a format
    /// that there is not; [`Error::EndpointExists`]; [`Error::Secret`]; [`Error::Postgres`], also for limits out of
    /// their bounds.
    pub async fn add(&mut self, new: NewEndpoint) -> Result<Secret, Error> {
        self.check_url(&new.url)?;
        format(&new.format, new.template.as_deref())?;
        let NewEndpoint {
            id,
            url,
            format,
            template,
            secret,
            guarantee,
            limits,
            subscriptions,
        } = new;
        let secret = secret.map_or_else(generate, Ok)?;
        let sealed = self
            .keys
            .seal(&id, secret.expose())
            .map_err(Error::Secret)?;
        let max_concurrency = limits.stored_concurrency();
        let (subjects, types) = columns(&subscriptions);
        let (name, guarantee) = (id.as_str(), guarantee.as_str());
        let mut parameters = vec![
            (&name as _, Type::TEXT),
            (&url as _, Type::TEXT),
            (&format as _, Type::TEXT),
            (&template as _, Type::TEXT),
            (&sealed as _, Type::TEXT),
            (&guarantee as _, Type::TEXT),
            (&max_concurrency as _, Type::INT4),
            (&limits.rate_per_second as _, Type::FLOAT8),
            (&limits.ordered as _, Type::BOOL),
        ];
        // The subscriptions may be a view of the application's, which nothing can be put into.
        let sql = if subscriptions.is_empty() {
            ENDPOINT.to_owned()
        } else {
            parameters.push((&subjects as _, Type::TEXT_ARRAY));
            parameters.push((&types as _, Type::TEXT_ARRAY));
            format!("WITH added AS ({ENDPOINT} RETURNING id) {ENDPOINT_AND_SUBSCRIPTIONS}")
        };
        match self
            .session
            .query("add an endpoint", &sql, &parameters)
            .await
        {
            Ok(_) => Ok(secret),
            Err(error) if error.is_unique_violation() => Err(Error::EndpointExists(id)),
            Err(error) => Err(error),
        }
    }
}

pub(super) fn generate() -> Result<Secret, Error> {
    Secret::generate().map_err(|_| Error::Secret(SecretError::NoRandom))
}
