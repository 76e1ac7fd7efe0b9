//! HTTP over a bare socket: one request, one answer.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer that is read, in bytes.
const MAX_RESPONSE: u64 = 4 * 1024 * 1024;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status, such as 200.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// Sends `method path`, with JSON if there is any.
///
/// # Errors
/// Fails if nobody listens, the answer takes longer than `limit`, or it is not HTTP.
pub async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    json: Option<&Value>,
    limit: Duration,
) -> Result<Response> {
    let answer = tokio::time::timeout(limit, exchange(address, method, path, json)).await;
    answer
        .with_context(|| format!("{method} {path}: no answer"))?
        .with_context(|| format!("{method} {path}"))
}

async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    json: Option<&Value>,
) -> Result<Response> {
    let mut socket = TcpStream::connect(address).await?;
    let body = json.map(Value::to_string).unwrap_or_default();
    let kind = if json.is_some() {
        format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        )
    } else {
        String::new()
    };
    let request = format!("{method} {path} HTTP/1.0\r\nhost: {address}\r\n{kind}\r\n{body}");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.take(MAX_RESPONSE).read_to_end(&mut answer).await?;
    parse(&String::from_utf8(answer)?)
}

fn parse(answer: &str) -> Result<Response> {
    let (head, body) = answer.split_once("\r\n\r\n").context("not HTTP")?;
    let status = head.split(' ').nth(1).context("not HTTP")?.parse()?;
    Ok(Response {
        status,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_answer() {
        let response = parse("HTTP/1.0 503 Service Unavailable\r\na: b\r\n\r\nno").unwrap();
        assert_eq!(
            response,
            Response {
                status: 503,
                body: "no".into()
            }
        );
        assert!(parse("SSH-2.0").is_err());
    }
}
