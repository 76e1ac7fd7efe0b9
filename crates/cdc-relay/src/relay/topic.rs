//! Which topic an event goes to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::config::TopicTemplate;

/// Values of the routing column are few; past this many the memory of their topics starts afresh.
const REMEMBERED: usize = 4096;

/// Makes topic names out of the routing column's values, and knows which topics are known to exist.
#[derive(Debug)]
pub(super) struct TopicRouter {
    template: TopicTemplate,
    by_route: HashMap<Box<str>, Arc<str>>,
    existing: HashSet<Arc<str>>,
}

/// Where a record may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// To a topic that exists.
    Known(Arc<str>),
    /// To a topic that nobody has looked for yet: see [`TopicRouter::exists`].
    Unseen(Arc<str>),
}

/// Kafka allows no such topic name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the topic name {name:?}, made from the routing value {route:?}, is not allowed: Kafka takes 1 to 249 of \
     the characters a-z, A-Z, 0-9, '.', '_' and '-'"
)]
pub(crate) struct IllegalTopic {
    name: String,
    route: String,
}

impl TopicRouter {
    pub(super) fn new(template: TopicTemplate) -> Self {
        Self {
            template,
            by_route: HashMap::new(),
            existing: HashSet::new(),
        }
    }

    pub(super) fn route(&mut self, value: &str) -> Result<Route, IllegalTopic> {
        let topic = match self.by_route.get(value) {
            Some(topic) => Arc::clone(topic),
            None => self.remember(value)?,
        };
        Ok(if self.existing.contains(&topic) {
            Route::Known(topic)
        } else {
            Route::Unseen(topic)
        })
    }

    fn remember(&mut self, value: &str) -> Result<Arc<str>, IllegalTopic> {
        let name = self.template.topic_for(value);
        if !TopicTemplate::is_valid_topic(&name) {
            return Err(IllegalTopic {
                name,
                route: value.to_owned(),
            });
        }
        if self.by_route.len() >= REMEMBERED {
            self.by_route.clear();
            self.existing.clear();
        }
        let topic: Arc<str> = name.into();
        self.by_route.insert(value.into(), Arc::clone(&topic));
        Ok(topic)
    }

    /// The topics that are known to be there.
    pub(super) fn existing(&self) -> impl Iterator<Item = &str> {
        self.existing.iter().map(AsRef::as_ref)
    }

    /// The topic is there, or the broker is to make it.
    pub(super) fn exists(&mut self, topic: Arc<str>) {
        self.existing.insert(topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> TopicRouter {
        TopicRouter::new("outbox.event.${routedByValue}".parse().unwrap())
    }

    #[test]
    fn a_topic_is_looked_for_once() {
        let mut router = router();
        let Route::Unseen(topic) = router.route("order").unwrap() else {
            panic!("known at once")
        };
        assert_eq!(&*topic, "outbox.event.order");
        router.exists(Arc::clone(&topic));
        assert_eq!(router.route("order").unwrap(), Route::Known(topic));
        assert!(matches!(router.route("user").unwrap(), Route::Unseen(_)));
    }

    #[test]
    fn refuses_names_that_kafka_refuses() {
        for value in ["with space", "slash/", "ü", &"x".repeat(250), "nul\0"] {
            assert!(router().route(value).is_err(), "{value:?} was taken");
        }
    }

    #[test]
    fn memory_of_topics_is_bounded() {
        let mut router = router();
        for value in 0..3 * REMEMBERED {
            router.route(&value.to_string()).unwrap();
        }
        assert!(router.by_route.len() <= REMEMBERED);
    }
}
