//! The partitions that this instance owns.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use crate::index::Backlog;
use crate::lane::LaneKey;
use crate::partition::Owned;

/// The partitions that this instance owns.
#[derive(Debug)]
pub(crate) struct Registry {
    owned: Mutex<Vec<Arc<Owned>>>,
    /// Something may be due.
    changed: Arc<watch::Sender<()>>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            owned: Mutex::default(),
            changed: Arc::new(watch::Sender::new(())),
        }
    }

    /// Notes a partition; another assignment of it has ended.
    pub(crate) fn insert(&self, owned: &Arc<Owned>) {
        let mut all = self.lock();
        all.retain(|other| {
            let is_other = other.of.group != owned.of.group
                || other.of.topic != owned.of.topic
                || other.of.partition != owned.of.partition;
            if !is_other {
                other.end(None);
            }
            is_other
        });
        all.push(Arc::clone(owned));
        drop(all);
        self.changed.send_replace(());
    }

    pub(crate) fn remove(&self, owned: &Arc<Owned>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, owned));
    }

    pub(crate) fn find(&self, group: &str, topic: &str, partition: i32) -> Option<Arc<Owned>> {
        let all = self.lock();
        let found = all.iter().find(|owned| {
            owned.of.group == group && owned.of.topic == topic && owned.of.partition == partition
        });
        found.cloned()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn changed(&self) -> Arc<watch::Sender<()>> {
        Arc::clone(&self.changed)
    }

    /// Takes up to `most` lanes of a group that are due, fairly among its partitions.
    pub(crate) fn take_due(
        &self,
        group: &str,
        now: SystemTime,
        most: usize,
    ) -> Vec<(Arc<Owned>, LaneKey)> {
        let of_group = self.of_group(group);
        let mut taken = Vec::new();
        loop {
            let before = taken.len();
            for owned in &of_group {
                if taken.len() == most {
                    return taken;
                }
                let lane = owned.index().take(now);
                taken.extend(lane.map(|lane| (Arc::clone(owned), lane)));
            }
            if taken.len() == before {
                return taken;
            }
        }
    }

    /// When the next lane of a group is due.
    pub(crate) fn next_due(&self, group: &str) -> Option<SystemTime> {
        let of_group = self.of_group(group);
        of_group
            .iter()
            .filter_map(|owned| owned.index().next_due())
            .min()
    }

    /// What waits in the partitions of a group that are owned here.
    pub(crate) fn backlog(&self, group: &str, now: SystemTime) -> Backlog {
        let of_group = self.of_group(group);
        let backlogs = of_group.iter().map(|owned| owned.index().backlog(now));
        backlogs.fold(Backlog::default(), Backlog::and)
    }

    fn of_group(&self, group: &str) -> Vec<Arc<Owned>> {
        let all = self.lock();
        all.iter()
            .filter(|owned| owned.of.group == group)
            .cloned()
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Owned>>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
