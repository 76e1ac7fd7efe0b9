//! PostgreSQL's own client, which throws everything away.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cdc_e2e::database::Session;
use cdc_e2e::wait::{Look, until};
use tokio::process::{Child, Command};

use super::backlog::Filled;
use super::figures::ReferenceRun;
use crate::outbox::{Outbox, Stream};
use crate::walsender::WalsenderClock;

/// Time between two looks at the walsender's clock.
const LOOK: Duration = Duration::from_millis(50);

/// How long the server may take to note what the client confirmed last.
const CONFIRM: Duration = Duration::from_secs(5);

/// Drains the backlog of `stream` with the plugin options that the relay uses.
pub(super) async fn run(
    outbox: &Outbox,
    stream: &Stream,
    backlog: &Filled,
) -> Result<ReferenceRun> {
    let session = outbox.session().await?;
    let slot = stream.slot();
    let mut walsender = WalsenderClock::new(slot);
    let mut command = command(outbox, &session, stream, backlog).await?;
    let started = Instant::now();
    let mut child = command.spawn().context("start pg_recvlogical")?;
    let took = watch(&mut child, started, &mut walsender, &session).await?;
    has_all(&session, slot, backlog).await?;
    Ok(ReferenceRun::new(backlog.rows, took, walsender.used()))
}

/// Waits for the end; the time from `started` to it.
async fn watch(
    child: &mut Child,
    started: Instant,
    walsender: &mut WalsenderClock,
    session: &Session,
) -> Result<Duration> {
    loop {
        match tokio::time::timeout(LOOK, child.wait()).await {
            Ok(status) => {
                let took = started.elapsed();
                let status = status?;
                ensure!(status.success(), "pg_recvlogical: {status}");
                return Ok(took);
            }
            Err(_) => walsender.look(session).await?,
        }
    }
}

/// It confirms what it has read: less than everything would make the relay look better than it is.
async fn has_all(session: &Session, slot: &str, backlog: &Filled) -> Result<()> {
    let query = "SELECT confirmed_flush_lsn >= $2::text::pg_lsn, confirmed_flush_lsn::text
                 FROM pg_replication_slots WHERE slot_name = $1";
    until(CONFIRM, "pg_recvlogical's confirmation", async || {
        let row = session.query_one(query, &[&slot, &backlog.end]).await?;
        let (all, confirmed): (bool, String) = (row.get(0), row.get(1));
        Ok(Look::when(
            all,
            format_args!("{confirmed} of {}", backlog.end),
        ))
    })
    .await
}

async fn command(
    outbox: &Outbox,
    session: &Session,
    stream: &Stream,
    backlog: &Filled,
) -> Result<Command> {
    let query = "SELECT setting FROM pg_config WHERE name = 'BINDIR'";
    let programs: String = session.query_one(query, &[]).await?.get(0);
    let (slot, publication) = (stream.slot(), stream.publication());
    let mut command = Command::new(Path::new(&programs).join("pg_recvlogical"));
    command
        .args(["--start", "--no-loop", "--file=/dev/null"])
        .arg(format!("--dbname={}", outbox.database().url()))
        .arg(format!("--slot={slot}"))
        .arg(format!("--endpos={}", backlog.end))
        .args(["--option=proto_version=1", "--option=messages=true"])
        .arg(format!("--option=publication_names={publication}"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}
