//! One small story, killed at each of its steps, before the step and after it.

use std::sync::Arc;

use cdc_event::Admission;
use ordered_lanes::{DeadHead, Error, LaneGuard, LaneStore, Rest, claim_due};

use crate::database::Database;
use crate::model::{FailPoint, Faulty, OneGroup, World};
use crate::records::{HOLD, HOUR, again, assignment, record};

/// A handler that fails at its first calls, for the record at offset 1.
#[derive(Default)]
struct Story {
    failed: u32,
    effects: Vec<i64>,
    committed: i64,
}

impl Story {
    fn handle(&mut self, offset: i64) -> bool {
        let fails = offset == 1 && self.failed < 2;
        if fails {
            self.failed += 1;
        } else {
            self.effects.push(offset);
        }
        !fails
    }

    /// Reads to the end of the partition; offsets are stored together at the end, so that much is read again.
    async fn consume<S: LaneStore>(&mut self, store: &Arc<S>, group: &str) -> Result<(), Error> {
        let assignment = ordered_lanes::Assignment {
            group: group.into(),
            ..assignment(0)
        };
        let guard =
            LaneGuard::take_over(Arc::clone(store), assignment, Some(self.committed), HOLD).await?;
        for offset in self.committed..4 {
            let record = record(0, offset, Some("a"));
            if guard.admit(&record).await? == Admission::Process && !self.handle(offset) {
                guard.park(&record, &again(HOUR)).await?;
            }
        }
        self.committed = 4;
        guard.forget(self.committed).await
    }

    /// Runs what is due; whether there was anything.
    async fn work<S: LaneStore>(&mut self, store: &Arc<S>, group: &str) -> Result<bool, Error> {
        let mut claimed = claim_due(store, group, 1, HOUR).await?;
        let Some(lane) = claimed.first_mut() else {
            return Ok(false);
        };
        loop {
            let event = lane.next().await?.unwrap();
            let left = if self.handle(event.record.origin.offset) {
                Vec::new()
            } else {
                again(HOUR)
            };
            if lane.failed(event.id, &left, DeadHead::Hold).await? == Rest::Released {
                return Ok(true);
            }
        }
    }
}

#[tokio::test]
async fn order_and_records_survive_a_crash_at_every_step() {
    let database = Database::create().await;
    let lanes = Arc::new(database.lanes().await);
    let client = Arc::new(database.client().await);
    for point in [FailPoint::Before, FailPoint::After] {
        for step in 0.. {
            let world = OneGroup::new(Arc::clone(&client));
            let store = Arc::new(Faulty::new(Arc::clone(&lanes)));
            store.arm_after(step, point);
            let mut story = Story::default();
            // Workers go on while the consumer is away.
            while story.consume(&store, &world.group).await.is_err() {
                world.age().await;
                story.work(&store, &world.group).await.ok();
            }
            loop {
                world.age().await;
                if let Ok(false) = story.work(&store, &world.group).await {
                    break;
                }
            }
            let case = format!("{point:?} step {step}: {:?}", story.effects);
            while story.consume(&store, &world.group).await.is_err() {}
            let mut first = story.effects.clone();
            let mut seen = std::collections::HashSet::new();
            first.retain(|offset| seen.insert(*offset));
            assert_eq!(first, [0, 1, 2, 3], "{case}");
            assert!(
                story.effects.windows(2).all(|pair| pair[1] >= pair[0]),
                "{case}"
            );
            assert_eq!(
                (world.leftover().await.len(), world.lanes().await),
                (0, 0),
                "{case}"
            );
            if store.is_armed() {
                assert!(step > 10, "the story has more steps than {step}");
                break;
            }
        }
    }
}
