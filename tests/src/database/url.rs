//! URLs of databases, to be pointed at another database or another address.

use std::fmt;
use std::net::SocketAddr;

use anyhow::{Context, Result};

/// `postgres://user:password@host:port/database?parameters`, in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    credentials: String,
    address: String,
    database: String,
    parameters: String,
}

impl DatabaseUrl {
    /// Takes `url` apart.
    ///
    /// # Errors
    /// Fails unless it has a scheme, a host and a database.
    pub fn parse(url: &str) -> Result<Self> {
        let (_, rest) = url
            .split_once("://")
            .context("the database URL has no scheme")?;
        let (rest, parameters) = rest
            .split_once('?')
            .map_or((rest, String::new()), |(r, p)| (r, format!("?{p}")));
        let (authority, database) = rest
            .split_once('/')
            .context("the database URL names no database")?;
        let (credentials, address) = authority
            .rsplit_once('@')
            .map_or((String::new(), authority), |(c, a)| (format!("{c}@"), a));
        Ok(Self {
            credentials,
            address: address.to_owned(),
            database: database.to_owned(),
            parameters,
        })
    }

    /// The same server, another database.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        Self {
            database: name.to_owned(),
            ..self.clone()
        }
    }

    /// The same database, reached through `address`.
    #[must_use]
    pub fn through(&self, address: SocketAddr) -> Self {
        Self {
            address: address.to_string(),
            ..self.clone()
        }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "postgres://{}{}/{}{}",
            self.credentials, self.address, self.database, self.parameters
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_can_be_replaced() {
        let url = DatabaseUrl::parse("postgres://u:p@db:5432/postgres?sslmode=disable").unwrap();
        assert_eq!(url.address(), "db:5432");
        let other = url.with_database("x").through(([127, 0, 0, 1], 7).into());
        assert_eq!(
            other.to_string(),
            "postgres://u:p@127.0.0.1:7/x?sslmode=disable"
        );
        assert_eq!(
            DatabaseUrl::parse("postgres://h/d").unwrap().to_string(),
            "postgres://h/d"
        );
        assert!(DatabaseUrl::parse("postgres://h").is_err());
    }
}
