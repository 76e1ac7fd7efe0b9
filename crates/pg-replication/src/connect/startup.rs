//! Opens a replication session over a connection: startup packet, authentication, first idle.

use postgres_protocol::message::frontend;

use super::auth::authenticate;
use super::exchange::Exchange;
use super::stream::Stream;
use crate::backend::BackendMessage;
use crate::error::Error;
use crate::options::ConnectOptions;
use crate::server_error::ServerError;

const DOING: &str = "start the session";

/// The settings that decide how values are written as text, and what a stream's session fixes them to, whatever role
/// and database have set. An SQL session that sets them too gets the same texts.
pub const TEXT_OUTPUT: [(&str, &str); 6] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("TimeZone", "UTC"),
];

/// A session for replication on `stream`, ready for a query.
pub(crate) async fn start(stream: Stream, options: &ConnectOptions) -> Result<Exchange, Error> {
    let end_point = stream.end_point();
    let mut exchange = Exchange::new(stream);
    let mut parameters = vec![
        ("user", options.user()),
        ("database", options.database()),
        ("replication", "database"),
    ];
    parameters.extend(TEXT_OUTPUT);
    // A warning may mean that changes are left out: no role or database may keep it from us.
    parameters.push(("client_min_messages", "warning"));
    parameters.extend(
        options
            .application_name()
            .map(|name| ("application_name", name)),
    );
    parameters.extend(
        options
            .server_options()
            .map(|settings| ("options", settings)),
    );
    exchange.queue(DOING, |buffer| {
        frontend::startup_message(parameters, buffer)
    })?;
    exchange.flush(DOING).await?;
    authenticate(&mut exchange, options, end_point)
        .await
        .map_err(explain_pooler)?;
    loop {
        match exchange
            .receive_success(DOING)
            .await
            .map_err(explain_pooler)?
        {
            BackendMessage::BackendKeyData | BackendMessage::NegotiateProtocolVersion { .. } => {}
            BackendMessage::ReadyForQuery(_) => return Ok(exchange),
            other => return Err(other.unexpected("ReadyForQuery").into()),
        }
    }
}

/// PostgreSQL has no error of this text; PgBouncer and its relatives answer so to `replication` and to most
/// settings.
fn explain_pooler(error: Error) -> Error {
    let is_pooler = |error: &ServerError| {
        error
            .message
            .to_ascii_lowercase()
            .contains("unsupported startup parameter")
    };
    match error {
        Error::Server(error) if is_pooler(&error) => Error::Pooler(error),
        other => other,
    }
}
