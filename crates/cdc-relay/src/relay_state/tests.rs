use std::thread::yield_now;

use pg_replication::PgTimestamp;

use super::*;

fn state(wire_timeout: Duration) -> RelayState {
    RelayState::new(wire_timeout, RelayMetrics::new(None))
}

fn in_flight(records: usize) -> InFlight {
    InFlight {
        records,
        bytes: records * 100,
    }
}

/// The state as it is when its clocks started `ago` earlier.
fn aged(wire_timeout: Duration, ago: Duration) -> RelayState {
    let mut state = state(wire_timeout);
    state.started = Instant::now().checked_sub(ago).unwrap();
    state
}

#[test]
fn is_healthy_while_it_waits_for_postgres_or_kafka() {
    let state = aged(Duration::from_secs(1), Duration::from_secs(60));
    for phase in [Phase::Connecting, Phase::Standby, Phase::Draining] {
        state.enter(phase);
        assert_eq!(state.alive(), Ok(()), "{phase:?}");
        assert!(state.ready().is_err(), "{phase:?}");
    }
    state.enter(Phase::Streaming);
    assert_eq!(state.ready(), Ok(()));
}

#[test]
fn is_unhealthy_when_the_wire_is_silent() {
    let state = state(Duration::ZERO);
    state.enter(Phase::Streaming);
    let unwell = state.alive().unwrap_err();
    assert!(
        unwell.reason.contains("nothing came from PostgreSQL"),
        "{unwell:?}"
    );
    assert_eq!(state.ready(), Err(unwell));
}

#[test]
fn silence_is_no_sign_of_death_while_nothing_is_read() {
    let state = state(Duration::ZERO);
    state.enter(Phase::Streaming);
    let unread = state.not_reading();
    assert_eq!(state.alive(), Ok(()));
    assert!(state.snapshot().back_pressure);
    drop(unread);
    assert!(state.alive().is_err());
}

#[test]
fn is_not_ready_when_kafka_acknowledges_nothing() {
    let state = aged(Duration::from_secs(3600), Duration::from_secs(60));
    state.enter(Phase::Streaming);
    // One record waits, and that was so already half a minute ago.
    state.progress(Lsn::new(1), Lsn::new(1), in_flight(1));
    state.kafka_ms.store(30_000, Ordering::Relaxed);
    state.progress(Lsn::new(1), Lsn::new(1), in_flight(2));
    assert!(state.ready().unwrap_err().reason.contains("Kafka"));
    assert_eq!(state.alive(), Ok(()), "a restart would not help");

    state.metrics.events.increment(1);
    state.progress(Lsn::new(1), Lsn::new(1), in_flight(1));
    assert_eq!(state.ready(), Ok(()));
}

#[test]
fn is_not_ready_while_it_waits_for_kafka_as_a_whole() {
    let state = state(Duration::from_secs(3600));
    state.enter(Phase::Streaming);
    state.failed(&Failure::new(ErrorCode::KafkaUnreachable, "down", "wait"));
    assert!(state.ready().unwrap_err().reason.contains("Kafka"));
    assert!(!state.snapshot().kafka_answers);
    assert_eq!(state.alive(), Ok(()), "a restart would not help");
    state.recovered();
    assert_eq!(state.ready(), Ok(()));
}

#[test]
fn an_event_after_a_long_idle_time_does_not_make_kafka_late() {
    let state = aged(Duration::from_secs(3600), Duration::from_secs(60));
    state.enter(Phase::Streaming);
    state.kafka_ms.store(0, Ordering::Relaxed);
    state.progress(Lsn::new(1), Lsn::new(1), in_flight(1));
    assert_eq!(state.ready(), Ok(()));
}

#[test]
fn lag_is_zero_when_nothing_waits_and_grows_when_something_does() {
    let state = state(Duration::from_secs(3600));
    assert_eq!(state.snapshot().lag_seconds, None);
    state.enter(Phase::Streaming);
    assert_eq!(state.snapshot().lag_seconds, Some(0.0));
    let committed = PgTimestamp::from_micros(0);
    state.metrics.acknowledged(committed, PgTimestamp::now());
    state.progress(Lsn::new(10), Lsn::new(4), in_flight(3));
    let snapshot = state.snapshot();
    assert!(snapshot.lag_seconds.unwrap() >= 5.0, "{snapshot:?}");
    assert_eq!(snapshot.unconfirmed_bytes, 6);
    assert_eq!(snapshot.in_flight_events, 3);
}

#[test]
fn the_last_error_stays_visible_after_recovery() {
    let state = state(Duration::from_secs(1));
    state.failed(&Failure::new(
        ErrorCode::PostgresUnreachable,
        "gone",
        "wait",
    ));
    let error = state.snapshot().last_error.unwrap();
    assert_eq!((error.code.as_str(), error.current), ("CDC0010", true));
    state.enter(Phase::Streaming);
    assert!(!state.snapshot().last_error.unwrap().current);
}

#[test]
fn a_phase_counts_from_when_it_was_entered() {
    let state = state(Duration::from_secs(1));
    state.enter(Phase::Standby);
    let entered = Instant::now();
    while entered.elapsed() < Duration::from_millis(20) {
        yield_now();
    }
    let before = state.snapshot().phase_seconds;
    state.enter(Phase::Standby);
    assert!(
        state.snapshot().phase_seconds >= before,
        "entering it again does not start it anew"
    );
    state.enter(Phase::Connecting);
    assert!(state.snapshot().phase_seconds < before);
}
