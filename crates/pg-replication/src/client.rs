//! An ordinary SQL session, over the same connections as replication sessions.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::ops::{Deref, DerefMut};

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::config::{SslMode, SslNegotiation, TargetSessionAttrs};
use tokio_postgres::error::DbError;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Config, SimpleQueryMessage};

use crate::connect::{AuthenticationError, ROLE_QUERY, Route, Search, Stream, check_role};
use crate::error::Error;
use crate::options::ConnectOptions;
use crate::server_error::{ServerError, Severity, SqlState};

/// A `tokio_postgres` session that ends when it is dropped: it takes its driver task with it.
///
/// Its errors turn into [`Error`] by `?`, and so get a disposition.
#[derive(Debug)]
pub struct Client {
    inner: tokio_postgres::Client,
    /// Drives the connection; a set of one, as dropping it aborts the task.
    driver: JoinSet<Result<(), tokio_postgres::Error>>,
}

impl Client {
    /// Waits until the session ends, and gives the reason. A server that shuts down ends ordinary sessions at once,
    /// with SQLSTATE 57P01, long before it ends a stream.
    ///
    /// Cancellation safe.
    pub async fn ended(&mut self) -> Error {
        match self.driver.join_next().await {
            Some(Ok(Err(error))) => error.into(),
            Some(Ok(Ok(())) | Err(_)) | None => Error::Closed,
        }
    }
}

/// Connects as [`Session::connect`](crate::Session::connect) does, for ordinary SQL.
///
/// Dropping the future gives up and closes what is open.
///
/// # Errors
///
/// As of [`Session::connect`](crate::Session::connect).
pub async fn connect_client(options: &ConnectOptions) -> Result<Client, Error> {
    let mut search = Search::new(options);
    loop {
        let route = search.next().await?;
        let limit = options.connect_timeout();
        match timeout(limit, Box::pin(open(&route, options))).await {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(error)) => search.failed(route, error)?,
            Err(_elapsed) => search.failed(
                route,
                Error::TimedOut {
                    doing: "connect",
                    limit,
                },
            )?,
        }
    }
}

async fn open(route: &Route, options: &ConnectOptions) -> Result<Client, Error> {
    let stream = route.open(options).await?;
    let started = already_secured(options.config())
        .connect_raw(stream, AlreadySecured)
        .await;
    let (inner, connection) = started.map_err(|error| match Error::from(error) {
        Error::Client(source) => Error::Authentication {
            user: options.user().to_owned(),
            source: AuthenticationError::Client(source),
        },
        other => other,
    })?;
    let mut driver = JoinSet::new();
    driver.spawn(connection.into_future());
    let client = Client { inner, driver };
    let wanted = options.target_session_attrs();
    if wanted != TargetSessionAttrs::Any {
        let messages = client.simple_query(ROLE_QUERY).await?;
        let read_only = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        check_role(wanted, read_only)?;
    }
    Ok(client)
}

/// The library does SCRAM with channel binding only over TLS of its own making. "Direct" negotiation makes it ask
/// for that at once; [`AlreadySecured`] then gives back the connection as it is.
fn already_secured(config: &Config) -> Config {
    let mut config = config.clone();
    config
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct);
    config
}

struct AlreadySecured;

impl TlsConnect<Stream> for AlreadySecured {
    type Stream = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Stream, Infallible>>;

    fn connect(self, stream: Stream) -> Self::Future {
        ready(Ok(stream))
    }
}

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        self.end_point()
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl Deref for Client {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(refusal) = error.as_db_error() {
            return Self::Server(refusal.into());
        }
        if error.is_closed() {
            return Self::Closed;
        }
        let broken =
            std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
        match broken.map(io::Error::kind) {
            Some(kind) => Self::Io {
                doing: "talk to the server",
                source: io::Error::new(kind, error),
            },
            None => Self::Client(error),
        }
    }
}

impl From<&DbError> for ServerError {
    fn from(error: &DbError) -> Self {
        Self {
            severity: error
                .parsed_severity()
                .map_or(Severity::Error, Severity::from),
            code: SqlState::parse(error.code().code()).unwrap_or(SqlState::INTERNAL_ERROR),
            message: error.message().into(),
            detail: error.detail().map(Into::into),
            hint: error.hint().map(Into::into),
            context: error.where_().map(Into::into),
            routine: error.routine().map(Into::into),
        }
    }
}

impl From<tokio_postgres::error::Severity> for Severity {
    fn from(severity: tokio_postgres::error::Severity) -> Self {
        use tokio_postgres::error::Severity as Theirs;
        match severity {
            Theirs::Panic => Self::Panic,
            Theirs::Fatal => Self::Fatal,
            Theirs::Error => Self::Error,
            Theirs::Warning => Self::Warning,
            Theirs::Notice => Self::Notice,
            Theirs::Debug => Self::Debug,
            Theirs::Info => Self::Info,
            Theirs::Log => Self::Log,
        }
    }
}
