//! The database goes away.

use std::time::Duration;

use cdc_event::Failure;
use notifier::{DeliveryState, Notifier, Settings};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::proxy::{A_WHILE, Proxy};
use crate::receiver::Behaviour;
use crate::stage::{Stage, handle, record, settings, underway};

/// A notifier that reaches the database only through the proxy.
async fn behind_proxy(stage: &Stage) -> (Notifier, Proxy) {
    let server = stage
        .database
        .text("inet_server_addr() || ':' || inet_server_port()")
        .await
        .unwrap();
    let proxy = Proxy::to(server.replace("/32", "").parse().unwrap()).await;
    let url = format!(
        "postgres://postgres@{}/{}",
        proxy.address,
        stage.database.name()
    );
    let options = pg_replication::ConnectOptions::parse(&url).unwrap();
    let settings = Settings {
        database_timeout: Duration::from_secs(2),
        ..settings()
    };
    (stage.notifier_at(&options, settings).await, proxy)
}

/// With an endpoint that has heard of event 1.
async fn cut_off_after_one_event(stage: &Stage) -> (Notifier, Proxy) {
    stage.endpoint("a").await;
    let (notifier, proxy) = behind_proxy(stage).await;
    handle(&notifier, &record("1")).await.unwrap();
    proxy.cut();
    (notifier, proxy)
}

#[tokio::test]
async fn without_the_database_nothing_is_sent_and_the_record_waits_for_it() {
    let stage = Stage::new().await;
    let (notifier, proxy) = cut_off_after_one_event(&stage).await;
    let record = record("2");
    let waiting = handle(&notifier, &record);
    tokio::pin!(waiting);
    assert!(timeout(A_WHILE, &mut waiting).await.is_err());
    assert_eq!(stage.receiver.ids("a"), ["1"]);
    proxy.mend();
    waiting.await.unwrap();
    assert_eq!(stage.receiver.ids("a"), ["1", "2"]);
}

#[tokio::test]
async fn who_stops_meanwhile_gets_the_record_back_without_an_attempt() {
    let stage = Stage::new().await;
    let (notifier, _proxy) = cut_off_after_one_event(&stage).await;
    let record = record("2");
    let (handled, ()) = tokio::join!(handle(&notifier, &record), async {
        tokio::time::sleep(A_WHILE).await;
        notifier.stop_waiting();
    });
    assert!(matches!(handled, Err(Failure::Wait { .. })), "{handled:?}");
    assert_eq!(stage.receiver.ids("a"), ["1"]);
    assert!(notifier.close(A_WHILE).await);
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_down_is_kept_until_it_can_and_nothing_is_sent_again() {
    let stage = Stage::new().await;
    let (release, released) = watch::channel(false);
    for id in ["a", "b", "c"] {
        stage.endpoint(id).await;
        stage.receiver.set(id, Behaviour::Hold(released.clone()));
    }
    let (notifier, proxy) = behind_proxy(&stage).await;
    let record = record("1");
    let (all, ()) = tokio::join!(handle(&notifier, &record), async {
        stage.receiver.wait_for(3).await;
        proxy.cut();
        release.send_replace(true);
    });
    let overdue = underway(all);
    assert!(
        overdue
            .iter()
            .all(|(_, code, _)| code == "delivery-overdue"),
        "{overdue:?}"
    );
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(stage.state("1", "a").await, Some(DeliveryState::Claimed));
    proxy.mend();
    for id in ["a", "b", "c"] {
        stage
            .wait_for_state("1", id, DeliveryState::Delivered)
            .await;
    }
    handle(&notifier, &record).await.unwrap();
    assert_eq!(stage.receiver.posts().len(), 3);
}

#[tokio::test]
async fn a_database_without_the_tables_stops_it_at_once() {
    let stage = Stage::new().await;
    stage.endpoint("a").await;
    let notifier = stage.notifier().await;
    stage.database.execute("DROP TABLE cdc.delivery").await;
    let failure = handle(&notifier, &record("1")).await;
    assert!(matches!(failure, Err(Failure::Fatal { .. })), "{failure:?}");
    assert!(stage.receiver.posts().is_empty());
}
