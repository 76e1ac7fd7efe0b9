//! A replication session that does not stream yet.

mod publication;
mod quote;
mod row;
mod timeline;

use std::sync::Arc;

use pg_lsn::Lsn;
use postgres_protocol::message::frontend;
use tokio::time::timeout;

pub use self::publication::{InvalidPublicationName, PublicationName};
pub use self::quote::{quote_ident, quote_literal};
pub use self::row::Row;
use crate::backend::BackendMessage;
use crate::connect::{Exchange, ROLE_QUERY, Route, Search, Stream, check_role, start};
use crate::error::Error;
use crate::framed::Framed;
use crate::identity::{ServerVersion, SystemIdentity};
use crate::options::ConnectOptions;
use crate::protocol_error::ProtocolError;
use crate::server_error::SqlState;
use crate::slot::SlotName;

const QUERY: &str = "run a command";
const START: &str = "start streaming";

/// A session that takes replication commands and simple SQL, of one database.
///
/// Dropping it closes the connection, and with it ends an exported snapshot and temporary slots.
#[derive(Debug)]
pub struct Session {
    exchange: Exchange,
    version: ServerVersion,
    /// Commands whose answer was not read to its end, since the future that awaited it was dropped.
    unanswered: usize,
}

impl Session {
    /// Connects to the first of the hosts that is reachable and has the role of `target_session_attrs`.
    ///
    /// Dropping the future gives up and closes what is open.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] lists each address that was tried; what a server that was reached refuses comes as it
    /// is: [`Error::Server`] (as 28P01 for a wrong password), [`Error::Authentication`], [`Error::Pooler`].
    pub async fn connect(options: &ConnectOptions) -> Result<Self, Error> {
        let options = &options.clone().for_streaming();
        let mut search = Search::new(options);
        loop {
            let route = search.next().await?;
            let limit = options.connect_timeout();
            match timeout(limit, Box::pin(Self::open(&route, options))).await {
                Ok(Ok(session)) => return Ok(session),
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

    async fn open(route: &Route, options: &ConnectOptions) -> Result<Self, Error> {
        let exchange = start(route.open(options).await?, options).await?;
        let version = exchange.parameter("server_version").unwrap_or_default();
        let version = version
            .parse()
            .map_err(|_| ProtocolError::UnexpectedMessage {
                found: "the end of the start",
                expected: "the setting server_version",
            })?;
        let mut session = Self {
            exchange,
            version,
            unanswered: 0,
        };
        let wanted = options.target_session_attrs();
        if wanted != tokio_postgres::config::TargetSessionAttrs::Any {
            let rows = session.simple_query(ROLE_QUERY).await?;
            check_role(wanted, rows.first().and_then(|row| row.get(0)))?;
        }
        Ok(session)
    }

    /// The server's version.
    #[must_use]
    pub fn server_version(&self) -> ServerVersion {
        self.version
    }

    /// The current value of a setting that the server reports by itself, such as `server_encoding` or
    /// `in_hot_standby`; `None` for any other.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.exchange.parameter(name)
    }

    /// Asks which cluster this is and how far its log goes.
    ///
    /// # Errors
    ///
    /// [`Error::Pooler`] when what answers takes the command for SQL.
    pub async fn identify_system(&mut self) -> Result<SystemIdentity, Error> {
        let rows = self
            .simple_query("IDENTIFY_SYSTEM")
            .await
            .map_err(|error| match error {
                Error::Server(error) if error.code == SqlState::SYNTAX_ERROR => {
                    Error::Pooler(error)
                }
                other => other,
            })?;
        let row = rows.first();
        let text = |column| row.and_then(|row| row.named(column));
        let identity = || {
            Some(SystemIdentity {
                system_id: text("systemid")?.parse().ok()?,
                timeline: text("timeline")?.parse().ok()?,
                flush_lsn: text("xlogpos")?.parse().ok()?,
                database: text("dbname").map(str::to_owned),
            })
        };
        identity().ok_or_else(|| {
            ProtocolError::UnexpectedMessage {
                found: "another row",
                expected: "IDENTIFY_SYSTEM's row",
            }
            .into()
        })
    }

    /// Runs one replication command, or SQL of one or several statements, and gives the rows of all of them.
    /// After a server error the session is as usable as before.
    ///
    /// When the future is dropped the command goes on in the server; the next call first waits for its end.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] for what the server refuses; otherwise the connection is lost.
    pub async fn simple_query(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        self.send(QUERY, sql).await?;
        self.answer().await
    }

    /// Starts to stream changes. A position before the slot's confirmed one, such as zero, means the latter.
    ///
    /// # Errors
    ///
    /// The server's refusals keep their SQLSTATE; the session is lost all the same.
    pub(crate) async fn start_replication(
        mut self,
        slot: &SlotName,
        publications: &[PublicationName],
        start: Lsn,
        messages: bool,
    ) -> Result<Framed<Stream>, Error> {
        let names = publication::literal_list(publications);
        let messages = if messages { ", messages 'true'" } else { "" };
        let command = format!(
            "START_REPLICATION SLOT {} LOGICAL {start} \
             (proto_version '1', publication_names {names}{messages})",
            quote_ident(slot.as_str()),
        );
        self.send(START, &command).await?;
        match self.exchange.receive_success(START).await? {
            BackendMessage::CopyBothResponse => Ok(self.exchange.into_framed()),
            other => Err(other.unexpected("CopyBothResponse").into()),
        }
    }

    /// Sends a command and reads past the answers that nobody waits for any more.
    async fn send(&mut self, doing: &'static str, command: &str) -> Result<(), Error> {
        self.exchange
            .queue(doing, |buffer| frontend::query(command, buffer))?;
        self.unanswered += 1;
        self.exchange.flush(doing).await?;
        while self.unanswered > 1 {
            match self.answer().await {
                Ok(_) | Err(Error::Server(_)) => {}
                Err(lost) => return Err(lost),
            }
        }
        Ok(())
    }

    /// Reads one command's answer to its end.
    async fn answer(&mut self) -> Result<Vec<Row>, Error> {
        let mut columns: Arc<[String]> = Arc::new([]);
        let mut rows = Vec::new();
        let mut refused = None;
        loop {
            let message = match (self.exchange.receive(QUERY).await, refused.take()) {
                (Ok(message), earlier) => {
                    refused = earlier;
                    message
                }
                // A fatal error is the server's last word; that it then hangs up says nothing new.
                (Err(_), Some(refusal)) => return Err(Error::Server(refusal)),
                (Err(lost), None) => return Err(lost),
            };
            match message {
                BackendMessage::RowDescription(description) => columns = description.names.into(),
                BackendMessage::DataRow(row) => {
                    let values = row
                        .values
                        .iter()
                        .map(|value| value.as_deref().map(text))
                        .collect();
                    rows.push(Row::new(Arc::clone(&columns), values));
                }
                BackendMessage::ErrorResponse(error) => refused = Some(error),
                BackendMessage::CommandComplete { .. } | BackendMessage::EmptyQueryResponse => {}
                BackendMessage::ReadyForQuery(_) => {
                    self.unanswered -= 1;
                    return refused.map_or(Ok(rows), |error| Err(Error::Server(error)));
                }
                other => return Err(other.unexpected("the answer to a simple query").into()),
            }
        }
    }
}

/// The session's encoding is UTF-8; in a database of encoding SQL_ASCII other bytes can come all the same.
fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}
