//! Opens sockets whose settings notice a dead peer.

use std::io;
use std::net::SocketAddr;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use crate::options::{ReceiveBuffer, SocketOptions};

/// Bytes. Over a network the window must cover what is on its way.
///
/// Over loopback a window of 256 KiB, full while the reader naps, has the sender collect messages and drains up to a
/// fifth faster. It is not for use: once it is full of small packets, the kernel drops what it had promised to take, and
/// with it the acknowledgements of our own status updates.
const STREAMING_BUFFER: usize = 4 << 20;

/// Connects to one address. Dropping the future gives the attempt up.
pub(super) async fn connect(address: SocketAddr, options: SocketOptions) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(bytes) = receive_buffer(options.receive_buffer) {
        // Before the connection: the window's scale is agreed on in the first packet.
        socket.set_recv_buffer_size(u32::try_from(bytes).unwrap_or(u32::MAX))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    let settings = SockRef::from(&stream);
    if let Some(keepalive) = options.keepalive {
        let probes = TcpKeepalive::new()
            .with_time(keepalive.idle)
            .with_interval(keepalive.interval)
            .with_retries(keepalive.count);
        settings.set_tcp_keepalive(&probes)?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    settings.set_tcp_user_timeout(Some(options.user_timeout))?;
    Ok(stream)
}

fn receive_buffer(wanted: ReceiveBuffer) -> Option<usize> {
    match wanted {
        ReceiveBuffer::Kernel => None,
        ReceiveBuffer::Fixed(bytes) => Some(bytes),
        ReceiveBuffer::Streaming => Some(STREAMING_BUFFER),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::options::Keepalive;

    #[tokio::test]
    async fn sets_what_notices_a_dead_peer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keepalive = Keepalive {
            idle: Duration::from_secs(31),
            interval: Duration::from_secs(11),
            count: 4,
        };
        let options = SocketOptions {
            keepalive: Some(keepalive),
            user_timeout: Duration::from_secs(29),
            receive_buffer: ReceiveBuffer::Fixed(100_000),
        };
        let stream = connect(listener.local_addr().unwrap(), options)
            .await
            .unwrap();
        let settings = SockRef::from(&stream);
        assert!(stream.nodelay().unwrap() && settings.keepalive().unwrap());
        assert_eq!(settings.tcp_keepalive_time().unwrap(), keepalive.idle);
        assert_eq!(
            settings.tcp_keepalive_interval().unwrap(),
            keepalive.interval
        );
        assert_eq!(settings.tcp_keepalive_retries().unwrap(), 4);
        assert_eq!(
            settings.tcp_user_timeout().unwrap(),
            Some(Duration::from_secs(29))
        );
        assert!(settings.recv_buffer_size().unwrap() >= 100_000);
    }
}
