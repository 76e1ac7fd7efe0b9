//! Ordered mode: the records of a key wait for one of them that failed, whatever keeps them meanwhile: each of these is
//! promised by all that do.

mod cost;
mod faulty_log;
mod grown;
pub(crate) mod kept;
mod redirected;
mod storm;

#[expect(dead_code, reason = "the tests of the lanes alone use all of it")]
#[path = "../../../ordered-lanes/tests/it/model/faulty.rs"]
mod faulty;

use cdc_event::{Failure, Record};
use ordered_lanes::DeadHead;

use self::kept::{Backend, Kept, redirect_of};
use crate::cluster::{self, Sent, until};
use crate::subject::{Calls, FAILED, Reply, Subject, error, fixed, millis, text};

/// A subject that keeps the order of its keys.
async fn subject(
    label: &str,
    backend: Backend,
    policy: DeadHead,
    tiers: &[u64],
) -> (Subject, Kept) {
    let kept = Kept::new(backend, policy).await;
    let tiers: Vec<_> = tiers.iter().map(|tier| millis(*tier)).collect();
    let mut subject = Subject::new(label, 1, fixed(5, 1), &tiers).await;
    subject.settings.ordering = kept.ordering();
    subject.owns(redirect_of(&subject));
    (subject, kept)
}

fn records(values: &[(&str, &str)]) -> Vec<Sent> {
    let record = |(key, value): &(&str, &str)| Sent::new(0, key, value);
    values.iter().map(record).collect()
}

/// The values of a key, in the order in which they succeeded.
fn effects(calls: &Calls, key: &str) -> Vec<String> {
    let of_key = calls
        .all()
        .into_iter()
        .filter(|call| call.key() == key && call.succeeded);
    of_key.map(|call| call.text()).collect()
}

async fn until_effects(calls: &Calls, key: &str, wanted: &[&str]) {
    until(&format!("{wanted:?} of {key}"), || {
        effects(calls, key) == wanted
    })
    .await;
}

async fn what_comes_after_a_failure_waits_and_other_keys_go_on(backend: Backend) {
    let (subject, kept) = subject("order", backend, DeadHead::Hold, &[300, 300]).await;
    let script = |record: &Record, attempt: cdc_event::Attempt| match text(record).as_str() {
        // Once more in its place, twice after a delay.
        "up-1" if attempt.number.get() < 4 => Reply::transient(),
        _ => Reply::success(),
    };
    let running = subject.start(script);
    subject
        .send(&records(&[
            ("mage", "up-1"),
            ("mage", "up-2"),
            ("elf", "up-1b"),
            ("mage", "up-3"),
        ]))
        .await;
    until_effects(&subject.calls, "elf", &["up-1b"]).await;
    assert!(effects(&subject.calls, "mage").is_empty());
    until("all are committed although some wait", || {
        subject.calls.of("up-1").len() >= 3
    })
    .await;
    until_effects(&subject.calls, "mage", &["up-1", "up-2", "up-3"]).await;
    let attempts: Vec<_> = subject
        .calls
        .of("up-1")
        .iter()
        .map(|call| call.attempt.number.get())
        .collect();
    assert_eq!(attempts, [1, 2, 3, 4]);
    running.stop().await;
    assert_eq!(subject.committed().await, [4]);
    assert!(cluster::read(&subject.retry_topic(1)).await.is_empty());
    assert_eq!(kept.waiting(&subject).await, 0);
}

async fn a_record_without_key_waits_for_none(backend: Backend) {
    let (subject, _kept) = subject("nokey", backend, DeadHead::Hold, &[60_000]).await;
    let running = subject.start(|record, _| match text(record).as_str() {
        "bad" => Reply::transient(),
        _ => Reply::success(),
    });
    let keyless = |value: &str| Sent {
        key: None,
        ..Sent::new(0, "", value)
    };
    subject.send(&[keyless("bad"), keyless("good")]).await;
    subject.calls.reach_successes(1).await;
    running.stop().await;
}

/// Runs "bad" and what is behind it, which fails for good, and one of another key.
async fn with_dead_head(
    backend: Backend,
    policy: DeadHead,
) -> (Subject, Kept, crate::subject::Running) {
    let (subject, kept) = subject("dead", backend, policy, &[50]).await;
    let running = subject.start(|record, _| match text(record).as_str() {
        "bad" => Reply::transient(),
        "poison" => Reply::poison(),
        _ => Reply::success(),
    });
    subject
        .send(&records(&[
            ("a", "0"),
            ("a", "bad"),
            ("a", "2"),
            ("b", "b"),
            ("a", "3"),
        ]))
        .await;
    (subject, kept, running)
}

async fn until_dead(subject: &Subject, wanted: &[&str]) -> Vec<Sent> {
    cluster::soon(async {
        loop {
            let letters = subject.dead_letters().await;
            if letters.iter().map(Sent::text).collect::<Vec<_>>() == wanted {
                return letters;
            }
        }
    })
    .await
}

async fn what_is_behind_a_dead_head_is_held_until_it_is_replayed(backend: Backend) {
    let (subject, kept, running) = with_dead_head(backend, DeadHead::Hold).await;
    let letters = until_dead(&subject, &["bad"]).await;
    kept.until_held(&subject, 1).await;
    assert_eq!(effects(&subject.calls, "a"), ["0"]);
    assert_eq!(effects(&subject.calls, "b"), ["b"]);
    // In its place, after a delay, then dead; as it would be without order.
    assert_eq!(letters[0].header("cdc-attempts"), Some(vec![0, 0, 0, 3]));
    running.stop().await;

    // Whatever was wrong is repaired.
    let running = subject.start(|_, _| Reply::success());
    kept.replay(&subject, &letters[0], "bad, corrected").await;
    until_effects(&subject.calls, "a", &["0", "bad, corrected", "2", "3"]).await;
    let replayed = subject.calls.of("bad, corrected");
    assert_eq!(replayed.len(), 1);
    assert_eq!(replayed[0].attempt.number.get(), 4);
    kept.until_empty(&subject).await;
    running.stop().await;
}

async fn a_replay_that_fails_again_holds_its_key_again(backend: Backend) {
    let (subject, kept, running) = with_dead_head(backend, DeadHead::Hold).await;
    let letters = until_dead(&subject, &["bad"]).await;
    kept.until_held(&subject, 1).await;
    kept.replay(&subject, &letters[0], "bad").await;
    let again = until_dead(&subject, &["bad", "bad"]).await;
    kept.until_held(&subject, 1).await;
    assert_eq!(again[1].header("cdc-attempts"), Some(vec![0, 0, 0, 4]));
    assert_eq!(effects(&subject.calls, "a"), ["0"]);
    running.stop().await;
}

async fn what_is_behind_a_dead_head_goes_on_without_it(backend: Backend) {
    let (subject, kept, running) = with_dead_head(backend, DeadHead::Skip).await;
    until_dead(&subject, &["bad"]).await;
    until_effects(&subject.calls, "a", &["0", "2", "3"]).await;
    assert_eq!(kept.statuses(&subject).await, ["skipped"]);
    running.stop().await;
}

async fn what_is_behind_a_dead_head_is_dead_with_it_and_what_comes_later_is_not(backend: Backend) {
    let (subject, kept, running) = with_dead_head(backend, DeadHead::DeadLetterLane).await;
    let letters = until_dead(&subject, &["bad", "2", "3"]).await;
    let code = |letter: &Sent| {
        let code = letter.header("cdc-error-code").unwrap();
        String::from_utf8(code).unwrap()
    };
    let codes: Vec<_> = letters.iter().map(code).collect();
    assert_eq!(codes, ["failed", "behind-dead-head", "behind-dead-head"]);
    kept.until_empty(&subject).await;
    subject.send(&records(&[("a", "4")])).await;
    until_effects(&subject.calls, "a", &["0", "4"]).await;
    assert!(subject.calls.of("2").is_empty(), "it was never tried");
    running.stop().await;
}

async fn poison_at_the_first_attempt_holds_its_key(backend: Backend) {
    let (subject, kept) = subject("poison", backend, DeadHead::Hold, &[50]).await;
    let running = subject.start(|record, _| match text(record).as_str() {
        "bad" => Reply::poison(),
        _ => Reply::success(),
    });
    subject
        .send(&records(&[("a", "bad"), ("a", "1"), ("b", "b")]))
        .await;
    until_dead(&subject, &["bad"]).await;
    until_effects(&subject.calls, "b", &["b"]).await;
    kept.until_held(&subject, 1).await;
    kept.until_waiting(&subject, 2).await;
    assert_eq!(subject.calls.of("1").len(), 0);
    running.stop().await;
}

async fn parts_that_failed_are_tried_alone_and_the_key_waits_for_all_of_them(backend: Backend) {
    let (subject, kept) = subject("parts", backend, DeadHead::Hold, &[50, 50, 50]).await;
    let running = subject.start(|record, attempt| {
        let part = record.part.as_ref().map(|part| part.as_str().to_owned());
        match (text(record).as_str(), part.as_deref()) {
            ("0", None) => Reply::now(Err(crate::parts::failed(&["x", "y"]))),
            ("0", Some("y")) if attempt.number.get() < 4 => Reply::transient(),
            _ => Reply::success(),
        }
    });
    subject.send(&records(&[("a", "0"), ("a", "1")])).await;
    until_effects(&subject.calls, "a", &["0", "0", "1"]).await;
    let parts: Vec<_> = subject
        .calls
        .all()
        .into_iter()
        .filter(|call| call.succeeded && call.text() == "0")
        .map(|call| call.record.part.unwrap().to_string())
        .collect();
    assert_eq!(parts, ["x", "y"]);
    kept.until_empty(&subject).await;
    running.stop().await;
}

async fn a_fatal_failure_of_what_waits_stops_the_runner_and_gives_nothing_up(backend: Backend) {
    let (subject, kept) = subject("fatal", backend, DeadHead::Hold, &[50]).await;
    let running = subject.start(|_, attempt| match attempt.number.get() {
        1 | 2 => Reply::transient(),
        _ => Reply::now(Err(Failure::fatal(error(FAILED)))),
    });
    subject.send(&records(&[("a", "0"), ("a", "1")])).await;
    let ended = running.end().await.unwrap_err();
    assert!(matches!(ended, recovery::Error::Handler(_)), "{ended:?}");
    assert!(subject.dead_letters().await.is_empty());
    kept.until_waiting(&subject, 2).await;
}

async fn what_kills_whoever_handles_it_is_given_up(backend: Backend) {
    let (subject, kept) = subject("lost", backend, DeadHead::Hold, &[60_000]).await;
    let running = subject.start(|_, _| Reply::transient());
    subject.send(&records(&[("a", "0")])).await;
    kept.until_waiting(&subject, 1).await;
    running.stop().await;
    kept.lose(&subject, 5).await;
    let running = subject.start(|_, _| Reply::transient());
    let letters = until_dead(&subject, &["0"]).await;
    assert_eq!(
        (
            letters[0].header("cdc-error-code"),
            letters[0].header("cdc-attempts")
        ),
        (Some(b"worker-lost".to_vec()), Some(vec![0, 0, 0, 8]))
    );
    assert_eq!(subject.calls.count(), 2);
    running.stop().await;
}

async fn a_topic_that_was_made_anew_loses_nothing(backend: Backend) {
    let (subject, kept) = subject("anew", backend, DeadHead::Hold, &[60_000]).await;
    let fails = |record: &Record, _: cdc_event::Attempt| match text(record).as_str() {
        "old" => Reply::transient(),
        _ => Reply::success(),
    };
    let running = subject.start(fails);
    let filler = [("z", "0"), ("z", "1"), ("z", "2"), ("a", "old")];
    subject.send(&records(&filler)).await;
    kept.until_waiting(&subject, 1).await;
    running.stop().await;
    kept.make_anew(&subject.topic).await;

    let running = subject.start(|_, _| Reply::success());
    subject.send(&records(&[("a", "new"), ("b", "b")])).await;
    until_effects(&subject.calls, "b", &["b"]).await;
    // At offset 0, where "old" was at 3: behind it, and not taken for what was read before.
    kept.until_waiting(&subject, 2).await;
    running.stop().await;
    kept.hurry(&subject).await;
    let running = subject.start(|_, _| Reply::success());
    until_effects(&subject.calls, "a", &["old", "new"]).await;
    running.stop().await;
}

/// Each for each of what keeps the order.
macro_rules! for_each_backend {
    ($($name:ident),+ $(,)?) => {
        for_each_backend!(@lanes Lanes $($name)+);
        for_each_backend!(@redirect Redirect $($name)+);
    };
    (@$module:ident $backend:ident $($name:ident)+) => {
        mod $module {
            use super::kept::Backend;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(Backend::$backend).await;
                }
            )+
        }
    };
}

use self::cost::a_key_that_fails_for_ever_costs_the_others_next_to_nothing;
use self::storm::keeps_the_order_of_each_key_and_loses_nothing_whatever_fails;

for_each_backend!(
    a_key_that_fails_for_ever_costs_the_others_next_to_nothing,
    keeps_the_order_of_each_key_and_loses_nothing_whatever_fails,
    what_comes_after_a_failure_waits_and_other_keys_go_on,
    a_record_without_key_waits_for_none,
    what_is_behind_a_dead_head_is_held_until_it_is_replayed,
    a_replay_that_fails_again_holds_its_key_again,
    what_is_behind_a_dead_head_goes_on_without_it,
    what_is_behind_a_dead_head_is_dead_with_it_and_what_comes_later_is_not,
    poison_at_the_first_attempt_holds_its_key,
    parts_that_failed_are_tried_alone_and_the_key_waits_for_all_of_them,
    a_fatal_failure_of_what_waits_stops_the_runner_and_gives_nothing_up,
    what_kills_whoever_handles_it_is_given_up,
    a_topic_that_was_made_anew_loses_nothing,
);
