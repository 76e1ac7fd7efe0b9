//! What an owner remembers of the lanes of its partition.

use std::collections::HashMap;

use crate::lane_id::LaneId;
use crate::store::KnownLane;

/// The open lanes of a partition, and those whose records may be read again. What is not in here is certain to be
/// closed; what is open in here may have been emptied by a worker meanwhile.
#[derive(Debug, Default)]
pub(crate) struct KnownLanes {
    lanes: HashMap<LaneId, Known>,
    open: usize,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    open: bool,
    through: Option<i64>,
    /// Filled from another partition, whose owner counts it.
    foreign: bool,
}

/// What is known about a record before anybody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Nothing is before it.
    Free,
    /// Something may be before it.
    MaybeOpen,
    /// It was dealt with, or put in a lane, and is read again.
    DealtWith,
}

impl KnownLanes {
    pub(crate) fn new(lanes: Vec<KnownLane>) -> Self {
        let mut known = Self::default();
        for lane in lanes {
            let foreign = lane.through.is_none();
            known.open += usize::from(lane.open && !foreign);
            let through = lane.through;
            known.lanes.insert(
                lane.id,
                Known {
                    open: lane.open,
                    through,
                    foreign,
                },
            );
        }
        known
    }

    pub(crate) const fn open(&self) -> usize {
        self.open
    }

    pub(crate) fn is_open(&self, lane: LaneId) -> bool {
        self.lanes.get(&lane).is_some_and(|known| known.open)
    }

    /// Records of a key are dealt with one after the other. So whatever comes no later than the last one that was put
    /// in was dealt with, and once one comes that is later, the lane has served if nothing is in it.
    pub(crate) fn view(&mut self, lane: LaneId, offset: i64) -> View {
        match self.lanes.get(&lane) {
            None => View::Free,
            Some(known) if known.through.is_some_and(|through| offset <= through) => {
                View::DealtWith
            }
            Some(known) if known.open => View::MaybeOpen,
            Some(_) => {
                self.lanes.remove(&lane);
                View::Free
            }
        }
    }

    /// The lane is about to be opened, or added to.
    pub(crate) fn opening(&mut self, lane: LaneId) {
        let through = self.lanes.get(&lane).and_then(|known| known.through);
        self.drained(lane);
        self.lanes.insert(
            lane,
            Known {
                open: true,
                through,
                foreign: false,
            },
        );
        self.open += 1;
    }

    /// A record was put in.
    pub(crate) fn put(&mut self, lane: LaneId, offset: i64) {
        self.opening(lane);
        if let Some(known) = self.lanes.get_mut(&lane) {
            known.through = Some(offset);
        }
    }

    pub(crate) fn drained(&mut self, lane: LaneId) {
        let known = self.lanes.remove(&lane);
        self.open -= usize::from(known.is_some_and(|known| known.open && !known.foreign));
    }

    /// The lane was removed when the last record in it was that at `through`.
    pub(crate) fn removed(&mut self, lane: LaneId, through: i64) {
        if self
            .lanes
            .get(&lane)
            .is_some_and(|known| known.through == Some(through))
        {
            self.drained(lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use cdc_event::{Headers, KafkaPosition, Record};

    use super::*;

    fn lane(key: &str) -> LaneId {
        let origin = KafkaPosition {
            topic: "t".into(),
            partition: 0,
            offset: 0,
        };
        let (value, timestamp_ms) = (None, None);
        LaneId::of(
            "g",
            &Record {
                origin,
                part: None,
                key: Some(key.into()),
                value,
                headers: Headers::new(),
                timestamp_ms,
            },
        )
    }

    #[test]
    fn what_was_put_in_is_not_handled_when_it_is_read_again() {
        let (open, closed) = (lane("open"), lane("closed"));
        let mut known = KnownLanes::new(vec![
            KnownLane {
                id: open,
                open: true,
                through: Some(7),
            },
            KnownLane {
                id: closed,
                open: false,
                through: Some(5),
            },
        ]);
        assert_eq!(known.view(open, 7), View::DealtWith);
        assert_eq!(known.view(open, 8), View::MaybeOpen);
        assert_eq!(known.view(closed, 3), View::DealtWith);
        assert_eq!(known.view(closed, 6), View::Free);
        assert_eq!(known.view(lane("other"), 0), View::Free);
        assert_eq!((known.open(), known.lanes.len()), (1, 1));
    }

    #[test]
    fn a_lane_that_got_another_record_meanwhile_stays_known() {
        let id = lane("k");
        let mut known = KnownLanes::default();
        known.put(id, 3);
        known.put(id, 4);
        known.removed(id, 3);
        assert_eq!((known.view(id, 5), known.open()), (View::MaybeOpen, 1));
        known.removed(id, 4);
        assert_eq!((known.view(id, 5), known.open()), (View::Free, 0));
    }

    #[test]
    fn a_lane_of_another_partition_hides_no_record_of_this_one() {
        let id = lane("k");
        let mut known = KnownLanes::new(vec![KnownLane {
            id,
            open: true,
            through: None,
        }]);
        assert_eq!((known.view(id, 0), known.open()), (View::MaybeOpen, 0));
        known.put(id, 0);
        assert_eq!((known.view(id, 0), known.open()), (View::DealtWith, 1));
        known.drained(id);
        assert_eq!((known.view(id, 0), known.open()), (View::Free, 0));
    }
}
