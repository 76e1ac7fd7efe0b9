//! Events that are logical messages against the same events as rows.

use anyhow::Result;

use super::backlog::{Backlog, Filled, Form};
use super::comparison::{ComparisonFigures, ComparisonRound, Pair};
use super::rounds::{Round, Rounds};
use super::{Bench, relay_run};
use crate::outbox::{Delivery, Outbox, Stream};
use crate::report::Figures;

/// A database with a backlog of one form, and a slot for each round.
struct Side {
    outbox: Outbox,
    streams: Vec<Stream>,
    filled: Filled,
}

impl Bench<'_> {
    /// Fills a database with rows and another with messages, then drains them in turns.
    pub(super) async fn messages(&self) -> Result<Figures> {
        // One after the other: the slots of the second begin behind the log of the first.
        let rows = self.side(Form::Row).await?;
        let messages = self.side(Form::Message).await?;
        let (mut order, mut rounds) = (Rounds::new(self.services, self.rounds)?, Vec::new());
        for streams in rows.streams.iter().zip(&messages.streams) {
            let Some(round) = order.next()? else { break };
            let baseline = self.drain(round, "rows", &rows, streams.0).await?;
            let candidate = self.drain(round, "messages", &messages, streams.1).await?;
            if round.counts() {
                rounds.push(ComparisonRound {
                    baseline,
                    candidate,
                });
            }
        }
        rows.outbox.remove().await?;
        messages.outbox.remove().await?;
        Ok(ComparisonFigures::new(self.pair(), Delivery::ExactlyOnce, rounds).into())
    }

    fn pair(&self) -> Pair {
        Pair {
            case: self.case,
            rows: self.rows,
            baseline: "rows of the outbox",
            candidate: "logical messages",
        }
    }

    async fn side(&self, form: Form) -> Result<Side> {
        let outbox = Outbox::create(self.services, self.case.payload()).await?;
        let mut streams = Vec::new();
        for round in self.all_rounds() {
            let stream = outbox.stream(&format!("relay_{round}"), Delivery::ExactlyOnce);
            outbox.add_slot(&stream).await?;
            streams.push(stream);
        }
        let backlog = Backlog {
            form,
            rows: self.rows,
            rows_per_transaction: self.case.rows_per_transaction(),
        };
        let filled = backlog
            .fill(&outbox, |rows| {
                self.now(&format!("filling, {rows} of {form:?}"));
            })
            .await?;
        Ok(Side {
            outbox,
            streams,
            filled,
        })
    }

    async fn drain(
        &self,
        round: Round,
        what: &str,
        side: &Side,
        stream: &Stream,
    ) -> Result<super::RelayRun> {
        self.now(what);
        let streams = std::slice::from_ref(stream);
        let run = relay_run::run(self.services, &side.outbox, streams, &side.filled).await?;
        self.note(round, what, run.rows_per_second);
        Ok(run)
    }
}
