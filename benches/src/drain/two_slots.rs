//! Two relays, each with half of the keys, against one with all of them.

use anyhow::Result;

use super::backlog::{Backlog, Form};
use super::comparison::{ComparisonFigures, ComparisonRound, Pair};
use super::rounds::Rounds;
use super::{Bench, relay_run};
use crate::outbox::{Delivery, Half, Outbox, Stream};
use crate::report::Figures;

/// The slots of one round.
struct Slots {
    /// Sees the whole backlog.
    one: Stream,
    /// See it together.
    two: [Stream; 2],
}

impl Bench<'_> {
    /// Fills the outbox, then drains it with one relay and with two at once in turns.
    pub(super) async fn two_slots(&self) -> Result<Figures> {
        let outbox = Outbox::create(self.services, self.case.payload()).await?;
        for half in Half::BOTH {
            outbox.publish(half).await?;
        }
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
            self.now("one slot");
            let baseline = relay_run::run(self.services, &outbox, &[slots.one], &filled).await?;
            self.note(round, "one slot", baseline.rows_per_second);
            self.now("two slots");
            let candidate = relay_run::run(self.services, &outbox, &slots.two, &filled).await?;
            self.note(round, "two slots", candidate.rows_per_second);
            if round.counts() {
                rounds.push(ComparisonRound {
                    baseline,
                    candidate,
                });
            }
        }
        outbox.remove().await?;
        let pair = Pair {
            case: self.case,
            rows: self.rows,
            baseline: "one slot",
            candidate: "two slots",
        };
        Ok(ComparisonFigures::new(pair, Delivery::ExactlyOnce, rounds).into())
    }
}

impl Slots {
    async fn add(outbox: &Outbox, round: u32) -> Result<Self> {
        let one = outbox.stream(&format!("one_{round}"), Delivery::ExactlyOnce);
        let half = |half| outbox.stream_of(half, &format!("two_{round}"), Delivery::ExactlyOnce);
        let [even, odd] = Half::BOTH.map(half);
        let odd = odd.beside(&even);
        let slots = Self {
            one,
            two: [even, odd],
        };
        outbox.add_slot(&slots.one).await?;
        for half in &slots.two {
            outbox.add_slot(half).await?;
        }
        Ok(slots)
    }
}
