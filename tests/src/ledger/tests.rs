use super::*;

fn committed(key: u16, seq: u64) -> Event {
    Event {
        key: Key(key),
        seq: Seq(seq),
        fate: Fate::Committed,
    }
}

/// A ledger that was promised `promised` events of key 0 and received the numbers in `received`.
fn ledger(promised: u64, received: &[u64]) -> Ledger {
    let mut ledger = Ledger::default();
    for seq in 1..=promised {
        ledger.promise(committed(0, seq));
    }
    for &seq in received {
        ledger.receive(committed(0, seq), 0);
    }
    ledger
}

#[test]
fn everything_in_order_is_clean() {
    let verdict = ledger(3, &[1, 2, 3]).verdict(Delivery::AtLeastOnce);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(
        (verdict.committed, verdict.received, verdict.duplicates),
        (3, 3, 0)
    );
}

#[test]
fn a_redelivered_tail_is_clean_and_counted() {
    let verdict = ledger(4, &[1, 2, 3, 2, 3, 4]).verdict(Delivery::AtLeastOnce);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(verdict.duplicates, 2);
    assert_eq!(verdict.duplicate_percent(), 50.0);
}

#[test]
fn finds_a_loss_at_the_end() {
    let verdict = ledger(3, &[1, 2]).verdict(Delivery::AtLeastOnce);
    assert_eq!(verdict.lost, 1);
    assert!(!verdict.is_clean());
    assert_eq!(verdict.examples, ["3 of key k0 never came"]);
}

#[test]
fn finds_a_loss_in_the_middle() {
    let verdict = ledger(4, &[1, 2, 4]).verdict(Delivery::AtLeastOnce);
    assert_eq!((verdict.lost, verdict.order_violations), (1, 1));
}

#[test]
fn finds_a_swap_even_if_both_came() {
    let verdict = ledger(3, &[1, 3, 2]).verdict(Delivery::AtLeastOnce);
    assert_eq!((verdict.lost, verdict.order_violations), (0, 1));
    assert!(!verdict.is_clean());
}

#[test]
fn keys_are_judged_apart() {
    let mut ledger = Ledger::default();
    for (key, seq) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
        ledger.promise(committed(key, seq));
    }
    for (key, seq) in [(2, 1), (2, 2), (1, 1), (1, 2)] {
        ledger.receive(committed(key, seq), i32::from(key));
    }
    assert!(ledger.verdict(Delivery::AtLeastOnce).is_clean());
}

#[test]
fn a_key_in_two_partitions_breaks_the_order() {
    let mut ledger = ledger(2, &[1]);
    ledger.receive(committed(0, 2), 5);
    assert_eq!(ledger.verdict(Delivery::AtLeastOnce).order_violations, 1);
}

#[test]
fn finds_rolled_back_events() {
    let mut ledger = ledger(1, &[1]);
    let ghost = Event {
        fate: Fate::RolledBack,
        ..committed(0, 1)
    };
    ledger.promise(ghost);
    assert!(ledger.verdict(Delivery::AtLeastOnce).is_clean());
    ledger.receive(ghost, 0);
    ledger.receive(ghost, 0);
    let verdict = ledger.verdict(Delivery::AtLeastOnce);
    assert_eq!((verdict.rolled_back, verdict.rolled_back_seen), (1, 1));
    assert!(!verdict.is_clean());
}

#[test]
fn finds_events_that_nobody_committed() {
    assert_eq!(
        ledger(2, &[1, 2, 3]).verdict(Delivery::AtLeastOnce).unknown,
        1
    );
    assert_eq!(
        ledger(2, &[1, 2, 5]).verdict(Delivery::AtLeastOnce).unknown,
        1
    );
    let mut ledger = ledger(1, &[1]);
    ledger.receive_foreign(Foreign("what is this".into()));
    let verdict = ledger.verdict(Delivery::AtLeastOnce);
    assert_eq!(verdict.unknown, 1);
    assert!(
        verdict
            .require_clean()
            .unwrap_err()
            .to_string()
            .contains("what is this")
    );
}

#[test]
fn a_record_may_be_seen_before_its_commit_is_known() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.receive(committed(0, 1), 0), Received::First);
    assert!(ledger.has_seen(committed(0, 1)));
    ledger.promise(committed(0, 1));
    assert!(ledger.verdict(Delivery::AtLeastOnce).is_clean());
    assert_eq!(ledger.missing(), 0);
}

#[test]
fn an_empty_run_proves_nothing() {
    assert!(
        Ledger::default()
            .verdict(Delivery::AtLeastOnce)
            .require_clean()
            .is_err()
    );
}
