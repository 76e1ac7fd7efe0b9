//! A process that ends without a word.

use std::collections::BTreeSet;

use crate::cluster::{Sent, until};
use crate::subject::{Reply, Subject, fixed, millis, text};

#[tokio::test(flavor = "multi_thread")]
async fn every_record_ends_somewhere_however_often_the_runner_dies() {
    const RECORDS: usize = 1_000;
    let subject = Subject::new("crash", 3, fixed(5, 1), &[millis(50)]).await;
    let is_poor = |number: usize| number % 20 == 7;
    let records: Vec<_> = (0..RECORDS)
        .map(|number| Sent::new((number % 3) as i32, &format!("k{}", number % 40), number))
        .collect();
    subject.send(&records).await;
    let script = move |record: &cdc_event::Record, _| {
        let number: usize = text(record).parse().unwrap();
        if is_poor(number) {
            Reply::transient()
        } else {
            Reply::success().after(millis(2))
        }
    };
    for round in 1..=4 {
        let running = subject.start(script);
        let before = subject.calls.count();
        subject.calls.reach(before + 100 * round).await;
        running.crash().await;
    }
    let running = subject.start(script);
    let poor: BTreeSet<_> = (0..RECORDS)
        .filter(|number| is_poor(*number))
        .map(|number| number.to_string())
        .collect();
    let good: BTreeSet<_> = (0..RECORDS)
        .filter(|number| !is_poor(*number))
        .map(|number| number.to_string())
        .collect();
    let succeeded = || -> BTreeSet<String> {
        let calls = subject.calls.all();
        calls
            .iter()
            .filter(|call| call.succeeded)
            .map(crate::subject::Call::text)
            .collect()
    };
    until("all good ones are done", || succeeded() == good).await;
    subject.until_committed(RECORDS).await;
    let all_dead = tokio::time::timeout(crate::cluster::DEADLINE, async {
        loop {
            let dead: BTreeSet<_> = subject
                .dead_letters()
                .await
                .iter()
                .map(Sent::text)
                .collect();
            if dead == poor {
                return;
            }
        }
    });
    all_dead.await.expect("dead letters are missing");
    running.stop().await;
}
