//! The history of timelines, of a server that was promoted.

use std::time::Duration;

use pg_replication::{ConnectOptions, Session, SqlState, TimelineHistory, TimelineId};

use crate::cluster::Cluster;

#[tokio::test]
async fn says_where_a_promoted_server_left_its_first_timeline() {
    let cluster = Cluster::start("host all,replication all 127.0.0.1/32 trust\n");
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", cluster.port);
    let options = ConnectOptions::parse(&url).unwrap();
    let mut session = Session::connect(&options).await.unwrap();
    let before = session.identify_system().await.unwrap();
    assert_eq!(before.timeline, TimelineId::FIRST);
    let history = session.timeline_history(before.timeline).await.unwrap();
    assert_eq!(history, TimelineHistory::default());
    drop(session);

    cluster.stop_fast(Duration::from_secs(20)).unwrap();
    cluster.start_on_a_new_timeline();

    let mut session = Session::connect(&options).await.unwrap();
    let after = session.identify_system().await.unwrap();
    assert_eq!(
        (after.system_id, after.timeline.get()),
        (before.system_id, 2)
    );
    let history = session.timeline_history(after.timeline).await.unwrap();
    let left = history.switch_point(before.timeline).unwrap();
    assert!(
        before.flush_lsn < left && left <= after.flush_lsn,
        "{history:?}"
    );
    assert_eq!(history.switch_point(after.timeline), None);

    let unknown: TimelineId = "77".parse().unwrap();
    let error = session.timeline_history(unknown).await.unwrap_err();
    assert_eq!(error.sql_state(), SqlState::parse("58P01"), "{error:?}");
}
