//! How many requests are in flight, all endpoints together.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Two kinds of places, so that endpoints that do not answer can never take all of them.
///
/// An endpoint that answered last uses the main lane. One that has not answered yet, or did not the last time, uses
/// the side lane. Who waits too long in the main lane steps aside into the other if that has room.
#[derive(Debug)]
pub(crate) struct Lanes {
    main: Arc<Semaphore>,
    side: Arc<Semaphore>,
}

/// A request's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    permit: OwnedSemaphorePermit,
    side: bool,
}

impl Lanes {
    /// `concurrency` places in the main lane, half as many beside it.
    pub(crate) fn new(concurrency: NonZeroUsize) -> Self {
        Self {
            main: Arc::new(Semaphore::new(concurrency.get())),
            side: Arc::new(Semaphore::new(concurrency.get().div_ceil(2))),
        }
    }

    /// Waits for a place, or in the side lane for no longer than `patience`.
    ///
    /// Cancellation safe.
    pub(crate) async fn enter(&self, trusted: bool, patience: Duration) -> Option<Place> {
        let permit = if trusted {
            Arc::clone(&self.main).acquire_owned().await
        } else {
            timeout(patience, Arc::clone(&self.side).acquire_owned())
                .await
                .ok()?
        };
        // Nobody closes them.
        permit.ok().map(|permit| Place {
            permit,
            side: !trusted,
        })
    }

    /// Its answer is overdue.
    pub(crate) fn step_aside(&self, place: &mut Place) {
        if !place.side
            && let Ok(permit) = Arc::clone(&self.side).try_acquire_owned()
        {
            *place = Place { permit, side: true };
        }
    }

    /// Free places in either lane.
    #[cfg(test)]
    fn free(&self) -> (usize, usize) {
        (self.main.available_permits(), self.side.available_permits())
    }
}

impl Place {
    /// Gives it back.
    pub(crate) fn leave(self) {
        drop(self.permit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(100);

    fn lanes() -> Lanes {
        Lanes::new(NonZeroUsize::new(4).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_do_not_answer_leave_the_main_lane_to_the_others() {
        let lanes = lanes();
        let mut hanging = Vec::new();
        for _ in 0..2 {
            hanging.push(lanes.enter(true, PATIENCE).await.unwrap());
        }
        for place in &mut hanging {
            lanes.step_aside(place);
        }
        assert_eq!(lanes.free(), (4, 0));
        assert!(
            lanes.enter(false, PATIENCE).await.is_none(),
            "more of them wait elsewhere"
        );
        assert!(lanes.enter(true, PATIENCE).await.is_some());
        drop(hanging);
        assert_eq!(lanes.free(), (4, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_its_place_when_there_is_no_other() {
        let lanes = lanes();
        let _side = (
            lanes.enter(false, PATIENCE).await.unwrap(),
            lanes.enter(false, PATIENCE).await.unwrap(),
        );
        let mut place = lanes.enter(true, PATIENCE).await.unwrap();
        lanes.step_aside(&mut place);
        assert_eq!(lanes.free(), (3, 0));
        place.leave();
        assert_eq!(lanes.free(), (4, 0));
    }
}
