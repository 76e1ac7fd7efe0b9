//! Asks the admin server of a running relay, for `status` and `doctor`.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::ListenAddress;
use crate::relay_state::Snapshot;

/// For the whole exchange: a probe must not hang.
const LIMIT: Duration = Duration::from_secs(3);
/// `/status` is about 1 KiB.
const LARGEST_ANSWER: u64 = 1 << 20;

/// Status code and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Such as 200.
    pub(crate) status: u16,
    /// The body as text.
    pub(crate) body: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// Nothing listens, or the connection broke.
    #[error("no relay answers on {address}")]
    Io {
        /// Where it was asked.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("no answer from {address} within {LIMIT:?}")]
    TimedOut {
        /// Where it was asked.
        address: String,
    },
    /// Something else listens there.
    #[error("what answers on {address} is not the admin server of a relay")]
    NotOurs {
        /// Where it was asked.
        address: String,
    },
}

/// Asks for `path`.
///
/// # Errors
///
/// Nobody answers in time, or not in HTTP.
pub(crate) async fn get(listen: &ListenAddress, path: &str) -> Result<Answer, NoAnswer> {
    let address = listen.reachable();
    let exchange = async {
        let mut stream = TcpStream::connect(&address).await?;
        // HTTP/1.0: the server closes after its answer, without chunks.
        let request =
            format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LARGEST_ANSWER).read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let answer = match timeout(LIMIT, exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(source)) => return Err(NoAnswer::Io { address, source }),
        Err(_elapsed) => return Err(NoAnswer::TimedOut { address }),
    };
    parse(&String::from_utf8_lossy(&answer)).ok_or(NoAnswer::NotOurs { address })
}

/// The state of the relay that listens there.
///
/// # Errors
///
/// Nobody answers in time, or something else does.
pub(crate) async fn status(listen: &ListenAddress) -> Result<Snapshot, NoAnswer> {
    let answer = get(listen, "/status").await?;
    serde_json::from_str(&answer.body).map_err(|_| NoAnswer::NotOurs {
        address: listen.reachable(),
    })
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    Some(Answer {
        status,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_and_body() {
        let answer =
            parse("HTTP/1.0 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        assert_eq!(
            answer,
            Answer {
                status: 503,
                body: "{}".to_owned()
            }
        );
        for text in [
            "",
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 x\r\n\r\n",
            "HTTP/1.1 200 OK",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
