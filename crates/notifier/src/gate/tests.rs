use std::num::NonZeroU32;

use super::*;

const PATIENCE: Duration = Duration::from_millis(100);
const FAILED: Sign = Sign::Bad {
    answered: false,
    pause: None,
};

fn gate(max_concurrency: u32, rate_per_second: Option<f64>) -> Arc<Gate> {
    gate_left(None, max_concurrency, rate_per_second)
}

fn gate_left(
    closing: Option<Closing>,
    max_concurrency: u32,
    rate_per_second: Option<f64>,
) -> Arc<Gate> {
    let limits = Limits {
        max_concurrency: NonZeroU32::new(max_concurrency).unwrap(),
        rate_per_second,
        ordered: false,
    };
    let pause = RetryPolicy::new(Duration::from_secs(10), Duration::from_secs(60));
    Arc::new(Gate::new(limits, Breaker { failures: 3, pause }, closing))
}

async fn enter(gate: &Arc<Gate>) -> Pass {
    gate.enter(PATIENCE).await.unwrap()
}

async fn fail(gate: &Arc<Gate>, times: u32) {
    for _ in 0..times {
        enter(gate).await.end(FAILED);
    }
}

async fn hold(gate: &Arc<Gate>) -> Vec<Pass> {
    let mut passes = Vec::new();
    while let Ok(pass) = gate.enter(Duration::ZERO).await {
        passes.push(pass);
    }
    passes
}

#[tokio::test(start_paused = true)]
async fn a_stranger_gets_one_request_and_each_success_doubles_them_up_to_the_limit() {
    let gate = gate(6, None);
    for expected in [1, 2, 4, 6, 6] {
        assert_eq!(hold(&gate).await.len(), expected);
        enter(&gate).await.end(Sign::Good);
    }
    enter(&gate).await.end(FAILED);
    assert_eq!(hold(&gate).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_waits_enters_when_there_is_room_and_is_refused_when_there_is_none() {
    let gate = gate(1, None);
    let first = enter(&gate).await;
    let mut waiting = tokio::task::JoinSet::new();
    waiting.spawn({
        let gate = Arc::clone(&gate);
        async move { gate.enter(PATIENCE).await.map(drop) }
    });
    tokio::time::sleep(PATIENCE / 2).await;
    drop(first);
    assert!(waiting.join_next().await.unwrap().unwrap().is_ok());

    let _held = enter(&gate).await;
    let started = Instant::now();
    assert!(matches!(
        gate.enter(PATIENCE).await,
        Err(Refusal::Busy { .. })
    ));
    assert_eq!(started.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_behind_a_request_that_is_overdue() {
    let gate = gate(8, None);
    let mut hanging = enter(&gate).await;
    hanging.stall();
    let started = Instant::now();
    assert!(matches!(
        gate.enter(PATIENCE).await,
        Err(Refusal::Busy { .. })
    ));
    assert_eq!(started.elapsed(), Duration::ZERO);
    hanging.end(Sign::Good);
    assert!(enter(&gate).await.trusted);
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_close_it_and_one_probe_at_a_time_opens_it_again() {
    let gate = gate(8, None);
    fail(&gate, 2).await;
    assert_eq!(gate.closing(), None);
    assert_eq!(enter(&gate).await.end(FAILED), Some(Change::Closed));
    let Err(Refusal::Closed { retry_after }) = gate.enter(PATIENCE).await else {
        panic!("it is open");
    };
    assert!((Duration::from_secs(5)..=Duration::from_secs(10)).contains(&retry_after));
    tokio::time::sleep(retry_after).await;
    let probe = enter(&gate).await;
    assert!(
        matches!(gate.enter(PATIENCE).await, Err(Refusal::Closed { .. })),
        "a second probe"
    );
    assert_eq!(probe.end(FAILED), Some(Change::StillClosed));
    assert_eq!(gate.closing().unwrap().failures, 4);
    assert!(matches!(
        gate.enter(PATIENCE).await,
        Err(Refusal::Closed { .. })
    ));
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(enter(&gate).await.end(Sign::Good), Some(Change::Opened));
    assert_eq!(gate.closing(), None);
    assert!(enter(&gate).await.trusted);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_left_closed_stays_so_and_is_then_asked_one_request_at_a_time() {
    let left = Duration::from_secs(30);
    let closing = Closing { failures: 5, left };
    let gate = gate_left(Some(closing), 8, None);
    assert_eq!(gate.closing(), Some(closing));
    assert_eq!(
        gate.enter(PATIENCE).await.map(drop),
        Err(Refusal::Closed { retry_after: left })
    );
    tokio::time::sleep(left).await;
    let probe = enter(&gate).await;
    assert!(gate.enter(PATIENCE).await.is_err(), "a second probe");
    assert_eq!(probe.end(Sign::Good), Some(Change::Opened));
}

#[tokio::test(start_paused = true)]
async fn a_success_between_failures_keeps_it_open() {
    let gate = gate(8, None);
    for _ in 0..10 {
        fail(&gate, 2).await;
        enter(&gate).await.end(Sign::Good);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_asks_for_a_pause_closes_it_for_all() {
    let gate = gate(8, None);
    let pause = Some(Duration::from_secs(30));
    enter(&gate).await.end(Sign::Bad {
        answered: true,
        pause,
    });
    let refused = gate.enter(PATIENCE).await.map(drop);
    assert_eq!(
        refused,
        Err(Refusal::Closed {
            retry_after: Duration::from_secs(30)
        })
    );
    tokio::time::sleep(Duration::from_secs(30)).await;
    enter(&gate).await;
}

#[tokio::test(start_paused = true)]
async fn keeps_the_rate_and_says_when_to_come_again() {
    let gate = gate(8, Some(2.0));
    for _ in 0..2 {
        enter(&gate).await.end(Sign::Good);
    }
    let Err(Refusal::RateLimited { retry_after }) = gate.enter(PATIENCE).await else {
        panic!("too many");
    };
    assert!(
        retry_after > PATIENCE && retry_after < Duration::from_secs(1),
        "{retry_after:?}"
    );
    gate.enter(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_makes_room() {
    let gate = gate(1, None);
    let mut pass = enter(&gate).await;
    pass.stall();
    drop(pass);
    enter(&gate).await;
}
