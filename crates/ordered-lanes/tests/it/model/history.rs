//! What the handler did, and whether it may have.

use std::collections::{BTreeSet, HashMap, HashSet};

/// A record: partition and offset.
pub(crate) type Id = (i32, i64);

/// Every success of the handler, in time.
#[derive(Default)]
pub(crate) struct History {
    /// Records that were dealt with as a whole, each as often as it was.
    completed: Vec<Id>,
    /// Parts that are left of records.
    parts: HashMap<Id, BTreeSet<String>>,
    /// What the store knows to be dealt with.
    settled: HashSet<(Id, Option<String>)>,
}

impl History {
    /// The handler is called.
    pub(crate) fn called(&self, id: Id, part: Option<&str>) {
        let settled = self.settled.contains(&(id, part.map(str::to_owned)));
        assert!(
            !settled,
            "{id:?} {part:?} was on record as dealt with, and is handled again"
        );
    }

    /// It dealt with a record, or a part of one.
    pub(crate) fn succeeded(&mut self, id: Id, part: Option<&str>) {
        match part {
            None => self.completed.push(id),
            Some(part) => {
                let left = self.parts.get_mut(&id).unwrap();
                left.remove(part);
                if left.is_empty() {
                    self.completed.push(id);
                }
            }
        }
    }

    /// It dealt with all of a record but these parts.
    pub(crate) fn partly(&mut self, id: Id, parts: &[&str]) {
        self.parts
            .insert(id, parts.iter().map(ToString::to_string).collect());
    }

    /// The store knows.
    pub(crate) fn settled(&mut self, id: Id, part: Option<&str>) {
        self.settled.insert((id, part.map(str::to_owned)));
    }

    pub(crate) fn len(&self) -> usize {
        self.completed.len()
    }

    pub(crate) fn contains(&self, id: Id) -> bool {
        self.completed.contains(&id)
    }

    /// The order of a key: each record comes first after those before it came first. Without poison it also comes last
    /// before those after it come last: what is repeated is repeated up to its end.
    pub(crate) fn check_order(&self, key: &[Id], poison: bool) {
        let of_key: Vec<Id> = self
            .completed
            .iter()
            .copied()
            .filter(|id| key.contains(id))
            .collect();
        let first = distinct(of_key.iter().copied());
        assert!(
            first.is_sorted(),
            "first successes out of order: {of_key:?}"
        );
        let last = distinct(of_key.iter().rev().copied());
        assert!(
            poison || last.iter().rev().is_sorted(),
            "last successes out of order: {of_key:?}"
        );
    }
}

fn distinct(ids: impl Iterator<Item = Id>) -> Vec<Id> {
    let mut seen = HashSet::new();
    ids.filter(|id| seen.insert(*id)).collect()
}
