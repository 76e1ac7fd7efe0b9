//! Carrying out a transaction on a connection.

use anyhow::Result;
use tokio_postgres::{Statement, Transaction as Sql};

use super::transaction::{Entry, Plan, Steps};
use crate::database::{DatabaseUrl, Session};
use crate::event::{Event, RunId};

/// The table that stands for the application's own data. A transaction's row in it tells whether it was committed.
pub(crate) const MARKERS: &str = "CREATE TABLE application_change (id text PRIMARY KEY)";

const MARK: &str = "INSERT INTO application_change VALUES ($1)";

const INSERT: &str = "INSERT INTO cdc.outbox (id, aggregatetype, aggregateid, type, payload)
     VALUES ($1::text::uuid, $2, $3, $4, $5::text::json)";

const EMIT: &str = "SELECT cdc.emit($2, $3, $4, $5::text::json, NULL, $1::text::uuid)";

const MESSAGE: &str = "SELECT cdc.emit_message($2, $3, $4, $5::text::json, NULL, $1::text::uuid)";

/// Renders ids, keys and payloads as `Event` does. $1 run, $2 first key, $3 last numbers per key, $4 number of events.
const BULK: &str = r#"
    INSERT INTO cdc.outbox (id, aggregatetype, aggregateid, type, payload)
    SELECT ($1 || '-' || lpad(to_hex(key), 4, '0') || '-4000-8000-' || lpad(to_hex(seq), 12, '0'))::uuid,
           CASE key % 2 WHEN 0 THEN 'order' ELSE 'payment' END,
           'k' || key,
           'committed',
           ('{"key":"k' || key || '",  "seq":' || seq || ',"fate":"committed", "note":"na\u00efve café ✓", "amount":1.50}')::json
    FROM generate_series(0, $4::bigint - 1) AS n,
         LATERAL (SELECT ($2::int + n % cardinality($3::bigint[]))::int AS key,
                         ($3::bigint[])[n % cardinality($3::bigint[]) + 1] + n / cardinality($3::bigint[]) + 1 AS seq) AS event
    ORDER BY n"#;

/// A session with its statements prepared.
#[derive(Debug)]
pub(super) struct Connection {
    session: Session,
    mark: Statement,
    insert: Statement,
    emit: Statement,
    message: Statement,
}

impl Connection {
    pub(super) async fn open(url: &DatabaseUrl, application_name: &str) -> Result<Self> {
        let session = Session::open_as(url, application_name).await?;
        let mark = session.prepare(MARK).await?;
        let insert = session.prepare(INSERT).await?;
        let emit = session.prepare(EMIT).await?;
        let message = session.prepare(MESSAGE).await?;
        Ok(Self {
            session,
            mark,
            insert,
            emit,
            message,
        })
    }

    /// Carries out `plan`. After an error the transaction may have been committed or not.
    pub(super) async fn carry_out(
        &mut self,
        run: RunId,
        plan: &Plan,
    ) -> Result<(), tokio_postgres::Error> {
        let enter = match plan.entry {
            Entry::Insert => &self.insert,
            Entry::Emit => &self.emit,
            Entry::Message => &self.message,
        };
        let mut sql = self.session.transaction().await?;
        sql.execute(&self.mark, &[&plan.marker]).await?;
        match &plan.steps {
            Steps::Commit(events) => write(&sql, enter, run, events).await?,
            Steps::RollBack(events) => {
                write(&sql, enter, run, events).await?;
                return sql.rollback().await;
            }
            Steps::Savepoint {
                before,
                undone,
                after,
            } => {
                write(&sql, enter, run, before).await?;
                let savepoint = sql.savepoint("undo").await?;
                write(&savepoint, enter, run, undone).await?;
                savepoint.rollback().await?;
                write(&sql, enter, run, after).await?;
            }
            Steps::Bulk {
                first_key,
                last,
                events,
            } => {
                let last: Vec<i64> = last.iter().map(|seq| seq.cast_signed()).collect();
                let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
                let first_key = i32::from(first_key.0);
                sql.execute(BULK, &[&run.to_string(), &first_key, &last, &count])
                    .await?;
            }
        }
        sql.commit().await
    }
}

async fn write(
    sql: &Sql<'_>,
    enter: &Statement,
    run: RunId,
    events: &[Event],
) -> Result<(), tokio_postgres::Error> {
    for event in events {
        let (aggregate, kind) = (event.key.aggregate().name(), event.fate.name());
        sql.query(
            enter,
            &[
                &event.id(run),
                &aggregate,
                &event.key.to_string(),
                &kind,
                &event.payload(),
            ],
        )
        .await?;
    }
    Ok(())
}
