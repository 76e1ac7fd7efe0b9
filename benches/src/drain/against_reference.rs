//! The relay, in both ways of delivery, against PostgreSQL's own client.

use anyhow::Result;

use super::backlog::{Backlog, Form};
use super::figures::{DrainFigures, Round};
use super::rounds::Rounds;
use super::{Bench, reference, relay_run};
use crate::outbox::{Delivery, Outbox, Stream};
use crate::report::Figures;

/// The slots of one round. Each sees the whole backlog.
struct Slots {
    reference: Stream,
    at_least_once: Stream,
    exactly_once: Stream,
}

impl Bench<'_> {
    /// Fills the outbox, then lets the reference and both kinds of relay take turns, each on a slot of its own.
    pub(super) async fn against_reference(&self) -> Result<Figures> {
        let outbox = Outbox::create(self.services, self.case.payload()).await?;
        let mut slots = Vec::new();
        for round in self.all_rounds() {
            slots.push(Slots::add(&outbox, round).await?);
        }
        let backlog = Backlog {
            form: Form::Row,
            rows: self.rows,
            rows_per_transaction: self.case.rows_per_transaction(),
        };
        let filled = backlog
            .fill(&outbox, |rows| {
                self.now(&format!("filling, {rows} rows"));
            })
            .await?;
        let (mut order, mut rounds) = (Rounds::new(self.services, self.rounds)?, Vec::new());
        for slots in slots {
            let Some(round) = order.next()? else { break };
            self.now("pg_recvlogical");
            let reference = reference::run(&outbox, &slots.reference, &filled).await?;
            self.note(round, "pg_recvlogical", reference.rows_per_second);
            self.now("at least once");
            let streams = [slots.at_least_once];
            let at_least_once = relay_run::run(self.services, &outbox, &streams, &filled).await?;
            self.note(round, "at least once", at_least_once.rows_per_second);
            self.now("exactly once");
            let streams = [slots.exactly_once];
            let exactly_once = relay_run::run(self.services, &outbox, &streams, &filled).await?;
            self.note(round, "exactly once", exactly_once.rows_per_second);
            if round.counts() {
                rounds.push(Round {
                    reference,
                    at_least_once,
                    exactly_once,
                });
            }
        }
        outbox.remove().await?;
        Ok(DrainFigures::new(&backlog, self.case, rounds).into())
    }
}

impl Slots {
    async fn add(outbox: &Outbox, round: u32) -> Result<Self> {
        let stream =
            |purpose: &str, delivery| outbox.stream(&format!("{purpose}_{round}"), delivery);
        let slots = Self {
            reference: stream("reference", Delivery::AtLeastOnce),
            at_least_once: stream("at_least_once", Delivery::AtLeastOnce),
            exactly_once: stream("exactly_once", Delivery::ExactlyOnce),
        };
        outbox.add_slot(&slots.reference).await?;
        outbox.add_slot(&slots.at_least_once).await?;
        outbox.add_slot(&slots.exactly_once).await?;
        Ok(slots)
    }
}
