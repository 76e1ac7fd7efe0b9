//! What a run sees of lanes in memory.

use super::MemoryLanes;
use crate::model::World;

impl World for MemoryLanes {
    async fn age(&self) {
        let mut state = self.state();
        let now = state.now;
        for lane in state.lanes.values_mut() {
            lane.due = lane.due.map(|_| now);
            for event in &mut lane.events {
                event.due = now;
            }
        }
    }

    async fn leftover(&self) -> Vec<(i32, i64, &'static str)> {
        let state = self.state();
        let waiting = state.lanes.values().flat_map(|lane| &lane.events);
        let all = waiting.chain(&state.dead);
        all.map(|event| {
            let origin = &event.event.record.origin;
            (origin.partition, origin.offset, event.status.as_str())
        })
        .collect()
    }

    async fn lanes(&self) -> usize {
        self.state().lanes.len()
    }
}
