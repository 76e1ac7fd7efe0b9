//! What became of each record, and what may be done with it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cdc_event::DeadHead;
use order_model::{History, Id};

/// What became of each record.
pub(crate) struct Ledger {
    policy: DeadHead,
    pub(crate) history: History,
    key_of: HashMap<Id, Vec<u8>>,
    keys: BTreeMap<Vec<u8>, Vec<Id>>,
    /// Which parts, or all of it.
    given_up: HashMap<Id, BTreeSet<Option<String>>>,
    discarded: HashMap<Id, BTreeSet<Option<String>>>,
    replayed: HashSet<Id>,
    /// What happened, for whoever looks for a fault.
    story: Vec<String>,
}

impl Ledger {
    pub(crate) fn new(policy: DeadHead) -> Self {
        Self {
            policy,
            history: History::default(),
            key_of: HashMap::new(),
            keys: BTreeMap::new(),
            given_up: HashMap::new(),
            discarded: HashMap::new(),
            replayed: HashSet::new(),
            story: Vec::new(),
        }
    }

    /// A record is in the source, behind all others of its key.
    pub(crate) fn add(&mut self, id: Id, key: Option<&[u8]>) {
        if let Some(key) = key {
            self.key_of.insert(id, key.to_vec());
            self.keys.entry(key.to_vec()).or_default().push(id);
        }
    }

    /// A record was never read, and never will be.
    pub(crate) fn remove(&mut self, id: Id) {
        if let Some(key) = self.key_of.remove(&id) {
            self.keys
                .get_mut(&key)
                .unwrap()
                .retain(|other| *other != id);
        }
    }

    pub(crate) fn note(&mut self, what: String) {
        self.story.push(what);
    }

    /// Nobody may be called for a record before those before it are over.
    pub(crate) fn called(&mut self, id: Id, part: Option<&str>) {
        self.note(format!("call {id:?} {part:?}"));
        if self.policy != DeadHead::Hold && self.replayed.contains(&id) {
            return;
        }
        for earlier in self.before(id) {
            assert!(
                self.is_over(earlier),
                "{id:?} does not wait for {earlier:?}"
            );
        }
    }

    pub(crate) fn gave_up(&mut self, id: Id, part: Option<&str>) {
        self.note(format!("give up {id:?} {part:?}"));
        let parts = self.given_up.entry(id).or_default();
        parts.insert(part.map(str::to_owned));
    }

    /// Somebody is about to give it up for good.
    pub(crate) fn discards(&mut self, id: Id, part: Option<&str>) {
        self.note(format!("discard {id:?} {part:?}"));
        let parts = self.discarded.entry(id).or_default();
        parts.insert(part.map(str::to_owned));
    }

    /// Somebody is about to bring it back; how often that is done is not known.
    pub(crate) fn replays(&mut self, id: Id) {
        self.note(format!("replay {id:?}"));
        self.replayed.insert(id);
    }

    pub(crate) fn is_replayed(&self, id: Id) -> bool {
        self.replayed.contains(&id)
    }

    /// Whether those behind it may go on.
    pub(crate) fn is_over(&self, id: Id) -> bool {
        self.history.contains(id) || self.is_excused(id)
    }

    /// Whether others wait for it after it was given up.
    pub(crate) fn is_held_for(&self, id: Id) -> bool {
        self.policy == DeadHead::Hold && self.key_of.contains_key(&id)
    }

    /// Whether it need not succeed.
    fn is_excused(&self, id: Id) -> bool {
        let gone = if self.is_held_for(id) {
            &self.discarded
        } else {
            &self.given_up
        };
        let Some(gone) = gone.get(&id) else {
            return false;
        };
        let mut left = self.history.left(id).peekable();
        gone.contains(&None)
            || left.peek().is_some() && left.all(|part| gone.contains(&Some(part.to_owned())))
    }

    /// Those of its key that come before it.
    pub(crate) fn before(&self, id: Id) -> Vec<Id> {
        let of_key = self.key_of.get(&id).and_then(|key| self.keys.get(key));
        let earlier = of_key.into_iter().flatten();
        earlier.copied().filter(|other| *other < id).collect()
    }

    /// All of them, when nothing is going to happen any more.
    pub(crate) fn check_order(&self, may_break_off: bool) {
        for key in self.keys.values() {
            // What was given up may have come back at any time.
            let in_order = key
                .iter()
                .copied()
                .filter(|id| self.policy == DeadHead::Hold || !self.given_up.contains_key(id));
            let in_order: Vec<Id> = in_order
                .filter(|id| !self.discarded.contains_key(id))
                .collect();
            self.history.check_order(&in_order, may_break_off);
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in &self.story {
                eprintln!("{line}");
            }
        }
    }
}
