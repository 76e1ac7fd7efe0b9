//! Changes secrets.

use std::time::Duration;

use tokio_postgres::types::Type;
use webhook::Secret;

use super::Endpoints;
use super::add::generate;
use crate::endpoint::EndpointId;
use crate::error::Error;

impl Endpoints {
    /// Gives an endpoint another secret, a new one if `secret` is `None`, and gives it back to tell its receiver: it is
    /// not shown again. For as long as `overlap` requests are signed with the one before too.
    ///
    /// # Errors
    ///
    /// [`Error::NoEndpoint`], [`Error::Secret`], [`Error::Postgres`].
    pub async fn rotate_secret(
        &mut self,
        id: &EndpointId,
        secret: Option<Secret>,
        overlap: Duration,
    ) -> Result<Secret, Error> {
        let secret = secret.map_or_else(generate, Ok)?;
        let sealed = self.keys.seal(id, secret.expose()).map_err(Error::Secret)?;
        let rows = self
            .session
            .query(
                "change the secret of an endpoint",
                "UPDATE cdc.endpoint
                    SET secrets = ARRAY[$2] || secrets[1:1],
                        old_secret_until = CASE WHEN secrets <> '{}' THEN now() + make_interval(secs => $3) END
                  WHERE id = $1
                 RETURNING id",
                &[(&id.as_str(), Type::TEXT), (&sealed, Type::TEXT), (&overlap.as_secs_f64(), Type::FLOAT8)],
            )
            .await?;
        if rows.is_empty() {
            Err(Error::NoEndpoint(id.clone()))
        } else {
            Ok(secret)
        }
    }
}
