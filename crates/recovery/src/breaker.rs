//! Tells an outage from records that fail.

use std::sync::atomic::{AtomicU64, Ordering};
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
    era: AtomicU64,
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

/// Counts the beginnings and ends of outages: during one it is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Era(u64);

/// What became of an attempt, as far as it tells of an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It went all the way, just now.
    Success,
    /// The handler works well enough to tell this record, or a part of it, from others: it did at some time since the
    /// attempt began.
    Verdict,
    /// It failed, as others would at that time.
    Failure,
}

/// Permission to make an attempt.
#[derive(Debug)]
pub(crate) enum Admission<'a> {
    /// All is well, in this era.
    Usual(Era),
    /// There is an outage, and this attempt finds out whether it is over.
    Probe(Probe<'a>),
}

/// The attempt that finds out. Dropping it says nothing.
#[derive(Debug)]
pub(crate) struct Probe<'a> {
    breaker: &'a Breaker,
    era: Era,
    _turn: Option<SemaphorePermit<'a>>,
}

impl Breaker {
    pub(crate) fn new(settings: Option<BreakerSettings>, gauge: Gauge) -> Self {
        let times = settings.unwrap_or_default();
        Self {
            settings,
            window: AtomicU64::new(0),
            era: AtomicU64::new(0),
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
        self.era().is_outage()
    }

    /// The present era. To be asked before an attempt begins.
    pub(crate) fn era(&self) -> Era {
        Era(self.era.load(Ordering::SeqCst))
    }

    /// Notes what became of an attempt that began in this era. To be called once a record for failures, and for all
    /// else each time.
    pub(crate) fn note(&self, began: Era, sign: Sign) {
        let Some(settings) = self.settings else {
            return;
        };
        let now = self.era();
        if began != now && sign != Sign::Success {
            // What it saw may have been before the outage began, or ended.
            return;
        }
        if now.is_outage() {
            if sign != Sign::Failure {
                self.end_outage(now);
            }
            return;
        }
        let failed = sign == Sign::Failure;
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
            self.begin_outage(now);
        }
    }

    /// Resolves when an attempt may be made. Cancel safe: the turn goes to the next who waits.
    pub(crate) async fn admit(&self) -> Admission<'_> {
        // Listening before looking: an end in between is not missed.
        let mut changed = self.changed.subscribe();
        loop {
            let era = self.era();
            if !era.is_outage() {
                return Admission::Usual(era);
            }
            tokio::select! {
                biased;
                // The sender is in `self`.
                _ = changed.changed() => {}
                probe = self.my_turn() => {
                    if probe.era.is_outage() {
                        return Admission::Probe(probe);
                    }
                }
            }
        }
    }

    async fn my_turn(&self) -> Probe<'_> {
        // It is never closed.
        let turn = self.turn.acquire().await.ok();
        let next = self.lock().next;
        sleep_until(next).await;
        Probe {
            breaker: self,
            era: self.era(),
            _turn: turn,
        }
    }

    fn begin_outage(&self, before: Era) {
        if !self.ends(before) {
            return;
        }
        self.lock().backoff.reset();
        self.next_probe();
        self.gauge.set(1.0);
        tracing::error!(
            "almost everything fails: this is taken for an outage; one record at a time is tried until one succeeds"
        );
    }

    fn end_outage(&self, outage: Era) {
        self.window.store(0, Ordering::SeqCst);
        if self.ends(outage) {
            self.gauge.set(0.0);
            tracing::info!("the outage is over");
            self.changed.send_replace(());
        }
    }

    /// Ends an era; false if another has.
    fn ends(&self, Era(now): Era) -> bool {
        let order = Ordering::SeqCst;
        let exchanged = self
            .era
            .compare_exchange(now, now.wrapping_add(1), order, order);
        exchanged.is_ok()
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

impl Era {
    pub(crate) const fn is_outage(self) -> bool {
        self.0 % 2 == 1
    }
}

impl<'a> Admission<'a> {
    /// When the attempt begins, and its task in an outage.
    pub(crate) fn into_parts(self) -> (Era, Option<Probe<'a>>) {
        match self {
            Self::Usual(era) => (era, None),
            Self::Probe(probe) => (probe.era, Some(probe)),
        }
    }
}

impl Probe<'_> {
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

    /// Notes what became of an attempt that begins and ends now.
    fn note(breaker: &Breaker, sign: Sign) {
        breaker.note(breaker.era(), sign);
    }

    fn fail(breaker: &Breaker, times: usize) {
        (0..times).for_each(|_| note(breaker, Sign::Failure));
    }

    fn open() -> Breaker {
        let breaker = breaker();
        fail(&breaker, 20);
        assert!(breaker.is_open());
        breaker
    }

    async fn probe(breaker: &Breaker) -> Probe<'_> {
        match breaker.admit().await {
            Admission::Probe(probe) => probe,
            Admission::Usual(_) => panic!("closed"),
        }
    }

    fn answer(probe: &Probe<'_>, sign: Sign) {
        probe.breaker.note(probe.era, sign);
    }

    #[test]
    fn opens_at_the_threshold() {
        let breaker = breaker();
        fail(&breaker, 17);
        assert!(!breaker.is_open());
        fail(&breaker, 1);
        assert!(breaker.is_open());
    }

    #[test]
    fn stays_closed_without_settings() {
        let breaker = Breaker::new(None, Gauge::noop());
        fail(&breaker, 100);
        assert!(!breaker.is_open());
    }

    #[test]
    fn any_success_closes_it() {
        let breaker = breaker();
        let began = breaker.era();
        fail(&breaker, 21);
        assert!(breaker.is_open());
        breaker.note(began, Sign::Success);
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_verdict_closes_it_only_if_the_attempt_began_in_the_outage() {
        let breaker = breaker();
        let before = breaker.era();
        fail(&breaker, 20);
        breaker.note(before, Sign::Verdict);
        assert!(breaker.is_open());
        let first = breaker.era();
        breaker.note(first, Sign::Verdict);
        assert!(!breaker.is_open());

        fail(&breaker, 20);
        breaker.note(first, Sign::Verdict);
        assert!(breaker.is_open(), "it was the outage before");
    }

    #[test]
    fn what_began_before_the_end_of_an_outage_and_fails_after_it_opens_nothing() {
        let breaker = breaker();
        let before = breaker.era();
        fail(&breaker, 20);
        let during = breaker.era();
        note(&breaker, Sign::Success);
        for began in [before, during] {
            (0..64).for_each(|_| breaker.note(began, Sign::Failure));
        }
        assert!(!breaker.is_open());
        fail(&breaker, 18);
        assert!(breaker.is_open());
    }

    proptest! {
        #[test]
        fn is_open_only_if_the_last_twenty_failed_almost_all(outcomes in proptest::collection::vec(any::<bool>(), 0..200)) {
            let breaker = breaker();
            let mut last = Vec::new();
            for failed in outcomes {
                note(&breaker, if failed { Sign::Failure } else { Sign::Success });
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
        let (first, others) = tokio::join!(
            async { answer(&probe(&breaker).await, Sign::Verdict) },
            async {
                // Asked later, so it waits behind the first.
                tokio::task::yield_now().await;
                tokio::join!(breaker.admit(), breaker.admit())
            }
        );
        let () = first;
        assert!(matches!(others, (Admission::Usual(_), Admission::Usual(_))));
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
        answer(&probe(&breaker).await, Sign::Success);
        assert!(matches!(breaker.admit().await, Admission::Usual(_)));
    }
}
