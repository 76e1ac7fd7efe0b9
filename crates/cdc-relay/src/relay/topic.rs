//! Which topics are known to exist, and which take nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Topics are few; past this many the memory of them starts afresh.
const REMEMBERED: usize = 4096;

/// After so long a topic that took nothing is tried again.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// What is known of topics.
#[derive(Debug, Default)]
pub(super) struct KnownTopics {
    existing: HashSet<Arc<str>>,
    /// Until when, and why.
    refused: HashMap<Arc<str>, (Instant, Refusal)>,
}

/// Why a topic takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not exist and is not to be created.
    Missing,
    /// This client may not write to it.
    Denied,
}

/// What is known of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Exists,
    /// Nobody has looked for it yet.
    Unseen,
    /// It took nothing a moment ago.
    Refused(Refusal),
}

impl KnownTopics {
    pub(super) fn standing(&mut self, topic: &str) -> Standing {
        if self.existing.contains(topic) {
            return Standing::Exists;
        }
        match self.refused.get(topic) {
            Some(&(until, refusal)) if Instant::now() < until => Standing::Refused(refusal),
            Some(_) => {
                self.refused.remove(topic);
                Standing::Unseen
            }
            None => Standing::Unseen,
        }
    }

    /// Without the topics that are there: they may be gone the next time somebody looks.
    pub(super) fn only_refused(self) -> Self {
        Self {
            existing: HashSet::new(),
            refused: self.refused,
        }
    }

    /// The topics that are known to be there.
    pub(super) fn existing(&self) -> impl Iterator<Item = &str> {
        self.existing.iter().map(AsRef::as_ref)
    }

    /// The topic is there, or the broker is to make it.
    pub(super) fn exists(&mut self, topic: Arc<str>) {
        if self.existing.len() >= REMEMBERED {
            self.existing.clear();
        }
        self.existing.insert(topic);
    }

    /// The topic takes nothing: for a while, nobody need ask it again.
    pub(super) fn refuse(&mut self, topic: Arc<str>, refusal: Refusal) {
        self.existing.remove(&topic);
        if self.refused.len() >= REMEMBERED {
            self.refused.clear();
        }
        let until = Instant::now() + REFUSED_FOR;
        self.refused.insert(topic, (until, refusal));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_looked_for_once() {
        let mut topics = KnownTopics::default();
        assert_eq!(topics.standing("order"), Standing::Unseen);
        topics.exists("order".into());
        assert_eq!(topics.standing("order"), Standing::Exists);
        assert_eq!(topics.standing("user"), Standing::Unseen);
    }

    #[tokio::test(start_paused = true)]
    async fn a_topic_that_takes_nothing_is_tried_again_later() {
        let mut topics = KnownTopics::default();
        topics.exists("order".into());
        topics.refuse("order".into(), Refusal::Denied);
        assert_eq!(topics.standing("order"), Standing::Refused(Refusal::Denied));
        tokio::time::advance(REFUSED_FOR).await;
        assert_eq!(topics.standing("order"), Standing::Unseen);
    }

    #[test]
    fn memory_of_topics_is_bounded() {
        let mut topics = KnownTopics::default();
        for number in 0..3 * REMEMBERED {
            topics.exists(number.to_string().into());
            topics.refuse(format!("no-{number}").into(), Refusal::Missing);
        }
        assert!(topics.existing.len() <= REMEMBERED && topics.refused.len() <= REMEMBERED);
    }
}
