//! What people are to hear of endpoints waits until they have heard it.

use std::time::Duration;

use cdc_event::Failure;
use notifier::{DisabledReason, EndpointId, News, NewsKind, Settings, UntoldNews};

use crate::receiver::Behaviour;
use crate::stage::{Stage, handle, record, settings};

const HOUR: Duration = Duration::from_secs(3600);
const LEASE: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(20);

fn untold(stage: &Stage) -> UntoldNews {
    UntoldNews::new(stage.database.options(), LIMIT, Some(HOUR))
}

/// All that is due.
async fn due(untold: &mut UntoldNews) -> Vec<News> {
    untold.take(10, LEASE).await.unwrap()
}

/// The endpoint answers this to an event, of which a notifier that is new has to tell.
async fn answers(stage: &Stage, status: u16, event: &str) {
    stage.receiver.set("a", Behaviour::Answer(status));
    let settings = Settings {
        disable_after: Some(HOUR),
        breaker_failures: u32::MAX.try_into().unwrap(),
        ..settings()
    };
    let notifier = stage.notifier_with(settings).await;
    match handle(&notifier, &record(event)).await {
        Ok(()) | Err(Failure::Partial { .. }) => {}
        Err(failure) => panic!("{failure:?}"),
    }
}

/// It has failed since so many minutes, the last time a minute ago.
async fn has_failed_for(stage: &Stage, minutes: u32, last: u32) {
    stage
        .database
        .execute(&format!(
            "UPDATE cdc.endpoint SET first_failed_at = now() - interval '{minutes} minutes',
                    last_failed_at = now() - interval '{last} minutes'"
        ))
        .await;
}

async fn disabled() -> Stage {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    answers(&stage, 410, "1").await;
    stage
}

fn a() -> EndpointId {
    EndpointId::new("a").unwrap()
}

#[tokio::test]
async fn one_process_tells_it_until_it_is_told() {
    let stage = disabled().await;
    let (mut one, mut other) = (untold(&stage), untold(&stage));
    let (first, second) = tokio::join!(due(&mut one), due(&mut other));
    let taken: Vec<_> = first.into_iter().chain(second).collect();
    let [news] = taken.as_slice() else {
        panic!("not taken once: {taken:?}");
    };
    assert_eq!(
        (&news.endpoint, news.what, news.tries),
        (&a(), NewsKind::Disabled(DisabledReason::Gone), 0)
    );
    one.put_off(news, Duration::ZERO).await.unwrap();
    let again = due(&mut other).await.remove(0);
    assert_eq!((again.at, again.what, again.tries), (news.at, news.what, 1));
    other.told(&again).await.unwrap();
    one.put_off(news, Duration::ZERO).await.unwrap();
    assert_eq!(due(&mut one).await, []);
}

#[tokio::test]
async fn whoever_took_it_and_is_gone_is_followed_by_another() {
    let stage = disabled().await;
    let mut gone = untold(&stage);
    let taken = gone.take(10, Duration::ZERO).await.unwrap();
    drop(gone);
    let again = due(&mut untold(&stage)).await;
    assert_eq!((taken.len(), again.len()), (1, 1));
    assert_eq!(taken[0].at, again[0].at);
}

#[tokio::test]
async fn nobody_hears_of_an_endpoint_that_was_enabled_meanwhile() {
    let stage = disabled().await;
    stage.endpoints().enable(&a()).await.unwrap();
    // Whoever does this by hand knows it.
    stage.endpoints().disable(&a(), "by hand").await.unwrap();
    assert_eq!(due(&mut untold(&stage)).await, []);
    let left = "SELECT count(*) FROM cdc.endpoint WHERE news_at IS NOT NULL";
    assert_eq!(stage.database.text(left).await.as_deref(), Some("0"));
    stage.endpoints().enable(&a()).await.unwrap();
    answers(&stage, 410, "2").await;
    assert_eq!(due(&mut untold(&stage)).await.len(), 1, "it went once more");
}

#[tokio::test]
async fn a_warning_is_due_once_and_the_last_word_counts() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let mut untold = untold(&stage);
    let percent = |news: &[News]| match news {
        [News { what, .. }] => match what {
            NewsKind::Failing(warning) => warning.percent,
            NewsKind::Disabled(_) => 100,
        },
        _ => 0,
    };
    has_failed_for(&stage, 31, 2).await;
    answers(&stage, 500, "half").await;
    has_failed_for(&stage, 43, 2).await;
    answers(&stage, 500, "late").await;
    let news = due(&mut untold).await;
    assert_eq!(percent(&news), 70);
    let NewsKind::Failing(warning) = news[0].what else {
        unreachable!()
    };
    let left = Duration::from_secs(17 * 60);
    assert!(
        warning.left <= left && warning.left + LIMIT > left,
        "{warning:?}"
    );
    untold.told(&news[0]).await.unwrap();
    has_failed_for(&stage, 44, 1).await;
    answers(&stage, 500, "told").await;
    assert_eq!(due(&mut untold).await, [], "it was warned of");

    has_failed_for(&stage, 55, 2).await;
    answers(&stage, 500, "later").await;
    answers(&stage, 200, "well").await;
    assert_eq!(due(&mut untold).await, [], "it works again");

    has_failed_for(&stage, 31, 2).await;
    answers(&stage, 500, "again").await;
    has_failed_for(&stage, 61, 2).await;
    answers(&stage, 500, "end").await;
    assert_eq!(percent(&due(&mut untold).await), 100);
}
