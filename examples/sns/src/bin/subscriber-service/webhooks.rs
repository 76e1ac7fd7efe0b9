//! What the webhook-receiver heard, passed on to the page: a browser may not be able to reach it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderValue, Request, Uri};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

/// How long the receiver may take to begin with its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The receiver.
#[derive(Clone)]
pub(crate) struct Webhooks {
    address: String,
    connections: TaskTracker,
}

impl Webhooks {
    /// Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// If the URL is not `http://host[:port]`.
    pub(crate) fn at(url: &Uri) -> Result<Self> {
        ensure!(
            url.scheme_str() == Some("http"),
            "RECEIVER_URL is not http://host:port"
        );
        let host = url.host().context("RECEIVER_URL names no host")?;
        let address = format!("{host}:{}", url.port_u16().unwrap_or(80));
        let connections = TaskTracker::new();
        Ok(Self {
            address,
            connections,
        })
    }

    /// `GET path`: the type of the body, and the body as it comes, until the reader goes away.
    pub(crate) async fn get(&self, path: &'static str) -> Result<(HeaderValue, Body)> {
        let answer = tokio::time::timeout(PATIENCE, self.ask(path)).await;
        answer.context("the webhook-receiver does not answer")?
    }

    /// Waits until nobody reads any more, but not for long.
    pub(crate) async fn closed(&self) {
        self.connections.close();
        // Whoever still reads is cut off.
        drop(tokio::time::timeout(PATIENCE, self.connections.wait()).await);
    }

    async fn ask(&self, path: &'static str) -> Result<(HeaderValue, Body)> {
        let socket = TcpStream::connect(&self.address)
            .await
            .context("the webhook-receiver cannot be reached")?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
        // It ends with its response.
        self.connections.spawn(async move {
            drop(connection.await);
        });
        let request = Request::get(path)
            .header(HOST, &self.address)
            .body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        ensure!(status.is_success(), "the webhook-receiver says {status}");
        let (head, body) = response.into_parts();
        let kind = head.headers.get(CONTENT_TYPE).cloned();
        let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
        Ok((kind, Body::new(body)))
    }
}
