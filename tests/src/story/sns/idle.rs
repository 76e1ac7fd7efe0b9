//! How busy a database is that has nothing to do.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep_until};

use crate::database::{Database, Session};

/// A session tells its last transactions when it has been idle for 10 s.
const SETTLE: Duration = Duration::from_secs(13);

/// For how long transactions are counted. One more or less at its ends must not matter.
const WATCHED: Duration = Duration::from_secs(12);

/// Its workers' transactions count as those of the database, a dozen at a time, and nobody is to blame for them.
const NO_AUTOVACUUM: [&str; 2] = [
    "ALTER SYSTEM SET autovacuum = off",
    "SELECT pg_reload_conf()",
];
const AUTOVACUUM: [&str; 2] = ["ALTER SYSTEM RESET autovacuum", "SELECT pg_reload_conf()"];

const COUNT: &str = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1";

/// Transactions a second in each of the databases, while nobody does anything.
///
/// # Errors
/// Fails if the server is down.
pub(super) async fn idle(databases: &[&Database; 3]) -> Result<[f64; 3]> {
    // Asked from another database: the questions are not to count.
    let server = databases[0].url().with_database("postgres");
    let session = Session::open(&server).await?;
    for statement in NO_AUTOVACUUM {
        session.batch_execute(statement).await?;
    }
    let start = Instant::now() + SETTLE;
    sleep_until(start).await;
    let before = counts(&session, databases).await?;
    sleep_until(start + WATCHED).await;
    let after = counts(&session, databases).await?;
    for statement in AUTOVACUUM {
        session.batch_execute(statement).await?;
    }
    let rate = |index: usize| (after[index] - before[index]) as f64 / WATCHED.as_secs_f64();
    Ok([rate(0), rate(1), rate(2)])
}

async fn counts(session: &Session, databases: &[&Database; 3]) -> Result<[i64; 3]> {
    let mut counts = [0; 3];
    for (count, database) in counts.iter_mut().zip(databases) {
        *count = session.query_one(COUNT, &[&database.name()]).await?.get(0);
    }
    Ok(counts)
}
