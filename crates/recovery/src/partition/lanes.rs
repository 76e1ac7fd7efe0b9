//! The order of records of one key.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use cdc_event::Record;

/// Records of one key, or of one key and part. It is a hash: two keys that share it wait for each other, which harms
/// neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LaneId(u64);

/// Those lanes in which a record is under way, with the records that wait behind it.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    busy: HashMap<LaneId, VecDeque<T>>,
    hasher: RandomState,
    waiting: usize,
}

impl<T> Lanes<T> {
    pub(super) fn new() -> Self {
        Self {
            busy: HashMap::new(),
            hasher: RandomState::new(),
            waiting: 0,
        }
    }

    /// The lane of a record; `None` for one without a key, which waits for no other.
    pub(super) fn of(&self, record: &Record) -> Option<LaneId> {
        let key = record.key.as_deref()?;
        Some(LaneId(self.hasher.hash_one((key, &record.part))))
    }

    /// A record of the lane is under way.
    pub(super) fn occupy(&mut self, lane: Option<LaneId>) {
        if let Some(lane) = lane {
            self.busy.entry(lane).or_default();
        }
    }

    /// Puts a record behind those of a busy lane; gives it back if the lane is not busy.
    pub(super) fn wait(&mut self, lane: Option<LaneId>, item: T) -> Result<(), T> {
        match lane.and_then(|lane| self.busy.get_mut(&lane)) {
            Some(waiting) => {
                waiting.push_back(item);
                self.waiting += 1;
                Ok(())
            }
            None => Err(item),
        }
    }

    /// The record that was under way is done: the next of its lane, which is then under way.
    pub(super) fn next(&mut self, lane: Option<LaneId>) -> Option<T> {
        if self.busy.is_empty() {
            return None;
        }
        let lane = lane?;
        let next = self.busy.get_mut(&lane)?.pop_front();
        match next {
            Some(_) => self.waiting -= 1,
            None => drop(self.busy.remove(&lane)),
        }
        next
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) -> Vec<T> {
        self.waiting = 0;
        self.busy.values_mut().flat_map(std::mem::take).collect()
    }
}

#[cfg(test)]
mod tests {
    use cdc_event::{Headers, KafkaPosition, PartId};
    use proptest::prelude::*;

    use super::*;

    fn record(key: Option<u8>, part: Option<&str>) -> Record {
        Record {
            origin: KafkaPosition {
                topic: "t".into(),
                partition: 0,
                offset: 0,
            },
            part: part.map(|part| PartId::new(part).unwrap()),
            key: key.map(|key| vec![key]),
            value: None,
            headers: Headers::new(),
            timestamp_ms: None,
        }
    }

    #[test]
    fn a_lane_is_a_key_and_a_part() {
        let lanes = Lanes::<()>::new();
        let of = |key, part| lanes.of(&record(key, part));
        assert_eq!(of(Some(1), None), of(Some(1), None));
        assert_ne!(of(Some(1), None), of(Some(2), None));
        assert_ne!(of(Some(1), None), of(Some(1), Some("a")));
        assert_ne!(of(Some(1), Some("a")), of(Some(1), Some("b")));
        assert_eq!(of(Some(1), Some("a")), of(Some(1), Some("a")));
    }

    #[test]
    fn records_without_a_key_wait_for_nobody() {
        let mut lanes = Lanes::new();
        let lane = lanes.of(&record(None, Some("a")));
        assert_eq!(lane, None);
        lanes.occupy(lane);
        assert_eq!(lanes.wait(lane, 1), Err(1));
    }

    proptest! {
        /// Records come in, and those under way end in any order: each lane has one under way, in its order, and all end.
        #[test]
        fn keeps_the_order_of_each_lane(keys in proptest::collection::vec(0_u8..4, 0..60), picks in any::<u64>()) {
            let mut lanes = Lanes::new();
            let mut under_way: Vec<(u8, usize)> = Vec::new();
            let mut done: Vec<(u8, usize)> = Vec::new();
            let mut picks = picks;
            let mut finish = |lanes: &mut Lanes<(u8, usize)>, under_way: &mut Vec<(u8, usize)>, done: &mut Vec<_>| {
                picks = picks.rotate_left(5).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let ended = under_way.swap_remove((picks >> 32) as usize % under_way.len());
                done.push(ended);
                under_way.extend(lanes.next(lanes.of(&record(Some(ended.0), None))));
            };
            for (number, key) in keys.iter().copied().enumerate() {
                let lane = lanes.of(&record(Some(key), None));
                if let Err(item) = lanes.wait(lane, (key, number)) {
                    lanes.occupy(lane);
                    under_way.push(item);
                }
                let mut one_each: Vec<_> = under_way.iter().map(|(key, _)| *key).collect();
                one_each.sort_unstable();
                one_each.dedup();
                prop_assert_eq!(one_each.len(), under_way.len());
                if number % 3 == 0 {
                    finish(&mut lanes, &mut under_way, &mut done);
                }
            }
            while !under_way.is_empty() {
                finish(&mut lanes, &mut under_way, &mut done);
            }
            prop_assert_eq!(done.len(), keys.len());
            prop_assert!(lanes.busy.is_empty() && lanes.waiting == 0);
            for key in 0..4 {
                let of_key: Vec<_> = done.iter().filter(|(of, _)| *of == key).collect();
                prop_assert!(of_key.is_sorted());
            }
        }
    }
}
