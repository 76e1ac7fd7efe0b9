//! Which topic an event goes to.

use std::collections::HashMap;

use crate::route_regex::RouteRegex;
use crate::settings::OnIllegalTopic;
use crate::topic_name::{is_topic_name, sanitized};
use crate::topic_template::TopicTemplate;

/// Values of the routing column are few; past this many the memory of their topics starts afresh.
const REMEMBERED: usize = 4096;

/// Makes topic names out of the routing column's values, as Kafka Connect's `RegexRouter` does.
#[derive(Debug)]
pub(crate) struct Router {
    regex: RouteRegex,
    template: TopicTemplate,
    on_illegal: OnIllegalTopic,
    index: HashMap<Box<str>, usize>,
    routes: Vec<Route>,
}

/// A value of the routing column and its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) value: Box<str>,
    pub(crate) topic: Box<str>,
}

/// Kafka allows no such topic name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the topic name {name:?}, made from the routing value {route:?}, is not allowed: Kafka takes 1 to 249 of the \
     characters a-z, A-Z, 0-9, '.', '_' and '-'"
)]
pub struct IllegalTopic {
    /// The name.
    pub name: String,
    /// The value of the routing column.
    pub route: String,
}

impl Router {
    pub(crate) fn new(
        regex: RouteRegex,
        template: TopicTemplate,
        on_illegal: OnIllegalTopic,
    ) -> Self {
        Self {
            regex,
            template,
            on_illegal,
            index: HashMap::new(),
            routes: Vec::new(),
        }
    }

    /// The route of a value. It is made once and remembered.
    pub(crate) fn route(&mut self, value: &str) -> Result<&Route, IllegalTopic> {
        let index = match self.index.get(value) {
            Some(index) => *index,
            None => self.remember(value)?,
        };
        Ok(&self.routes[index])
    }

    fn remember(&mut self, value: &str) -> Result<usize, IllegalTopic> {
        let mut topic = self.topic_of(value);
        if !is_topic_name(&topic) {
            topic = match self.on_illegal {
                OnIllegalTopic::Sanitize if is_topic_name(&sanitized(&topic)) => sanitized(&topic),
                OnIllegalTopic::Sanitize | OnIllegalTopic::Error => {
                    return Err(IllegalTopic {
                        name: topic,
                        route: value.to_owned(),
                    });
                }
            };
        }
        if self.routes.len() >= REMEMBERED {
            self.routes.clear();
            self.index.clear();
        }
        self.index.insert(value.into(), self.routes.len());
        self.routes.push(Route {
            value: value.into(),
            topic: topic.into(),
        });
        Ok(self.routes.len() - 1)
    }

    /// A value that the regex does not match is the topic's name itself.
    fn topic_of(&self, value: &str) -> String {
        let Some(found) = self.regex.find(value) else {
            return value.to_owned();
        };
        let mut topic = value[..found.start].to_owned();
        self.template.expand(&found.groups, &mut topic);
        topic.push_str(&value[found.end..]);
        topic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(regex: &str, template: &str) -> Router {
        Router::new(
            regex.parse().unwrap(),
            template.parse().unwrap(),
            OnIllegalTopic::Error,
        )
    }

    fn topic(router: &mut Router, value: &str) -> String {
        router.route(value).unwrap().topic.clone().into()
    }

    #[test]
    fn puts_the_value_into_the_template() {
        let mut router = Router::new(
            RouteRegex::default(),
            TopicTemplate::default(),
            OnIllegalTopic::Error,
        );
        assert_eq!(topic(&mut router, "Order.v2"), "outbox.event.Order.v2");
        assert_eq!(topic(&mut router, ""), "outbox.event.");
        assert_eq!(router.route("Order.v2").unwrap().value.as_ref(), "Order.v2");
    }

    #[test]
    fn a_value_that_the_regex_does_not_match_as_a_whole_is_the_topic() {
        let mut router = router(r"(?<routedByValue>[a-z-]+)\..*", "to.${routedByValue}");
        assert_eq!(topic(&mut router, "order.created"), "to.order");
        assert_eq!(topic(&mut router, "ORDER"), "ORDER");
    }

    #[test]
    fn replaces_the_first_find_as_java_s_replace_first_does() {
        // The whole value matches, but what is found first is shorter: the rest stays behind it.
        assert_eq!(topic(&mut router("a*?", "x"), "aaa"), "xaaa");
        assert_eq!(topic(&mut router("(.)(.*)", "$2-$1"), "abc"), "bc-a");
    }

    #[test]
    fn refuses_or_mends_names_that_kafka_refuses() {
        for value in ["with space", "slash/", "ü", &"x".repeat(250), "new\nline"] {
            let mut strict = Router::new(
                RouteRegex::default(),
                TopicTemplate::default(),
                OnIllegalTopic::Error,
            );
            assert!(strict.route(value).is_err(), "{value:?} was taken");
        }
        let mut lenient = Router::new(
            RouteRegex::default(),
            TopicTemplate::default(),
            OnIllegalTopic::Sanitize,
        );
        assert_eq!(topic(&mut lenient, "my order/ü"), "outbox.event.my_order__");
        assert!(lenient.route(&"x".repeat(250)).is_err());
    }

    #[test]
    fn memory_of_topics_is_bounded() {
        let mut router = router(".*", "x$0");
        for value in 0..3 * REMEMBERED {
            let value = value.to_string();
            assert_eq!(topic(&mut router, &value), format!("x{value}"));
        }
        assert!(router.routes.len() <= REMEMBERED && router.index.len() <= REMEMBERED);
    }
}
