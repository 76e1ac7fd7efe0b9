//! Opens connections, to vetted addresses only.

use std::io;
use std::net::SocketAddr;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::deadline::Deadline;
use super::exchange::Link;
use super::settings::{InvalidSettings, Settings};
use super::tasks::Tasks;
use super::tls::Encryption;
use crate::error::{SendError, Stage};
use crate::guard::{Guard, Target};

/// Addresses that are tried, of those that DNS gave.
const MAX_ADDRESSES: usize = 4;

/// The head of an answer, and what is read of an HTTP/1.1 body at once.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// What an HTTP/2 endpoint may send of a body before we have read it.
const WINDOW: u32 = 64 * 1024;

/// Opens connections.
#[derive(Debug)]
pub(super) struct Connector {
    encryption: Encryption,
    title_case_headers: bool,
    tasks: Tasks,
}

impl Connector {
    pub(super) fn new(settings: &Settings, tasks: Tasks) -> Result<Self, InvalidSettings> {
        Ok(Self {
            encryption: Encryption::new(settings)?,
            title_case_headers: settings.title_case_headers,
            tasks,
        })
    }

    /// Connects to one of the addresses and gets as far as a request can be sent.
    pub(super) async fn connect(
        &self,
        target: &Target,
        addresses: &[SocketAddr],
        guard: &Guard,
        deadline: Deadline,
    ) -> Result<Link, SendError> {
        let (socket, peer) = reach(addresses, deadline).await?;
        let local = socket.local_addr().map_err(SendError::Connect)?;
        guard
            .check_connection(local, peer)
            .map_err(SendError::Refused)?;
        let handshake = async {
            match target.server_name() {
                None => self.start(socket, peer, false).await,
                Some(name) => {
                    let (stream, http2) = self.encryption.handshake(name, socket).await?;
                    self.start(stream, peer, http2).await
                }
            }
        };
        deadline.limit(Stage::Handshake, handshake).await?
    }

    async fn start<I>(&self, io: I, peer: SocketAddr, http2: bool) -> Result<Link, SendError>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let io = TokioIo::new(io);
        if http2 {
            let (sender, connection) = http2::Builder::new(self.tasks.clone())
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(4 * WINDOW)
                .handshake(io)
                .await
                .map_err(SendError::ClosedEarly)?;
            self.tasks.spawn(connection);
            Ok(Link::http2(sender, peer))
        } else {
            let (sender, connection) = http1::Builder::new()
                .max_buf_size(MAX_HEAD_BYTES)
                .title_case_headers(self.title_case_headers)
                .handshake(io)
                .await
                .map_err(SendError::ClosedEarly)?;
            self.tasks.spawn(connection);
            Ok(Link::http1(sender, peer))
        }
    }
}

/// Tries the addresses in their order; each gets its share of the time that is left.
async fn reach(
    addresses: &[SocketAddr],
    deadline: Deadline,
) -> Result<(TcpStream, SocketAddr), SendError> {
    let addresses = &addresses[..addresses.len().min(MAX_ADDRESSES)];
    let mut last = SendError::Connect(io::ErrorKind::AddrNotAvailable.into());
    for (index, address) in (1_u32..).zip(addresses) {
        let shares = u32::try_from(addresses.len())
            .unwrap_or(u32::MAX)
            .saturating_sub(index)
            + 1;
        let now = Instant::now();
        let share = deadline.at.saturating_duration_since(now) / shares;
        last = match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                socket.set_nodelay(true).map_err(SendError::Connect)?;
                return Ok((socket, *address));
            }
            Ok(Err(error)) => SendError::Connect(error),
            Err(_) => deadline.exceeded(Stage::Connect),
        };
    }
    Err(last)
}
