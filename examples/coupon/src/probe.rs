//! `coupon-service --probe`: the health check of a container that has no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the answer may take.
const LIMIT: Duration = Duration::from_secs(3);

/// The start of an answer that says yes.
const WELL: &[u8] = b"HTTP/1.1 200";

/// Asks `GET /healthz`.
///
/// # Errors
///
/// Nobody answers, or something else than 200.
pub(crate) async fn run(listen: SocketAddr) -> Result<()> {
    let answer = timeout(LIMIT, ask(reachable(listen)))
        .await
        .context("no answer")??;
    ensure!(answer.starts_with(WELL), "it is not well");
    Ok(())
}

async fn ask(address: SocketAddr) -> Result<Vec<u8>> {
    let mut socket = TcpStream::connect(address).await?;
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.take(64 * 1024).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Who listens everywhere is asked at home.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_at_home_who_listens_everywhere() {
        let asked = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:8084"), "127.0.0.1:8084");
        assert_eq!(asked("[::]:8084"), "[::1]:8084");
        assert_eq!(asked("10.0.0.1:8084"), "10.0.0.1:8084");
    }
}
