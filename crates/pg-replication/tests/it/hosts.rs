//! Several hosts, of which not all will do.

use std::net::TcpListener;

use pg_replication::{Attempt, ConnectOptions, Disposition, Error, Host, Session, connect_client};

use crate::scripted::Scripted;
use test_database::Database;

/// A port on which nobody listens.
fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// `first` and then the test's database, with what both take.
fn before(first_port: u16, database: &Database, more: &str) -> ConnectOptions {
    let [Host::Tcp { name, port, .. }] = database.options().hosts() else {
        panic!("DATABASE_URL has not one TCP host: {}", database.options())
    };
    let user = database.options().user();
    let dbname = database.name();
    let text = format!(
        "host=127.0.0.1,{name} port={first_port},{port} user={user} dbname={dbname} sslmode=disable {more}"
    );
    text.parse().unwrap()
}

fn attempts(error: &Error) -> &[Attempt] {
    let Error::Connect { attempts, .. } = error else {
        panic!("{error:?}")
    };
    attempts
}

#[tokio::test]
async fn goes_on_to_the_next_host_when_one_is_dead() {
    let database = Database::create("next_host").await;
    let options = before(dead_port(), &database, "");
    let mut session = Session::connect(&options).await.unwrap();
    assert_eq!(
        session.identify_system().await.unwrap().database.as_deref(),
        Some(database.name())
    );
    connect_client(&options)
        .await
        .unwrap()
        .batch_execute("SELECT 1")
        .await
        .unwrap();
}

#[tokio::test]
async fn lists_every_host_with_its_reason() {
    let (one, two) = (dead_port(), dead_port());
    let text = format!(
        "host=127.0.0.1,host.invalid,localhost port={one},1,{two} user=relay password=hunter2"
    );
    let options: ConnectOptions = text.parse().unwrap();
    for error in [
        Session::connect(&options).await.unwrap_err(),
        connect_client(&options).await.unwrap_err(),
    ] {
        assert_eq!(error.disposition(), Disposition::Transient);
        let text = error.to_string();
        assert!(
            text.contains(&format!(
                "127.0.0.1:{one}: could not connect: Connection refused"
            )),
            "{text}"
        );
        assert!(
            text.contains("host.invalid:1: could not look up the host name: "),
            "{text}"
        );
        assert!(
            text.contains(&format!("localhost (127.0.0.1:{two}): could not connect")),
            "{text}"
        );
        assert!(!text.contains("hunter2"));
    }
}

#[tokio::test]
async fn passes_over_hosts_that_are_read_only() {
    let database = Database::create("read_write").await;
    let standby = Scripted::start(|peer| {
        peer.accept();
        assert_eq!(
            peer.message(),
            (b'Q', b"SHOW transaction_read_only\0".to_vec())
        );
        peer.one_row("on");
        peer.until_closed();
    });
    let options = before(standby.port(), &database, "target_session_attrs=read-write");
    let mut session = Session::connect(&options).await.unwrap();
    assert_eq!(
        session.identify_system().await.unwrap().database.as_deref(),
        Some(database.name())
    );
}

#[tokio::test]
async fn a_server_of_the_wrong_role_is_a_transient_error() {
    let database = Database::create("wrong_role").await;
    for (role, read_only) in [("read-write", "on"), ("read-only", "off")] {
        let more = format!(
            "target_session_attrs={role} options='-c default_transaction_read_only={read_only}'"
        );
        let options = before(dead_port(), &database, &more);
        for error in [
            Session::connect(&options).await.unwrap_err(),
            connect_client(&options).await.unwrap_err(),
        ] {
            let last = &attempts(&error)[1].error;
            assert!(
                matches!(last, Error::WrongRole { wanted } if *wanted == role),
                "{error:?}"
            );
            assert_eq!(error.disposition(), Disposition::Transient);
        }
    }
}

#[tokio::test]
async fn asks_no_other_host_when_a_server_refuses_for_good() {
    let database = Database::create("refusal").await;
    let refusing = Scripted::start(|peer| {
        peer.startup();
        peer.error(
            "FATAL",
            "28P01",
            "password authentication failed for user \"relay\"",
        );
    });
    let error = Session::connect(&before(refusing.port(), &database, ""))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Server(_)), "{error:?}");

    let starting = Scripted::start(|peer| {
        peer.startup();
        peer.error("FATAL", "57P03", "the database system is starting up");
    });
    Session::connect(&before(starting.port(), &database, ""))
        .await
        .unwrap();
}
