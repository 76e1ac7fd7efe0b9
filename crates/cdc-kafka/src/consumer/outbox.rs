//! Events on their way to the owner.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::event::ConsumerEvent;
use crate::error::Error;

/// Events on their way to the owner, who may be busy.
pub(super) struct Outbox {
    sender: mpsc::Sender<ConsumerEvent>,
    /// What there was no room for. No rebalance begins while something waits, so that there are only a few.
    waiting: VecDeque<ConsumerEvent>,
    /// The last event has been told.
    ended: bool,
    told: Told,
}

/// Troubles that were told lately.
#[derive(Default)]
struct Told(HashMap<String, Instant>);

/// The same trouble is told this often.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// More kinds of trouble are not remembered.
const MOST_KINDS: usize = 64;

impl Outbox {
    pub(super) fn new(sender: mpsc::Sender<ConsumerEvent>) -> Self {
        Self {
            sender,
            waiting: VecDeque::new(),
            ended: false,
            told: Told::default(),
        }
    }

    /// Tells something that must not be missed.
    pub(super) fn tell(&mut self, event: ConsumerEvent) {
        if !self.ended {
            self.waiting.push_back(event);
            self.flush();
        }
    }

    /// Tells something after which there is nothing to tell.
    pub(super) fn tell_last(&mut self, event: ConsumerEvent) {
        self.tell(event);
        self.ended = true;
    }

    /// Tells of a trouble, unless the owner is busy or has heard the like lately.
    pub(super) fn tell_trouble(&mut self, error: Error) {
        if self.flush() && self.sender.capacity() > 0 && self.told.is_new(&error, Instant::now()) {
            self.tell(ConsumerEvent::Trouble(error));
        }
    }

    /// Whether all has been told.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(event) = self.waiting.pop_front() {
            match self.sender.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => {
                    self.waiting.push_front(event);
                    return false;
                }
                // Nobody is left to be told.
                Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
        }
        true
    }
}

impl Told {
    fn is_new(&mut self, error: &Error, now: Instant) -> bool {
        // Times and counts make no other trouble of it.
        let mut kind = format!("{error} {:?}", error.code());
        kind.retain(|character| !character.is_ascii_digit());
        self.0
            .retain(|_, told| now.duration_since(*told) < TELL_AGAIN);
        if self.0.contains_key(&kind) || self.0.len() >= MOST_KINDS {
            return false;
        }
        self.0.insert(kind, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaErrorCode;

    use super::*;
    use crate::code::KafkaCode;

    fn trouble(detail: &str) -> Error {
        Error::Consume {
            group: "g".into(),
            detail: detail.into(),
            code: KafkaCode::new(RDKafkaErrorCode::BrokerTransportFailure),
        }
    }

    #[test]
    fn tells_the_same_trouble_once_in_a_while() {
        let mut told = Told::default();
        let now = Instant::now();
        assert!(told.is_new(&trouble("down (after 3ms)"), now));
        assert!(!told.is_new(&trouble("down (after 17ms)"), now));
        assert!(told.is_new(&trouble("up"), now));
        assert!(told.is_new(&trouble("down (after 3ms)"), now + TELL_AGAIN));
    }

    #[test]
    fn keeps_what_there_is_no_room_for_and_its_order() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        outbox.tell(ConsumerEvent::Assigned(Vec::new()));
        outbox.tell(ConsumerEvent::Lost(Vec::new()));
        outbox.tell_trouble(trouble("there is no room for this"));
        outbox.tell_last(ConsumerEvent::Lost(Vec::new()));
        outbox.tell(ConsumerEvent::Assigned(Vec::new()));
        assert!(!outbox.flush());
        assert!(matches!(
            receiver.try_recv(),
            Ok(ConsumerEvent::Assigned(_))
        ));
        for _ in 0..2 {
            outbox.flush();
            assert!(matches!(receiver.try_recv(), Ok(ConsumerEvent::Lost(_))));
        }
        assert!(outbox.flush());
        assert!(receiver.try_recv().is_err(), "the last one was the last");
    }
}
