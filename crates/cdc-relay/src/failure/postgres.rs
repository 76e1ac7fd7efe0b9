//! From an error of the PostgreSQL side to what the user is told. Whether it is tried again is decided by
//! [`pg_replication::Error::disposition`] alone.

use pg_replication::{Error, ServerError};

use super::{Context, Failure};
use crate::error_code::ErrorCode;

impl Failure {
    /// What to tell about `error`. Every kind of error has its code, cause and remedy here.
    pub(crate) fn from_postgres(error: Error, context: Context<'_>) -> Self {
        let (code, what, remedy) = explain(&error, context);
        Self::new(code, what, remedy).caused_by(error)
    }
}

/// Code, what happened, remedy.
type Told = (ErrorCode, String, String);

fn explain(error: &Error, context: Context<'_>) -> Told {
    let doing = context.doing;
    let target = context.target();
    let setting = context.setting();
    match error {
        Error::InvalidOptions(_) => (
            ErrorCode::InvalidValue,
            format!("the connection string `{setting}` cannot be used"),
            "give a URL such as postgres://relay@localhost:5432/app, with special characters as %XX".to_owned(),
        ),
        Error::Connect { attempts, .. } => match attempts.as_slice() {
            // One host that answered and refused: its own words say more.
            [only] if answered(&only.error) => explain(&only.error, context),
            _ => unreachable(context, "no connection could be made"),
        },
        Error::Tls(_) => (
            ErrorCode::PostgresTls,
            format!("could not {doing}: no encrypted connection to {target} as `sslmode` in `{setting}` asks"),
            format!(
                "check sslmode and sslrootcert in `{setting}`, and the server's ssl settings; sslmode=prefer \
                 falls back to an unencrypted connection"
            ),
        ),
        Error::Authentication { .. } => authentication(context),
        Error::Server(server) => explain_server(server, context),
        Error::PublicationPassedOver(_) => publication_after_slot(context),
        Error::Pooler(_) => (
            ErrorCode::Pooler,
            format!(
                "could not {doing}: what answers at {target} is a connection pooler (such as PgBouncer, pgcat or \
                 Supavisor), which does not pass replication on"
            ),
            format!(
                "let `{setting}` lead to PostgreSQL itself; it usually listens on another port or host than the \
                 pooler (5432 instead of 6432)"
            ),
        ),
        Error::Protocol(_) => unreachable(context, "what answers does not keep to PostgreSQL's protocol"),
        Error::Io { .. } => unreachable(context, "the connection broke"),
        Error::Closed => unreachable(context, "the server closed the connection"),
        Error::Silent { .. } => unreachable(context, "the connection is dead: nothing comes from the server"),
        Error::ServerStopping => unreachable(context, "the server is shutting down"),
        Error::TimedOut { .. } => unreachable(context, "the server did not answer in time"),
        Error::WrongRole { wanted } => (
            ErrorCode::PostgresUnreachable,
            format!("could not {doing}: no server of {target} is {wanted}, as target_session_attrs asks"),
            format!("wait for the failover, or correct the hosts in `{setting}`"),
        ),
        Error::Client(_) => (
            ErrorCode::PostgresRefused,
            format!("could not {doing} at {target}"),
            "see the cause; `cdc-relay doctor` checks the server".to_owned(),
        ),
    }
}

/// True when the error came from a server, so that address and network are in order.
fn answered(error: &Error) -> bool {
    match error {
        Error::Tls(_)
        | Error::Authentication { .. }
        | Error::Server(_)
        | Error::PublicationPassedOver(_)
        | Error::Pooler(_)
        | Error::WrongRole { .. } => true,
        Error::InvalidOptions(_)
        | Error::Connect { .. }
        | Error::Protocol(_)
        | Error::Io { .. }
        | Error::Closed
        | Error::Silent { .. }
        | Error::ServerStopping
        | Error::TimedOut { .. }
        | Error::Client(_) => false,
    }
}

fn explain_server(server: &ServerError, context: Context<'_>) -> Told {
    let doing = context.doing;
    let target = context.target();
    let role = context.role();
    let slot = context.config.relay.slot.as_str();
    // Messages are in the server's language; names in quotes and settings are not.
    let says = |word: &str| {
        let context = server.context.as_deref().unwrap_or_default();
        let detail = server.detail.as_deref().unwrap_or_default();
        server.message.contains(word) || context.contains(word) || detail.contains(word)
    };
    match server.code.as_str() {
        "3D000" => (
            ErrorCode::DatabaseMissing,
            format!("could not {doing}: the database {:?} does not exist ({target})", context.database()),
            format!("correct the database in `{}`, or create it", context.setting()),
        ),
        "42501" => (
            ErrorCode::Privilege,
            format!("could not {doing}: the role {role:?} lacks a privilege ({target})"),
            format!(
                "streaming needs the attribute REPLICATION (ALTER ROLE {role:?} REPLICATION; on a managed server \
                 its replication role), `init` also the owner of the outbox tables"
            ),
        ),
        "55000" if says("wal_level") => (
            ErrorCode::WalLevel,
            format!("could not {doing}: the server {target} does not write what logical decoding needs"),
            "ALTER SYSTEM SET wal_level = 'logical'; then restart PostgreSQL (a managed server has a setting of \
             its own, such as rds.logical_replication)"
                .to_owned(),
        ),
        "55000" | "58P01" => (
            ErrorCode::SlotLost,
            format!("could not {doing}: PostgreSQL no longer has the log that the slot {slot:?} needs ({target})"),
            format!(
                "events between the slot's position and now were not relayed. Drop the slot (SELECT \
                 pg_drop_replication_slot('{slot}')), run `cdc-relay init`, and send what is missing from the outbox \
                 table; a larger max_slot_wal_keep_size prevents it"
            ),
        ),
        "55006" => (
            ErrorCode::SlotInUse,
            format!("could not {doing}: another session streams from the slot {slot:?} ({target})"),
            "a standby waits and takes over by itself; `cdc-relay status` shows who holds the slot".to_owned(),
        ),
        "42704" if says("publication") || says("\"pgoutput\"") => publication_after_slot(context),
        "42704" => (
            ErrorCode::SlotMissing,
            format!("could not {doing}: the replication slot {slot:?} does not exist ({target})"),
            "run `cdc-relay init`, or correct `relay.slot`".to_owned(),
        ),
        "22023" | "0A000" => (
            ErrorCode::SlotForeign,
            format!(
                "could not {doing}: the slot {slot:?} was made for something else: another output plugin, another \
                 database, or physical replication ({target})"
            ),
            "choose another `relay.slot` and run `cdc-relay init`; `cdc-relay doctor` shows what the slot is".to_owned(),
        ),
        "42P01" => (
            ErrorCode::OutboxTableMissing,
            format!("could not {doing}: a table does not exist ({target})"),
            "run `cdc-relay init`, or correct `outbox.tables`".to_owned(),
        ),
        "42703" => (
            ErrorCode::OutboxColumnMissing,
            format!("could not {doing}: a column does not exist ({target})"),
            "correct the column names in section [outbox]".to_owned(),
        ),
        "53300" | "53400" => (
            ErrorCode::NoFreeSlot,
            format!("could not {doing}: no connection, walsender or replication slot is free ({target})"),
            "raise max_replication_slots, max_wal_senders or max_connections, or drop slots that nobody reads \
             (SELECT slot_name FROM pg_replication_slots WHERE NOT active)"
                .to_owned(),
        ),
        code if code.starts_with("28") => authentication(context),
        code if code.starts_with("57P0") || code.starts_with("08") => {
            unreachable(context, "the server is starting, stopping or ended the session")
        }
        _ => (
            ErrorCode::PostgresRefused,
            format!("could not {doing}: {target} refuses"),
            "see the cause, which is the server's; its log says more".to_owned(),
        ),
    }
}

fn publication_after_slot(context: Context<'_>) -> Told {
    let doing = context.doing;
    let target = context.target();
    let slot = context.config.relay.slot.as_str();
    let publication = context.config.relay.publication.as_str();
    (
        ErrorCode::PublicationAfterSlot,
        format!(
            "could not {doing}: the publication {publication:?} does not exist at the position of the slot \
             {slot:?} ({target}). It was created after the slot, or dropped since"
        ),
        format!(
            "a publication must be older than what is read through it. Drop the slot (SELECT \
             pg_drop_replication_slot('{slot}')) and run `cdc-relay init`, which makes both in the right order; \
             events that were written before are not relayed"
        ),
    )
}

fn authentication(context: Context<'_>) -> Told {
    let Context { doing, .. } = context;
    (
        ErrorCode::PostgresAuthentication,
        format!(
            "could not {doing}: {} does not let the role {:?} in",
            context.target(),
            context.role()
        ),
        format!(
            "check role and password in `{}` (or PGPASSWORD), and the server's pg_hba.conf; the role needs LOGIN, and \
             REPLICATION for the outbox's database",
            context.setting()
        ),
    )
}

fn unreachable(context: Context<'_>, why: &str) -> Told {
    let Context { doing, .. } = context;
    (
        ErrorCode::PostgresUnreachable,
        format!("could not {doing}: {why} ({})", context.target()),
        format!(
            "check host and port in `{}`, that PostgreSQL runs and listens there (listen_addresses), and that no \
             firewall is between",
            context.setting()
        ),
    )
}
