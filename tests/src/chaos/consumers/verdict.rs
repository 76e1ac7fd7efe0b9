//! What became of every event.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Result, ensure};

use super::events::id;

/// Records in retry topics for each event, at most: what a killed consumer held waits for its lease, a few seconds at a
/// time. More of them are copies of copies, which multiply with each kill.
const RETRIED: i64 = 10;

/// How many broken promises are shown.
const SHOWN: usize = 10;

/// What the receiver and the database say.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) events: u32,
    /// At least once: how often the endpoint said yes.
    pub(super) delivered: BTreeMap<String, usize>,
    /// At least once: how many open failures there are.
    pub(super) open: BTreeMap<String, i64>,
    /// At most once: how often the endpoint said yes.
    pub(super) once: BTreeMap<String, usize>,
    /// At most once: what is recorded as delivered.
    pub(super) recorded: BTreeSet<String>,
    /// At most once: what is listed as doubtful.
    pub(super) doubtful: BTreeSet<String>,
}

/// What was promised, and what was seen.
#[derive(Debug)]
pub struct ConsumerVerdict {
    events: u32,
    kills: u32,
    succeeded: usize,
    open: usize,
    copies: usize,
    allowed_copies: usize,
    doubtful: usize,
    retried: i64,
    broken: Vec<String>,
}

impl Settled {
    /// Events that are neither delivered nor failed, at one endpoint or the other.
    pub(super) fn undecided(&self) -> Vec<String> {
        let ids = (1..=self.events).map(id);
        ids.filter(|id| {
            let at_least_once = self.delivered.contains_key(id) || self.open.contains_key(id);
            let at_most_once = self.recorded.contains(id) || self.doubtful.contains(id);
            !(at_least_once && at_most_once)
        })
        .collect()
    }
}

impl ConsumerVerdict {
    /// `retried` is how many records the retry topics have got; `refused` says which numbers the endpoint refuses for good;
    /// `in_flight` is how many requests a kill can hit.
    pub(super) fn of(
        seen: &Settled,
        retried: i64,
        kills: u32,
        in_flight: usize,
        refused: impl Fn(u32) -> bool,
    ) -> Self {
        let mut broken = Vec::new();
        for number in 1..=seen.events {
            let id = id(number);
            let open = seen.open.get(&id).copied().unwrap_or_default();
            match (seen.delivered.contains_key(&id), open) {
                (true, 0) if refused(number) => broken.push(format!("{id} is refused, and heard")),
                (true, 0) | (false, 1) => {}
                (true, open) => broken.push(format!("{id} is delivered and {open} times open")),
                (false, 0) => broken.push(format!("{id} is neither delivered nor open")),
                (false, open) => broken.push(format!("{id} is {open} times open")),
            }
            let said = (seen.recorded.contains(&id), seen.doubtful.contains(&id));
            if said.0 == said.1 {
                broken.push(format!(
                    "{id}, at most once: delivered {}, doubtful {}",
                    said.0, said.1
                ));
            }
            if seen.once.get(&id).is_some_and(|times| *times > 1) {
                broken.push(format!("{id}, at most once, was heard more than once"));
            }
            if said.0 && !seen.once.contains_key(&id) {
                broken.push(format!(
                    "{id}, at most once, is recorded and was never heard"
                ));
            }
        }
        let copies = seen.delivered.values().map(|times| times - 1).sum();
        let allowed_copies = in_flight * kills as usize;
        if copies > allowed_copies {
            broken.push(format!(
                "{copies} copies, where {allowed_copies} could be in flight"
            ));
        }
        if retried > RETRIED * i64::from(seen.events) {
            broken.push(format!("{retried} records in the retry topics"));
        }
        Self {
            events: seen.events,
            retried,
            kills,
            succeeded: seen.delivered.len(),
            open: seen.open.len(),
            copies,
            allowed_copies,
            doubtful: seen.doubtful.len(),
            broken,
        }
    }

    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.broken.is_empty()
    }

    /// Events that ended as an open failure, and deliveries that are in doubt.
    pub fn failures(&self) -> (usize, usize) {
        (self.open, self.doubtful)
    }

    /// # Errors
    /// Fails unless every promise was kept; the error is the whole verdict.
    pub fn require_clean(&self) -> Result<()> {
        ensure!(self.is_clean(), "{self}");
        Ok(())
    }
}

impl fmt::Display for ConsumerVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            events,
            kills,
            succeeded,
            open,
            copies,
            allowed_copies,
            doubtful,
            retried,
            broken,
        } = self;
        writeln!(
            f,
            "  {events} events, consumers killed {kills} times: {succeeded} delivered, {open} open failures;\n  \
             {copies} copies by the same webhook-id ({allowed_copies} allowed); at most once: {doubtful} in doubt, none twice;\n  {retried} records in retry topics"
        )?;
        if broken.is_empty() {
            return write!(
                f,
                "  every event is in exactly one of the two, none is lost"
            );
        }
        write!(f, "  {} promises broken:", broken.len())?;
        for what in broken.iter().take(SHOWN) {
            write!(f, "\n    {what}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One event, delivered once at both endpoints.
    fn well() -> Settled {
        Settled {
            events: 1,
            delivered: BTreeMap::from([(id(1), 1)]),
            open: BTreeMap::new(),
            once: BTreeMap::from([(id(1), 1)]),
            recorded: BTreeSet::from([id(1)]),
            doubtful: BTreeSet::new(),
        }
    }

    fn broken<T>(change: impl FnOnce(&mut Settled) -> T) -> usize {
        let mut settled = well();
        change(&mut settled);
        ConsumerVerdict::of(&settled, 0, 1, 1, |_| false)
            .broken
            .len()
    }

    #[test]
    fn finds_what_is_lost_doubled_or_in_both() {
        assert_eq!(broken(|_| {}), 0);
        assert_eq!(broken(|seen| seen.delivered.remove(&id(1))), 1);
        assert_eq!(broken(|seen| seen.open.insert(id(1), 1)), 1);
        assert_eq!(broken(|seen| seen.recorded.remove(&id(1))), 1);
        assert_eq!(broken(|seen| seen.doubtful.insert(id(1))), 1);
        assert_eq!(broken(|seen| seen.once.insert(id(1), 2)), 1);
        assert_eq!(broken(|seen| seen.once.remove(&id(1))), 1);
        assert_eq!(broken(|seen| seen.delivered.insert(id(1), 3)), 1);
        let twice = |seen: &mut Settled| {
            seen.delivered.clear();
            seen.open.insert(id(1), 2);
        };
        assert_eq!(broken(twice), 1);
    }

    #[test]
    fn a_copy_of_what_was_in_flight_at_a_kill_is_allowed() {
        assert_eq!(broken(|seen| seen.delivered.insert(id(1), 2)), 0);
    }

    #[test]
    fn knows_what_is_not_decided_yet() {
        let mut settled = well();
        assert!(settled.undecided().is_empty());
        settled.events = 2;
        assert_eq!(settled.undecided(), [id(2)]);
    }
}
