//! The ways to a server, one after the other, and when to try the next.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::UnixStream;

use super::socket;
use super::stream::Stream;
use super::tls::negotiate;
use crate::error::{Attempt, Disposition, Error};
use crate::options::{ConnectOptions, Host, SslMode};
use crate::server_error::SqlState;

const DOING: &str = "connect";

/// One way to a server.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    address: Address,
    encryption: Encryption,
    /// What to try when the server refuses this.
    fallback: Option<Encryption>,
}

#[derive(Debug, Clone)]
enum Address {
    Tcp { name: String, address: SocketAddr },
    Unix(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    Plain,
    IfOffered,
    Required,
}

/// Goes through the hosts and collects why each one was not it.
///
/// ```text
/// loop { let route = search.next().await?; match attempt(&route) { Ok(it) => return it, Err(e) => search.failed(route, e)? } }
/// ```
#[derive(Debug)]
pub(crate) struct Search<'a> {
    options: &'a ConnectOptions,
    hosts: VecDeque<&'a Host>,
    routes: VecDeque<Route>,
    attempts: Vec<Attempt>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(options: &'a ConnectOptions) -> Self {
        Self {
            options,
            hosts: options.hosts().iter().collect(),
            routes: VecDeque::new(),
            attempts: Vec::new(),
        }
    }

    /// The next route, looking up names as needed; [`Error::Connect`] when there is none left.
    pub(crate) async fn next(&mut self) -> Result<Route, Error> {
        loop {
            if let Some(route) = self.routes.pop_front() {
                return Ok(route);
            }
            let Some(host) = self.hosts.pop_front() else {
                let attempts = std::mem::take(&mut self.attempts);
                return Err(Error::Connect {
                    target: self.options.target(),
                    attempts,
                });
            };
            match self.look_up(host).await {
                Ok(routes) => self.routes.extend(routes),
                Err(error) => self.attempts.push(Attempt {
                    address: host.to_string(),
                    error,
                }),
            }
        }
    }

    /// Takes note of a failure. An error that other hosts can't mend, as a wrong password, comes back.
    pub(crate) fn failed(&mut self, route: Route, error: Error) -> Result<(), Error> {
        match route.fallback {
            Some(encryption) if concerns_encryption(&error) => {
                self.routes.push_front(Route {
                    encryption,
                    fallback: None,
                    ..route
                });
                Ok(())
            }
            _ if is_final(&error) => Err(error),
            _ => {
                self.attempts.push(Attempt {
                    address: route.address.to_string(),
                    error,
                });
                Ok(())
            }
        }
    }

    async fn look_up(&self, host: &Host) -> Result<Vec<Route>, Error> {
        let (name, addresses) = match host {
            Host::Unix { directory, port } => {
                let address = Address::Unix(Host::socket_path(directory, *port));
                return Ok(vec![Route {
                    address,
                    encryption: Encryption::Plain,
                    fallback: None,
                }]);
            }
            Host::Tcp {
                name,
                address: Some(ip),
                port,
            } => (name, vec![SocketAddr::new(*ip, *port)]),
            Host::Tcp {
                name,
                address: None,
                port,
            } => (name, resolve(name, *port).await?),
        };
        let (encryption, fallback) = match self.options.tls().mode {
            SslMode::Disable => (Encryption::Plain, None),
            SslMode::Allow => (Encryption::Plain, Some(Encryption::Required)),
            SslMode::Prefer => (Encryption::IfOffered, Some(Encryption::Plain)),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                (Encryption::Required, None)
            }
        };
        let route = |address| {
            let address = Address::Tcp {
                name: name.clone(),
                address,
            };
            Route {
                address,
                encryption,
                fallback,
            }
        };
        Ok(addresses.into_iter().map(route).collect())
    }
}

impl Route {
    /// Opens the connection, encrypted as the route says.
    pub(crate) async fn open(&self, options: &ConnectOptions) -> Result<Stream, Error> {
        let failed = |source| Error::Io {
            doing: DOING,
            source,
        };
        match &self.address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(failed)?;
                Ok(Stream::Unix(stream))
            }
            Address::Tcp { name, address } => {
                let stream = socket::connect(*address, options.socket())
                    .await
                    .map_err(failed)?;
                if self.encryption == Encryption::Plain {
                    return Ok(Stream::Tcp(stream));
                }
                let required = self.encryption == Encryption::Required;
                negotiate(stream, name, options.tls(), required)
                    .await
                    .map_err(Error::Tls)
            }
        }
    }
}

async fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let failed = |source| Error::Io {
        doing: "look up the host name",
        source,
    };
    let addresses: Vec<_> = tokio::net::lookup_host((name, port))
        .await
        .map_err(failed)?
        .collect();
    if addresses.is_empty() {
        return Err(failed(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        )));
    }
    Ok(addresses)
}

/// As libpq: `prefer` goes on without, and `allow` with encryption, where `pg_hba.conf` asks for the other or the
/// handshake fails.
fn concerns_encryption(error: &Error) -> bool {
    match error {
        Error::Tls(error) => !error.is_local(),
        other => other.sql_state() == Some(SqlState::INVALID_AUTHORIZATION),
    }
}

/// As libpq: a server that was reached and refuses us ends the search; one that is starting, full, unreachable
/// or of the wrong role doesn't.
fn is_final(error: &Error) -> bool {
    match error {
        Error::Tls(error) => error.is_local(),
        other => other.disposition() == Disposition::Permanent,
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp { name, address } if *name == address.ip().to_string() => {
                write!(f, "{address}")
            }
            Self::Tcp { name, address } => write!(f, "{name} ({address})"),
        }
    }
}
