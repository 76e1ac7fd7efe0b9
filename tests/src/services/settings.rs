//! Where the servers are: the file `env` that `scripts/services` writes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Names and values like `DATABASE_URL`.
#[derive(Debug, Default)]
pub(super) struct Settings(HashMap<String, String>);

impl Settings {
    /// One of the shared instance's: the environment's, else the checkout's.
    pub(super) fn shared_value(name: &str) -> Result<String> {
        if let Ok(value) = std::env::var(name) {
            return Ok(value);
        }
        let file = Self::read(&checkout().join(".services"));
        file.context("no servers: run `make services-up`")?
            .require(name)
    }

    /// Those of the instance in `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let file = dir.join("env");
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    pub(super) fn require(&self, name: &str) -> Result<String> {
        self.0
            .get(name)
            .cloned()
            .with_context(|| format!("scripts/services gave no {name}"))
    }
}

/// The root of the checkout that this was built from.
pub fn checkout() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_contain_an_equals_sign() {
        let settings =
            Settings::parse("DATABASE_URL=postgres://h/db?sslmode=disable\n\nKAFKA_BROKERS=h:1\n");
        assert_eq!(
            settings.require("DATABASE_URL").unwrap(),
            "postgres://h/db?sslmode=disable"
        );
        assert_eq!(settings.require("KAFKA_BROKERS").unwrap(), "h:1");
        assert!(settings.require("REDIS_URL").is_err());
    }
}
