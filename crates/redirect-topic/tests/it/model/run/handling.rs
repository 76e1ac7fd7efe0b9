//! What becomes of a record that is handled.

use std::num::NonZeroU32;
use std::time::Duration;

use cdc_event::{
    Attempt, ErrorCode, Fate, HandlerError, Head, NotDealt, PartId, Record, Turn, Unfinished,
};
use order_model::Random;

use super::{LONG, Run};
use crate::model::source::{entry, id, part};
use crate::model::waiting::Said;

/// What is left of a record.
#[derive(Debug, Clone)]
pub(super) struct Left {
    part: Option<&'static str>,
    fate: Fate,
}

const PARTS: [&str; 2] = ["x", "y"];

/// What is left of a record after so many attempts.
pub(super) fn unfinished(left: &[Left], attempts: u32) -> Vec<Unfinished> {
    let unfinished = left.iter().map(|left| Unfinished {
        part: left.part.map(|part| PartId::new(part).unwrap()),
        attempt: Attempt {
            number: NonZeroU32::new(attempts.max(1)).unwrap(),
            first_failed_at: None,
        },
        error: HandlerError::new(ErrorCode::from_static("no-luck"), "it did not work"),
        fate: left.fate,
        delays: 1,
    });
    unfinished.collect()
}

fn again(random: &mut Random) -> Fate {
    let delays = [Duration::ZERO, Duration::from_millis(50), LONG];
    Fate::Again(delays[random.below(delays.len())])
}

impl Run {
    /// The consumer handles a record that it was let in for.
    pub(super) fn handle_first(&mut self, record: &Record) -> Vec<Left> {
        let id = id(record);
        let key = entry(id, None);
        let waited = self.log.waiting(|waiting| waiting.has_waited(&key));
        assert!(
            !waited,
            "{id:?} was put where it waits, and is handled as if not"
        );
        self.handle(record)
    }

    /// What waited is handled.
    pub(super) fn handle_head(&mut self, head: &Head) -> Result<Vec<Unfinished>, NotDealt> {
        let record = &head.record;
        let (id, part) = (id(record), part(record));
        if !self.ledger.is_replayed(id) {
            let key = entry(id, part);
            let said = self.log.waiting(|waiting| waiting.said(&key).cloned());
            assert_eq!(said, Some(Said::Waits), "{key} is handled");
        }
        if !self.healing && self.random.percent(4) {
            let pauses = [Duration::ZERO, LONG];
            return Err(NotDealt::NotNow(pauses[self.random.below(2)]));
        }
        let left = match head.turn {
            Turn::Try => self.handle(record),
            Turn::GiveUp => {
                let all = Left {
                    part: None,
                    fate: Fate::Dead,
                };
                self.left_of(record, vec![all])
            }
        };
        Ok(unfinished(&left, head.attempts + 1))
    }

    fn handle(&mut self, record: &Record) -> Vec<Left> {
        let of = id(record);
        self.ledger.called(of, part(record));
        let luck = if self.healing {
            0
        } else {
            self.random.below(100)
        };
        let own = part(record).map(|own| PARTS.into_iter().find(|part| *part == own).unwrap());
        let left = match luck {
            0..55 => Vec::new(),
            55..63 if own.is_none() => {
                let mut of_part = |part| Left {
                    part: Some(part),
                    fate: self.fate(),
                };
                PARTS.map(&mut of_part).into()
            }
            _ => vec![Left {
                part: own,
                fate: self.fate(),
            }],
        };
        self.left_of(record, left)
    }

    fn fate(&mut self) -> Fate {
        if self.setting.poison && self.random.percent(25) {
            Fate::Dead
        } else {
            again(&mut self.random)
        }
    }

    /// Notes what is left of it.
    fn left_of(&mut self, record: &Record, left: Vec<Left>) -> Vec<Left> {
        let of = id(record);
        let is_whole = record.part.is_none();
        if left.is_empty() {
            self.ledger.note(format!("success {of:?}"));
            self.ledger.history.succeeded(of, part(record));
        } else if is_whole && left[0].part.is_some() {
            self.ledger.note(format!("part success {of:?}"));
            self.ledger.history.partly(of, &PARTS);
        }
        for dead in left.iter().filter(|left| left.fate == Fate::Dead) {
            self.ledger.gave_up(of, dead.part);
            let letter = Record {
                part: dead.part.map(|part| PartId::new(part).unwrap()),
                ..record.clone()
            };
            self.add_letter(letter);
        }
        left
    }
}
