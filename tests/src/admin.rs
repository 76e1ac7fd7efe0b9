//! The relay's admin endpoint.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::http;
pub use crate::http::Response;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Where one relay answers to HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admin(pub SocketAddr);

impl Admin {
    /// An address on loopback whose port is free now.
    ///
    /// # Errors
    /// Fails if there is none.
    pub fn on_free_port() -> Result<Self> {
        Ok(Self(
            std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?,
        ))
    }

    /// `GET path`.
    ///
    /// # Errors
    /// Fails if nobody listens, the answer takes more than 2 s, or it is not HTTP.
    pub async fn get(self, path: &str) -> Result<Response> {
        http::request(self.0, "GET", path, None, TIMEOUT).await
    }

    /// Whether the relay says that it is alive.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn is_healthy(self) -> Result<bool> {
        Ok(self.get("/healthz").await?.status == 200)
    }

    /// Whether the relay says that events flow.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn is_ready(self) -> Result<bool> {
        Ok(self.get("/readyz").await?.status == 200)
    }

    /// The value of a metric that has no labels, or the sum over all its labels.
    ///
    /// # Errors
    /// As [`get`](Self::get), and if there is no such metric.
    pub async fn metric(self, name: &str) -> Result<f64> {
        let body = self.get("/metrics").await?.body;
        sum_of(&body, name).with_context(|| format!("no metric {name} in:\n{body}"))
    }

    /// `/status`, as JSON.
    ///
    /// # Errors
    /// As [`get`](Self::get), and if the body is not JSON.
    pub async fn status(self) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.get("/status").await?.body)?)
    }
}

fn sum_of(metrics: &str, name: &str) -> Option<f64> {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{'))
            .then_some(value)?
            .parse::<f64>()
            .ok()
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or_default() + value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_a_metric_over_its_labels() {
        let metrics = "# TYPE a counter\na{t=\"x y\"} 1\na{t=\"z\"} 2.5\na_total 9\nb 4\n";
        assert_eq!(sum_of(metrics, "a"), Some(3.5));
        assert_eq!(sum_of(metrics, "b"), Some(4.0));
        assert_eq!(sum_of(metrics, "c"), None);
    }
}
