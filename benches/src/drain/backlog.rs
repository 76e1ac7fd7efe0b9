//! The events that wait in the log when the clock starts.

use anyhow::{Result, ensure};
use cdc_e2e::database::Session;

use crate::outbox::Outbox;

/// Length of a payload in bytes, as PostgreSQL sends it.
pub(crate) const PAYLOAD_BYTES: i32 = 489;

/// Different keys.
pub(super) const KEYS: u32 = 1000;

/// In how many steps the table is filled, for the progress to move.
const STEPS: u32 = 10;

/// How an application writes an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As a row of the outbox.
    Row,
    /// As a logical message, by `cdc.emit_message`.
    Message,
}

/// What to write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backlog {
    pub(super) form: Form,
    /// Rows, or messages, in all.
    pub(super) rows: u32,
    /// Rows in each transaction; the last may have fewer.
    pub(super) rows_per_transaction: u32,
}

/// A backlog that is in the log.
#[derive(Debug)]
pub(super) struct Filled {
    /// Rows in it.
    pub(super) rows: u32,
    /// The end of its last commit record, as PostgreSQL prints it.
    pub(super) end: String,
}

impl Backlog {
    /// Commits the rows and has the server write everything to disk, so that it has nothing else to do afterwards.
    /// `written` is told now and then how many rows there are.
    pub(super) async fn fill(self, outbox: &Outbox, written: impl Fn(u32)) -> Result<Filled> {
        let session = outbox.session().await?;
        session.batch_execute(&payload_function()).await?;
        session.batch_execute(&self.procedure()).await?;
        // Only the fill is quicker for it: what is in the log is the same.
        session
            .batch_execute("SET synchronous_commit = off")
            .await?;
        let step = self.step();
        let mut first = 1;
        while first <= self.rows {
            let last = self.rows.min(first + step - 1);
            // Alone in its message: only then may the procedure commit.
            session
                .batch_execute(&format!(
                    "CALL fill({first}, {last}, {})",
                    self.rows_per_transaction
                ))
                .await?;
            written(last);
            first = last + 1;
        }
        // The log's end is asked for first: the checkpoint adds records of its own.
        let query = "SELECT pg_current_wal_insert_lsn()::text";
        let end = session.query_one(query, &[]).await?.get(0);
        session.batch_execute("CHECKPOINT").await?;
        self.check_payload(&session).await?;
        Ok(Filled {
            rows: self.rows,
            end,
        })
    }

    /// Rows to write at a time: whole transactions.
    fn step(self) -> u32 {
        let transactions = self.rows.div_ceil(self.rows_per_transaction);
        transactions.div_ceil(STEPS) * self.rows_per_transaction
    }

    /// `fill(first, last, rows_per_transaction)`.
    fn procedure(self) -> String {
        let write = match self.form {
            Form::Row => format!(
                "INSERT INTO cdc.outbox (aggregatetype, aggregateid, type, payload)
                 SELECT 'order', (n % {KEYS})::text, 'OrderPlaced', payload(n)"
            ),
            Form::Message => format!(
                "PERFORM cdc.emit_message('order', (n % {KEYS})::text, 'OrderPlaced', payload(n))"
            ),
        };
        format!(
            "CREATE PROCEDURE fill(first integer, last integer, rows_per_transaction integer) LANGUAGE plpgsql AS $$
             BEGIN
               FOR start IN first..last BY rows_per_transaction LOOP
                 {write} FROM generate_series(start, least(start + rows_per_transaction - 1, last)) AS n;
                 COMMIT;
               END LOOP;
             END $$"
        )
    }

    async fn check_payload(self, session: &Session) -> Result<()> {
        let payloads = match self.form {
            Form::Row => "SELECT payload FROM cdc.outbox LIMIT 1000",
            Form::Message => "SELECT payload(n) FROM generate_series(1, 1000) AS n",
        };
        let query = format!(
            "SELECT min(length), max(length) FROM
             (SELECT octet_length(payload::text) AS length FROM ({payloads}) AS payloads) AS lengths"
        );
        let row = session.query_one(&query, &[]).await?;
        let (shortest, longest): (i32, i32) = (row.get(0), row.get(1));
        ensure!(
            shortest == PAYLOAD_BYTES && longest == PAYLOAD_BYTES,
            "payloads have {shortest} to {longest} bytes instead of {PAYLOAD_BYTES}"
        );
        Ok(())
    }
}

/// `payload(n)`. The payloads differ, their length does not.
fn payload_function() -> String {
    let document = r#"{"order":"%1$s","customer":"C%2$s","currency":"EUR","total":129.50,
        "deliver_to":{"name":"Ada Example","street":"%2$s Station Road","postcode":"%1$s"},
        "lines":[{"article":"A-%1$s","count":2,"price":19.75,"text":"Kettle, black"},
                 {"article":"B-%2$s","count":1,"price":60.00,"text":"Lamp, copper"},
                 {"article":"C-%3$s","count":3,"price":10.00,"text":"Cup, large"}],
        "note":"%3$s"}"#;
    format!(
        "CREATE FUNCTION payload(n integer) RETURNS jsonb LANGUAGE sql AS $$
         SELECT format('{document}', lpad(n::text, 10, '0'), lpad((n % 9973)::text, 4, '0'), md5(n::text))::jsonb $$"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_whole_transactions() {
        let step = |rows, rows_per_transaction| {
            Backlog {
                form: Form::Row,
                rows,
                rows_per_transaction,
            }
            .step()
        };
        assert_eq!(step(1_000_000, 1000), 100_000);
        assert_eq!(step(100_500, 1000), 11_000);
        assert_eq!(step(5, 1), 1);
        assert_eq!(step(1, 1000), 1000);
    }
}
