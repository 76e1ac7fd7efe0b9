//! Kafka goes away while failed records are on their way.

use std::collections::BTreeSet;

use cdc_event::{Attempt, Record};
use recovery::BlockingRetry;

use crate::cluster::{Sent, until};
use crate::own_kafka::{OwnKafka, SHORT_SESSION};
use crate::subject::{Reply, Subject, millis, text};

const RECORDS: usize = 400;

/// What becomes of a record: 0 fails for ever, 1 succeeds at the third attempt, the others at the first.
fn kind(record: &Record) -> usize {
    text(record).parse::<usize>().unwrap() % 4
}

fn script(record: &Record, attempt: Attempt) -> Reply {
    let fails = match kind(record) {
        0 => true,
        1 => attempt.number.get() < 3,
        _ => false,
    };
    let reply = if fails {
        Reply::transient()
    } else {
        Reply::success()
    };
    reply.after(millis(40))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_crashes_while_records_are_retried_loses_none_and_no_attempt() {
    let kafka = OwnKafka::start(SHORT_SESSION).await;
    let mut options = kafka.options.clone();
    // The client looks for the broker often enough to notice when it is back.
    let (name, value) = ("reconnect.backoff.max.ms", "500");
    options.client.insert(name.into(), value.into());
    let tiers = [millis(2_000); 3];
    let mut subject = Subject::on(options, "outage", 2, BlockingRetry::None, &tiers).await;
    subject.settings.concurrency = 8.try_into().unwrap();
    let records: Vec<_> = (0..RECORDS)
        .map(|number| Sent::new((number % 2) as i32, &format!("k{number}"), number))
        .collect();
    subject.send(&records).await;
    let running = subject.start(script);

    // Some are handed over, some are tried for the first time, and most were not read yet.
    until("some are handed over", || running.snapshot().retried >= 20).await;
    assert!(subject.calls.count() < RECORDS, "all were tried");
    tokio::task::block_in_place(|| kafka.crash());
    let of_kind = |wanted: &'static [usize]| {
        let all = (0..RECORDS).filter(|number| wanted.contains(&(number % 4)));
        all.map(|number| number.to_string())
            .collect::<BTreeSet<_>>()
    };
    let succeeded = || -> BTreeSet<String> {
        let calls = subject.calls.all().into_iter();
        calls
            .filter(|call| call.succeeded)
            .map(|call| call.text())
            .collect()
    };
    let (bad, good) = (of_kind(&[0]), of_kind(&[2, 3]));
    until("the good ones are done", || succeeded().is_superset(&good)).await;
    subject.until_committed(RECORDS).await;
    assert!(running.snapshot().dead_letters < bad.len() as u64);
    // Now all that is left waits in a retry topic, or is on its way to the next.
    tokio::task::block_in_place(|| kafka.crash());

    until("all but the bad ones are done", || {
        succeeded() == of_kind(&[1, 2, 3])
    })
    .await;
    until("as many dead letters as bad ones", || {
        running.snapshot().dead_letters >= bad.len() as u64
    })
    .await;
    until("nothing is held", || running.snapshot().held == 0).await;
    assert_eq!(running.snapshot().stuck, 0);
    // The same runner all the time.
    running.stop().await;

    let letters = subject.dead_letters().await;
    let dead: BTreeSet<_> = letters.iter().map(Sent::text).collect();
    assert_eq!(dead, bad);
    for letter in &letters {
        assert_eq!(letter.header("cdc-attempts"), Some(vec![0, 0, 0, 4]));
    }
    for number in 0..RECORDS {
        let calls = subject.calls.of(&number.to_string());
        let attempts: BTreeSet<_> = calls.iter().map(|call| call.attempt.number.get()).collect();
        let wanted = 1..=[4, 3, 1, 1][number % 4];
        assert!(attempts.into_iter().eq(wanted), "{number}: {calls:?}");
    }
    // What was done and not committed is done again after a crash: at worst all of it after each of the two.
    let planned = (4 + 3 + 1 + 1) * RECORDS / 4;
    let calls = subject.calls.count();
    assert!(calls <= planned * 3, "{calls} calls for {planned}");
}
