//! Tells an outage from records that fail.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cdc_event::Backoff;
use metrics::Gauge;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use crate::settings::BreakerSettings;
use cdc_event::random_fraction;

/// Lets everything pass until almost everything fails. Then one record at a time is tried, a different one each time,
/// at growing intervals, until one does not fail.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: Option<BreakerSettings>,
    /// The last records, the newest in the lowest bit: 1 = failed.
    window: AtomicU64,
    open: AtomicBool,
    changed: watch::Sender<()>,
    /// Whoever has it may try next. Turns are taken in the order of asking, so that no record is tried twice before
    /// another one that waits: it may be the record after all.
    turn: Semaphore,
    probing: Mutex<Probing>,
    gauge: Gauge,
}

#[derive(Debug)]
struct Probing {
    backoff: Backoff,
    next: Instant,
}

/// Permission to make an attempt.
#[derive(Debug)]
pub(crate) enum Admission<'a> {
    /// All is well.
    Usual,
    /// There is an outage, and this attempt finds out whether it is over.
    Probe(Probe<'a>),
}

/// The attempt that finds out. Dropping it says nothing.
#[derive(Debug)]
pub(crate) struct Probe<'a> {
    breaker: &'a Breaker,
    _turn: Option<SemaphorePermit<'a>>,
}

impl Breaker {
    pub(crate) fn new(settings: Option<BreakerSettings>, gauge: Gauge) -> Self {
        let times = settings.unwrap_or_default();
        Self {
            settings,
            window: AtomicU64::new(0),
            open: AtomicBool::new(false),
            changed: watch::Sender::new(()),
            turn: Semaphore::new(1),
            probing: Mutex::new(Probing {
                backoff: Backoff::new(times.first_probe, times.probe_cap),
                next: Instant::now(),
            }),
            gauge,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    /// Notes what became of a record. To be called once a record for failures, and for each success.
    pub(crate) fn note(&self, failed: bool) {
        let Some(settings) = self.settings else {
            return;
        };
        if self.is_open() {
            // It began before the outage, or what was taken for one.
            if !failed {
                self.end_outage();
            }
            return;
        }
        // While all is well there is nothing to write.
        if !failed && self.window.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mask = u64::MAX >> (u64::BITS - settings.window);
        let shifted = |window: u64| (window << 1 | u64::from(failed)) & mask;
        let before = self
            .window
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |window| {
                Some(shifted(window))
            });
        let after = before.map_or(0, shifted);
        if failed && after.count_ones() >= settings.threshold.get() {
            self.begin_outage();
        }
    }

    /// Resolves when an attempt may be made. Cancel safe: the turn goes to the next who waits.
    pub(crate) async fn admit(&self) -> Admission<'_> {
        // Listening before looking: an end in between is not missed.
        let mut changed = self.changed.subscribe();
        while self.is_open() {
            tokio::select! {
                biased;
                // The sender is in `self`.
                _ = changed.changed() => {}
                probe = self.my_turn() => {
                    if self.is_open() {
                        return Admission::Probe(probe);
                    }
                }
            }
        }
        Admission::Usual
    }

    async fn my_turn(&self) -> Probe<'_> {
        // It is never closed.
        let turn = self.turn.acquire().await.ok();
        let next = self.lock().next;
        sleep_until(next).await;
        Probe {
            breaker: self,
            _turn: turn,
        }
    }

    fn begin_outage(&self) {
        if self.open.swap(true, Ordering::SeqCst) {
            return;
        }
        self.lock().backoff.reset();
        self.next_probe();
        self.gauge.set(1.0);
        tracing::error!(
            "almost everything fails: this is taken for an outage; one record at a time is tried until one succeeds"
        );
    }

    fn end_outage(&self) {
        self.window.store(0, Ordering::SeqCst);
        if self.open.swap(false, Ordering::SeqCst) {
            self.gauge.set(0.0);
            tracing::info!("the outage is over");
            self.changed.send_replace(());
        }
    }

    fn next_probe(&self) {
        let mut probing = self.lock();
        let delay = probing.backoff.next_delay(random_fraction());
        probing.next = Instant::now() + delay;
    }

    fn lock(&self) -> MutexGuard<'_, Probing> {
        self.probing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe<'_> {
    /// The handler works: the outage is over.
    pub(crate) fn answered(self) {
        self.breaker.end_outage();
    }

    /// The outage goes on.
    pub(crate) fn failed(self) {
        self.breaker.next_probe();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(Some(BreakerSettings::default()), Gauge::noop())
    }

    fn open() -> Breaker {
        let breaker = breaker();
        (0..20).for_each(|_| breaker.note(true));
        assert!(breaker.is_open());
        breaker
    }

    async fn probe(breaker: &Breaker) -> Probe<'_> {
        match breaker.admit().await {
            Admission::Probe(probe) => probe,
            Admission::Usual => panic!("closed"),
        }
    }

    #[test]
    fn opens_at_the_threshold() {
        let breaker = breaker();
        (0..17).for_each(|_| breaker.note(true));
        assert!(!breaker.is_open());
        breaker.note(true);
        assert!(breaker.is_open());
    }

    #[test]
    fn stays_closed_without_settings() {
        let breaker = Breaker::new(None, Gauge::noop());
        (0..100).for_each(|_| breaker.note(true));
        assert!(!breaker.is_open());
    }

    #[test]
    fn any_success_closes_it() {
        let breaker = open();
        breaker.note(true);
        assert!(breaker.is_open());
        breaker.note(false);
        assert!(!breaker.is_open());
    }

    proptest! {
        #[test]
        fn is_open_only_if_the_last_twenty_failed_almost_all(outcomes in proptest::collection::vec(any::<bool>(), 0..200)) {
            let breaker = breaker();
            let mut last = Vec::new();
            for failed in outcomes {
                breaker.note(failed);
                last.push(failed);
                let failures = last.iter().rev().take(20).filter(|failed| **failed).count();
                prop_assert_eq!(breaker.is_open(), failures >= 18);
                if breaker.is_open() {
                    break;
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tries_one_at_a_time_at_growing_intervals() {
        let breaker = open();
        let started = Instant::now();
        let mut gaps = Vec::new();
        for _ in 0..8 {
            let before = Instant::now();
            let probe = probe(&breaker).await;
            assert!(
                tokio::time::timeout(Duration::from_secs(3600), breaker.admit())
                    .await
                    .is_err(),
                "two at the same time"
            );
            gaps.push(Instant::now() - before - Duration::from_secs(3600));
            probe.failed();
        }
        assert!(started.elapsed() > Duration::from_secs(8 * 3600));
        assert!(
            gaps.iter().all(|gap| *gap >= Duration::from_millis(500)),
            "{gaps:?}"
        );
        assert!(
            gaps.iter().all(|gap| *gap <= Duration::from_millis(30_001)),
            "{gaps:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_lets_all_who_wait_go_on() {
        let breaker = open();
        let (first, others) = tokio::join!(async { probe(&breaker).await.answered() }, async {
            // Asked later, so it waits behind the first.
            tokio::task::yield_now().await;
            tokio::join!(breaker.admit(), breaker.admit())
        });
        let () = first;
        assert!(matches!(others, (Admission::Usual, Admission::Usual)));
        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_leaves_the_turn_to_the_next() {
        let breaker = open();
        assert!(
            tokio::time::timeout(Duration::from_millis(1), breaker.admit())
                .await
                .is_err()
        );
        drop(probe(&breaker).await);
        probe(&breaker).await.answered();
        assert!(matches!(breaker.admit().await, Admission::Usual));
    }
}
