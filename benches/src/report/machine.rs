//! What the figures were measured on.

use anyhow::{Context, Result};
use cdc_e2e::database::{DatabaseUrl, Session};
use cdc_e2e::services::{Services, checkout};
use serde::{Deserialize, Serialize};

/// What one has to know about a machine to compare figures, and nothing that tells which one it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    /// Version of the server.
    pub(crate) postgresql: String,
    /// Version of the broker.
    pub(crate) kafka: String,
}

impl Machine {
    /// Asks the server, and the file that pins the broker's version.
    pub(crate) async fn look(services: &Services) -> Result<Self> {
        let session = Session::open(&DatabaseUrl::parse(services.database_url())?).await?;
        let version: String = session.query_one("SHOW server_version", &[]).await?.get(0);
        let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let versions = std::fs::read_to_string(checkout().join("scripts/versions.env"))?;
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: value(&processors, "model name", ':')
                .unwrap_or("unknown")
                .to_owned(),
            // Packagers append their own version.
            postgresql: version.split(' ').next().unwrap_or_default().to_owned(),
            kafka: value(&versions, "KAFKA_VERSION", '=')
                .context("no version of Kafka")?
                .to_owned(),
        })
    }
}

/// The value in the first line `name SEPARATOR value`.
fn value<'a>(text: &'a str, name: &str, separator: char) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(separator));
    pairs
        .find(|(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_value_by_its_name() {
        let text = "# comment\nKAFKA=1\nKAFKA_VERSION=4.3.1\n";
        assert_eq!(value(text, "KAFKA_VERSION", '='), Some("4.3.1"));
        assert_eq!(value(text, "REDIS", '='), None);
        assert_eq!(
            value("model name\t: Fast CPU\n", "model name", ':'),
            Some("Fast CPU")
        );
    }
}
