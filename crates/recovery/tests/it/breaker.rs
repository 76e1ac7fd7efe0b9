//! An outage is not a reason for dead letters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cdc_event::{Attempt, Failure, Handler, Record};
use recovery::BlockingRetry;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Sent, until};
use crate::parts;
use crate::subject::{FAILED, Reply, Subject, error, fixed, millis, quick_breaker, text};

#[tokio::test(flavor = "multi_thread")]
async fn holds_everything_during_an_outage_and_goes_on_after_it() {
    let mut subject = Subject::new("outage", 2, fixed(50, 2), &[millis(100)]).await;
    subject.settings.breaker = Some(quick_breaker());
    let records: Vec<_> = (0..200)
        .map(|number| Sent::new(number % 2, &format!("k{number}"), number))
        .collect();
    subject.send(&records).await;
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let running = subject.start(move |_, _| {
        if is_down.load(Ordering::SeqCst) {
            Reply::transient()
        } else {
            Reply::success()
        }
    });
    until("an outage", || running.snapshot().outage).await;
    let at_first = subject.calls.count();
    subject.calls.reach(at_first + 5).await;
    let calls = subject.calls.all();
    let (first, last) = (&calls[at_first], calls.last().unwrap());
    // A try takes a tenth of a second to wait for, at the least half of that.
    let tries = calls.len() - at_first;
    assert!(
        tries <= 64 + 1 + ((last.began - first.began).as_millis() / 50) as usize,
        "{tries}"
    );
    let snapshot = running.snapshot();
    assert_eq!(
        (snapshot.dead_letters, snapshot.retried),
        (0, 0),
        "nothing is handed over"
    );

    down.store(false, Ordering::SeqCst);
    subject.calls.reach_successes(200).await;
    assert!(!running.snapshot().outage);
    running.stop().await;
    assert_eq!(subject.dead_letters().await.len(), 0);
    assert_eq!(subject.committed().await, [100, 100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_no_outage() {
    let mut subject = Subject::new("no-outage", 1, BlockingRetry::None, &[]).await;
    subject.settings.breaker = Some(quick_breaker());
    let records: Vec<_> = (0..100)
        .map(|number| Sent::new(0, &format!("k{number}"), number))
        .collect();
    subject.send(&records).await;
    let running = subject.start(|_, _| Reply::poison());
    until("all dead letters", || {
        running.snapshot().dead_letters == 100
    })
    .await;
    assert!(!running.snapshot().outage);
    running.stop().await;
    assert_eq!(subject.calls.count(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_fail_alone_do_not_keep_good_ones_waiting_for_ever() {
    // Taken for an outage, and none: the good one is among those that are tried.
    let mut subject = Subject::new("false-alarm", 1, fixed(10, 2), &[]).await;
    subject.settings.breaker = Some(quick_breaker());
    let mut records: Vec<_> = (0..20)
        .map(|number| Sent::new(0, &format!("k{number}"), "poor"))
        .collect();
    records.push(Sent::new(0, "good", "good"));
    subject.send(&records).await;
    let running = subject.start(|record, _| {
        // They begin before any has ended, so that it is told when the good one is on its way.
        if text(record) == "poor" {
            Reply::transient().after(millis(5))
        } else {
            Reply::success().after(millis(5))
        }
    });
    subject.calls.reach_successes(1).await;
    until("the poor are dealt with", || {
        running.snapshot().dead_letters == 20
    })
    .await;
    running.stop().await;
    assert_eq!(subject.committed().await, [21]);
}

/// Whether the handler works, and what it sees of those that are tried.
#[derive(Default)]
struct World {
    is_up: AtomicBool,
    /// The record with parts is being handled.
    early_began: AtomicBool,
    let_early_end: CancellationToken,
    early_ended: AtomicBool,
    trying: AtomicUsize,
    tried: AtomicUsize,
    at_once: AtomicUsize,
}

struct InWorld(Arc<World>);

impl Handler for InWorld {
    async fn handle(&self, record: &Record, _: Attempt) -> Result<(), Failure> {
        let world = &*self.0;
        if text(record) == "early" && record.part.is_none() {
            world.early_began.store(true, Ordering::SeqCst);
            world.let_early_end.cancelled().await;
            world.early_ended.store(true, Ordering::SeqCst);
            return Err(parts::failed(&["a"]));
        }
        let trying = world.trying.fetch_add(1, Ordering::SeqCst) + 1;
        if world.early_ended.load(Ordering::SeqCst) {
            world.at_once.fetch_max(trying, Ordering::SeqCst);
            world.tried.fetch_add(1, Ordering::SeqCst);
        }
        // Long enough for others to begin, if they may.
        tokio::time::sleep(millis(20)).await;
        world.trying.fetch_sub(1, Ordering::SeqCst);
        if world.is_up.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(Failure::transient(error(FAILED)))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_began_before_an_outage_and_fails_in_part_during_it_does_not_end_it() {
    let mut subject = Subject::new("early", 1, fixed(10, 2), &[]).await;
    subject.settings.breaker = Some(quick_breaker());
    let world = Arc::new(World::default());
    let running = subject.start_handler(InWorld(Arc::clone(&world)));
    subject.send(&[Sent::new(0, "early", "early")]).await;
    until("the early one is handled", || {
        world.early_began.load(Ordering::SeqCst)
    })
    .await;
    let records: Vec<_> = (0..30)
        .map(|number| Sent::new(0, &format!("k{number}"), number))
        .collect();
    subject.send(&records).await;
    until("an outage", || running.snapshot().outage).await;
    // Those that had begun before it was told.
    until("they have ended", || {
        world.trying.load(Ordering::SeqCst) == 0
    })
    .await;

    world.let_early_end.cancel();
    until("tries after it", || world.tried.load(Ordering::SeqCst) >= 4).await;
    assert!(running.snapshot().outage);
    assert_eq!(
        world.at_once.load(Ordering::SeqCst),
        1,
        "all were tried at once"
    );

    world.is_up.store(true, Ordering::SeqCst);
    subject.until_committed(31).await;
    assert!(!running.snapshot().outage);
    running.stop().await;
    assert_eq!(subject.dead_letters().await.len(), 0);
}
