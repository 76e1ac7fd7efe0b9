//! What the handler did, and whether it may have.

use std::collections::{BTreeSet, HashMap, HashSet};

/// A record: its partition, and its number in it.
pub type Id = (i32, i64);

/// Every success of the handler, in time.
#[derive(Debug, Default)]
pub struct History {
    /// Records that were dealt with as a whole, each as often as it was.
    completed: Vec<Id>,
    /// The same, each once.
    ever: HashSet<Id>,
    /// Parts that are left of records.
    parts: HashMap<Id, BTreeSet<String>>,
    /// What is on record as dealt with.
    settled: HashSet<(Id, Option<String>)>,
}

impl History {
    /// The handler is called.
    ///
    /// # Panics
    ///
    /// It may not be: what it is called for is [`settled`](Self::settled).
    pub fn called(&self, id: Id, part: Option<&str>) {
        let settled = self.settled.contains(&(id, part.map(str::to_owned)));
        assert!(
            !settled,
            "{id:?} {part:?} was on record as dealt with, and is handled again"
        );
    }

    /// It dealt with a record, or a part of one.
    pub fn succeeded(&mut self, id: Id, part: Option<&str>) {
        if let Some(part) = part {
            let left = self.parts.entry(id).or_default();
            left.remove(part);
            if !left.is_empty() {
                return;
            }
        }
        self.completed.push(id);
        self.ever.insert(id);
    }

    /// It dealt with all of a record but these parts.
    pub fn partly(&mut self, id: Id, parts: &[&str]) {
        let left = parts.iter().map(ToString::to_string).collect();
        self.parts.insert(id, left);
    }

    /// That it dealt with this is on record: it may not be called for it again.
    pub fn settled(&mut self, id: Id, part: Option<&str>) {
        self.settled.insert((id, part.map(str::to_owned)));
    }

    /// How often it dealt with a record.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.completed.len()
    }

    /// Whether it dealt with none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.completed.is_empty()
    }

    /// Whether it dealt with all of a record.
    #[must_use]
    pub fn contains(&self, id: Id) -> bool {
        self.ever.contains(&id)
    }

    /// The parts of a record that it has not dealt with; none if it never did with some of them only.
    pub fn left(&self, id: Id) -> impl Iterator<Item = &str> {
        let left = self.parts.get(&id).into_iter().flatten();
        left.map(String::as_str)
    }

    /// The order of a key: each record comes first after those before it came first. It also comes last before
    /// those after it come last: what is repeated is repeated up to the end, unless that may break off.
    ///
    /// # Panics
    ///
    /// The order was another.
    pub fn check_order(&self, key: &[Id], may_break_off: bool) {
        let completed = self.completed.iter().copied();
        let of_key: Vec<Id> = completed.filter(|id| key.contains(id)).collect();
        let first = distinct(of_key.iter().copied());
        assert!(
            first.is_sorted(),
            "first successes out of order: {of_key:?}"
        );
        let last = distinct(of_key.iter().rev().copied());
        assert!(
            may_break_off || last.iter().rev().is_sorted(),
            "last successes out of order: {of_key:?}"
        );
    }
}

fn distinct(ids: impl Iterator<Item = Id>) -> Vec<Id> {
    let mut seen = HashSet::new();
    ids.filter(|id| seen.insert(*id)).collect()
}
