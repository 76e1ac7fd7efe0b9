//! A server that is shut down (`pg_ctl stop -m fast`) while it streams.

use std::sync::Arc;
use std::time::Duration;

use pg_lsn::Lsn;
use pg_replication::{
    Client, CommitToken, ConnectOptions, CreateSlot, Disposition, Error, PublicationName,
    ReplicationStream, Session, SlotName, SnapshotAction, SqlState, StreamEvent, StreamOptions,
    connect_client,
};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::cluster::Cluster;

/// What the server may be held up by us.
const SHORT: Duration = Duration::from_secs(5);

/// A server that streams to us, and is at a position that we have confirmed.
struct Setting {
    cluster: Arc<Cluster>,
    options: ConnectOptions,
    client: Client,
    stream: ReplicationStream,
}

impl Setting {
    async fn new() -> Self {
        let cluster = Cluster::start("host all,replication all 127.0.0.1/32 trust\n");
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", cluster.port);
        let options = ConnectOptions::parse(&url).unwrap();
        let client = connect_client(&options).await.unwrap();
        let sql = "CREATE TABLE t (n int); CREATE PUBLICATION p FOR TABLE t";
        client.batch_execute(sql).await.unwrap();
        let slot = CreateSlot {
            name: slot(),
            temporary: false,
            failover: false,
            snapshot: SnapshotAction::Nothing,
        };
        let mut session = Session::connect(&options).await.unwrap();
        session.create_slot(&slot).await.unwrap();
        drop(session);
        let mut setting = Self {
            cluster: Arc::new(cluster),
            stream: start(&options).await,
            client,
            options,
        };
        let token = setting.insert(1).await;
        let confirmed = token.lsn();
        setting.stream.acknowledge(token);
        setting.until_the_server_knows(confirmed).await;
        setting
    }

    /// Writes a row, and reads up to the end of its transaction.
    async fn insert(&mut self, row: i32) -> CommitToken {
        self.write(row).await;
        next_commit(&mut self.stream).await
    }

    async fn write(&self, row: i32) {
        let sql = format!("INSERT INTO t VALUES ({row})");
        self.client.batch_execute(&sql).await.unwrap();
    }

    async fn until_the_server_knows(&mut self, position: Lsn) {
        let (stream, client) = (&mut self.stream, &self.client);
        let known = async {
            let sql =
                "SELECT count(*) FROM pg_stat_replication WHERE flush_lsn >= $1::text::pg_lsn";
            let position = position.to_string();
            while client
                .query_one(sql, &[&position])
                .await
                .unwrap()
                .get::<_, i64>(0)
                == 0
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = known => {}
            held = stream.hold() => panic!("{held:?}"),
            () = tokio::time::sleep(Duration::from_secs(20)) => panic!("not confirmed"),
        }
    }

    fn stop(&self) -> JoinHandle<Option<Duration>> {
        let cluster = Arc::clone(&self.cluster);
        tokio::task::spawn_blocking(move || cluster.stop_fast(Duration::from_secs(20)))
    }
}

fn slot() -> SlotName {
    SlotName::new("s").unwrap()
}

async fn start(options: &ConnectOptions) -> ReplicationStream {
    let options_of_stream = StreamOptions {
        slot: slot(),
        publications: vec![PublicationName::new("p").unwrap()],
        messages: false,
        status_interval: Duration::from_millis(200),
        silence_limit: Duration::from_secs(30),
    };
    let session = Session::connect(options).await.unwrap();
    ReplicationStream::start(session, &options_of_stream)
        .await
        .unwrap()
}

async fn next_commit(stream: &mut ReplicationStream) -> CommitToken {
    let commit = async {
        loop {
            while let Some(event) = stream.try_next().unwrap() {
                if let StreamEvent::Commit(_, token) = event {
                    return token;
                }
            }
            stream.fill().await.unwrap();
        }
    };
    timeout(Duration::from_secs(20), commit).await.unwrap()
}

/// Reads until an error ends the stream, and does with each token of an idle server what `take` does.
async fn read_on(
    stream: &mut ReplicationStream,
    mut take: impl FnMut(&mut ReplicationStream, CommitToken, bool),
) -> Error {
    loop {
        loop {
            match stream.try_next() {
                Ok(Some(StreamEvent::Idle {
                    token,
                    reply_requested,
                })) => {
                    take(stream, token, reply_requested);
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return error,
            }
        }
        if let Err(error) = stream.fill().await {
            return error;
        }
    }
}

async fn ended(stopping: JoinHandle<Option<Duration>>) {
    let took = stopping.await.unwrap();
    assert!(took.is_some_and(|took| took < SHORT), "{took:?}");
}

#[tokio::test]
async fn does_not_wait_for_a_transaction_that_is_never_acknowledged() {
    let mut setting = Setting::new().await;
    let unacknowledged = setting.insert(2).await;
    let stopping = setting.stop();
    let mut asked = 0;
    let error = read_on(&mut setting.stream, |_, _, reply_requested| {
        asked += u32::from(reply_requested);
    })
    .await;
    assert!(matches!(error, Error::ServerStopping), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Transient);
    assert!((3..=60).contains(&asked), "answered {asked} times");
    drop(setting.stream);
    ended(stopping).await;

    setting.cluster.start_again();
    let mut stream = start(&setting.options).await;
    // Before PostgreSQL 17 the slot's position may be older than what was confirmed.
    loop {
        let again = next_commit(&mut stream).await;
        assert!(again.lsn() <= unacknowledged.lsn(), "it was skipped");
        if again.lsn() == unacknowledged.lsn() {
            break;
        }
    }
}

#[tokio::test]
async fn does_not_wait_for_who_holds() {
    let mut setting = Setting::new().await;
    let _unacknowledged = setting.insert(2).await;
    // Not even read.
    setting.write(3).await;
    let stopping = setting.stop();
    let held = timeout(Duration::from_secs(20), setting.stream.hold()).await;
    assert!(matches!(held, Ok(Err(Error::ServerStopping))), "{held:?}");
    drop(setting.stream);
    ended(stopping).await;
}

/// The server can't ask while it can't send.
#[tokio::test]
async fn an_ordinary_session_tells_what_a_full_stream_hides() {
    let mut setting = Setting::new().await;
    let sql = "CREATE TABLE large (text text); ALTER TABLE large ALTER text SET STORAGE PLAIN; \
               ALTER PUBLICATION p ADD TABLE large; \
               INSERT INTO large SELECT repeat('x', 5000) FROM generate_series(1, 20000)";
    setting.client.batch_execute(sql).await.unwrap();
    let stopping = setting.stop();
    let error = tokio::select! {
        error = setting.client.ended() => error,
        held = setting.stream.hold() => panic!("{held:?}"),
        () = tokio::time::sleep(SHORT) => panic!("not a word"),
    };
    assert_eq!(
        error.sql_state(),
        Some(SqlState::ADMIN_SHUTDOWN),
        "{error:?}"
    );
    drop(setting.stream);
    ended(stopping).await;
}

#[tokio::test]
async fn what_was_read_while_holding_is_not_lost() {
    let mut setting = Setting::new().await;
    for row in 2..4 {
        setting.write(row).await;
        // Longer than it takes to look ahead.
        let held = timeout(Duration::from_secs(1), setting.stream.hold()).await;
        assert!(held.is_err(), "{held:?}");
    }
    let (first, second) = (
        next_commit(&mut setting.stream).await,
        next_commit(&mut setting.stream).await,
    );
    assert!(first.lsn() < second.lsn());
}

#[tokio::test]
async fn lets_a_server_go_that_gets_all_its_answers() {
    let mut setting = Setting::new().await;
    let last = setting.insert(2).await;
    setting.stream.acknowledge(last);
    let stopping = setting.stop();
    let error = read_on(&mut setting.stream, |stream, token, _| {
        stream.acknowledge(token);
    })
    .await;
    assert!(matches!(error, Error::Closed), "{error:?}");
    ended(stopping).await;
}
