//! Where and how to connect: the parsed form of a connection string.

mod host;
mod invalid;
mod parameter;
mod text;
mod tls;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, TargetSessionAttrs};

pub use self::host::Host;
pub use self::invalid::InvalidOptions;
pub use self::tls::{ClientCertificate, SslMode, TlsOptions, TrustedRoots};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection string, parsed: a URL (`postgres://user@host/database?sslmode=verify-full`) or `key=value` pairs,
/// with libpq's meanings.
///
/// Of libpq's environment it reads `PGPASSWORD` and `PGUSER` (then `USER`), each only when the string has none.
/// `Debug` and `Display` never show the password.
///
/// # Example
///
/// ```
/// use pg_replication::ConnectOptions;
///
/// let options: ConnectOptions = "postgres://relay:secret@a,b:5433/app".parse().unwrap();
/// assert_eq!(options.target(), "a:5432,b:5433/app as relay");
/// ```
#[derive(Clone)]
pub struct ConnectOptions {
    config: Config,
    user: String,
    hosts: Vec<Host>,
    tls: TlsOptions,
    socket: SocketOptions,
}

/// Settings of the TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketOptions {
    pub(crate) keepalive: Option<Keepalive>,
    /// Sent data that is not acknowledged for this long ends the connection.
    pub(crate) user_timeout: Duration,
    pub(crate) receive_buffer: ReceiveBuffer,
}

/// How large the TCP receive buffer is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceiveBuffer {
    /// The kernel decides, and changes it as it sees fit.
    Kernel,
    /// So many bytes.
    Fixed(usize),
    /// What suits a stream of changes.
    Streaming,
}

/// When a silent TCP connection is probed, and when it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keepalive {
    pub(crate) idle: Duration,
    pub(crate) interval: Duration,
    pub(crate) count: u32,
}

impl ConnectOptions {
    /// Parses a connection string, with the environment for what it leaves out. `FromStr` does the same.
    ///
    /// # Errors
    ///
    /// [`InvalidOptions`] names the parameter and what is allowed, and never shows a value.
    pub fn parse(text: &str) -> Result<Self, InvalidOptions> {
        Self::parse_in(text, |name| std::env::var(name).ok())
    }

    /// The servers, in the order in which they are tried.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The role.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database; by default of the role's name.
    #[must_use]
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or(&self.user)
    }

    /// The name under which the server lists the session, if one is set.
    #[must_use]
    pub fn application_name(&self) -> Option<&str> {
        self.config.get_application_name()
    }

    /// What is asked of encryption.
    #[must_use]
    pub fn tls(&self) -> &TlsOptions {
        &self.tls
    }

    /// For each host's address: the limit for everything from the first packet to the end of authentication.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.config
            .get_connect_timeout()
            .copied()
            .unwrap_or(CONNECT_TIMEOUT)
    }

    /// `host:port,…/database as user`, for messages.
    #[must_use]
    pub fn target(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(Host::to_string).collect();
        format!("{}/{} as {}", hosts.join(","), self.database(), self.user)
    }

    /// The same under another `application_name`; one that the connection string gives stays.
    #[must_use]
    pub fn with_application_name(mut self, name: &str) -> Self {
        if self.config.get_application_name().is_none() {
            self.config.application_name(name);
        }
        self
    }

    /// The same on another database of the server.
    #[must_use]
    pub fn with_database(mut self, database: &str) -> Self {
        self.config.dbname(database);
        self
    }

    /// The same with a TCP receive buffer of this many bytes (the kernel may give less). Replication sessions
    /// take 4 MiB when nothing is set.
    #[must_use]
    pub fn with_receive_buffer(mut self, bytes: usize) -> Self {
        self.socket.receive_buffer = ReceiveBuffer::Fixed(bytes);
        self
    }

    pub(crate) fn for_streaming(mut self) -> Self {
        if self.socket.receive_buffer == ReceiveBuffer::Kernel {
            self.socket.receive_buffer = ReceiveBuffer::Streaming;
        }
        self
    }

    pub(crate) fn password(&self) -> Option<&[u8]> {
        self.config.get_password()
    }

    pub(crate) fn server_options(&self) -> Option<&str> {
        self.config.get_options()
    }

    pub(crate) fn target_session_attrs(&self) -> TargetSessionAttrs {
        self.config.get_target_session_attrs()
    }

    pub(crate) fn channel_binding(&self) -> ChannelBinding {
        self.config.get_channel_binding()
    }

    pub(crate) fn socket(&self) -> SocketOptions {
        self.socket
    }

    /// For a session that `tokio_postgres` authenticates.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    fn parse_in(
        text: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidOptions> {
        let text::Parsed { mut config, ours } = text::parse(text)?;
        let ours = |name: &str| {
            ours.iter()
                .rev()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.as_str())
        };
        let environment = |name: &str| environment(name).filter(|value| !value.is_empty());

        let user = match config.get_user().filter(|user| !user.is_empty()) {
            Some(user) => user.to_owned(),
            None => environment("PGUSER")
                .or_else(|| environment("USER"))
                .ok_or(InvalidOptions::NoUser)?,
        };
        config.user(&user);
        if config.get_dbname().is_none() {
            config.dbname(&user);
        }
        if let (None, Some(password)) = (config.get_password(), environment("PGPASSWORD")) {
            config.password(password);
        }
        let tls = TlsOptions::parse(
            ours("sslmode"),
            ours("sslrootcert"),
            ours("sslcert"),
            ours("sslkey"),
        )?;
        let socket =
            SocketOptions::parse(&config, ours("keepalives_count"), ours("tcp_user_timeout"))?;
        Ok(Self {
            hosts: Host::all(&config)?,
            config,
            user,
            tls,
            socket,
        })
    }
}

impl SocketOptions {
    fn parse(
        config: &Config,
        keepalives_count: Option<&str>,
        user_timeout: Option<&str>,
    ) -> Result<Self, InvalidOptions> {
        let number = |parameter: &'static str, value: Option<&str>, default: u32| match value {
            None | Some("" | "0") => Ok(default),
            Some(text) => text.parse::<u32>().map_err(|_| InvalidOptions::Value {
                parameter,
                allowed: "a whole number from 0",
            }),
        };
        let count = number("keepalives_count", keepalives_count, 3)?;
        let user_timeout = number("tcp_user_timeout", user_timeout, 30_000)?;
        // The parser's default of two hours can't be told from a setting of two hours; nobody wants it.
        let idle =
            Some(config.get_keepalives_idle()).filter(|idle| *idle < Duration::from_secs(7200));
        let keepalive = Keepalive {
            idle: idle.unwrap_or(Duration::from_secs(30)),
            interval: config
                .get_keepalives_interval()
                .unwrap_or(Duration::from_secs(10)),
            count,
        };
        Ok(Self {
            keepalive: config.get_keepalives().then_some(keepalive),
            user_timeout: Duration::from_millis(user_timeout.into()),
            receive_buffer: ReceiveBuffer::Kernel,
        })
    }
}

impl FromStr for ConnectOptions {
    type Err = InvalidOptions;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.target())
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("target", &self.target())
            .field("password", &self.password().map(|_| "(hidden)"))
            .field("tls", &self.tls)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
