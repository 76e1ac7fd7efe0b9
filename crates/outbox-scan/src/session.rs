//! The session of a scan: its settings, and the transaction that it reads in.

use pg_replication::{
    Client, ConnectOptions, Error as PostgresError, SqlState, TEXT_OUTPUT, connect_client,
    quote_literal,
};

use crate::error::Error;
use crate::plan::View;
use crate::snapshot::{Snapshot, take_snapshot};

const DOING: &str = "open a scan";

/// Rows come all of them, and for as long as it takes. A setting that this version of PostgreSQL does
/// not have is left alone.
const SETTINGS: [(&str, &str); 8] = [
    ("max_parallel_workers_per_gather", "0"),
    ("jit", "off"),
    // Rows that a policy hides become an error in place of a loss.
    ("row_security", "off"),
    ("statement_timeout", "0"),
    ("transaction_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    // A scan that was dropped must not go on reading in the server.
    ("client_connection_check_interval", "5s"),
];

/// A session in a read-only transaction.
#[derive(Debug)]
pub(crate) struct ScanSession {
    pub(crate) client: Client,
    /// What the transaction sees.
    pub(crate) own: Snapshot,
}

impl ScanSession {
    pub(crate) async fn open(options: &ConnectOptions, view: &View) -> Result<Self, Error> {
        let failed = |source: PostgresError| Error::Postgres {
            doing: DOING,
            source,
        };
        let client = connect_client(options).await.map_err(failed)?;
        client
            .batch_execute(&settings())
            .await
            .map_err(|error| failed(error.into()))?;
        client
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .map_err(|error| failed(error.into()))?;
        if let View::Exported(name) = view {
            let import = format!("SET TRANSACTION SNAPSHOT {}", quote_literal(name));
            client
                .batch_execute(&import)
                .await
                .map_err(|error| explain_import(name, error.into()))?;
        }
        let own = take_snapshot(&client).await?;
        Ok(Self { client, own })
    }
}

fn settings() -> String {
    let all = TEXT_OUTPUT.iter().chain(&SETTINGS);
    let list: Vec<String> = all
        .map(|(name, value)| format!("({}, {})", quote_literal(name), quote_literal(value)))
        .collect();
    format!(
        "SELECT pg_catalog.set_config(s.name, v.value, false) \
         FROM (VALUES {}) AS v (name, value) JOIN pg_catalog.pg_settings AS s ON s.name = v.name",
        list.join(", ")
    )
}

/// 22023 for what is not a snapshot's name, or (before PostgreSQL 17) no longer one; 42704 since then.
fn explain_import(name: &str, source: PostgresError) -> Error {
    let code = source.sql_state();
    let gone = code == SqlState::parse("22023") || code == Some(SqlState::UNDEFINED_OBJECT);
    if gone {
        Error::SnapshotGone {
            name: name.to_owned(),
            source,
        }
    } else {
        Error::Postgres {
            doing: "import the snapshot",
            source,
        }
    }
}
