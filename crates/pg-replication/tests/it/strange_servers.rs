//! What a healthy PostgreSQL doesn't do, or not when a test wants it.

use std::time::Duration;

use pg_replication::{ConnectOptions, Disposition, Error, Session, SqlState};

use crate::scripted::Scripted;

async fn connect(server: &Scripted) -> Result<Session, Error> {
    Session::connect(&ConnectOptions::parse(&server.url()).unwrap()).await
}

fn describe(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[tokio::test]
async fn names_the_pooler_that_refuses_replication() {
    let server = Scripted::start(|peer| {
        peer.startup();
        peer.error(
            "FATAL",
            "08P01",
            "unsupported startup parameter: replication",
        );
    });
    let error = connect(&server).await.unwrap_err();
    assert!(matches!(error, Error::Pooler(_)), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Permanent);
    assert!(describe(&error).contains("PgBouncer") && describe(&error).contains("08P01"));
}

#[tokio::test]
async fn names_the_pooler_that_takes_replication_commands_for_sql() {
    let server = Scripted::start(|peer| {
        peer.accept();
        assert_eq!(peer.message(), (b'Q', b"IDENTIFY_SYSTEM\0".to_vec()));
        peer.error(
            "ERROR",
            "42601",
            "syntax error at or near \"IDENTIFY_SYSTEM\"",
        );
        peer.ready();
        peer.until_closed();
    });
    let mut session = connect(&server).await.unwrap();
    let error = session.identify_system().await.unwrap_err();
    assert!(matches!(error, Error::Pooler(_)), "{error:?}");
    drop(session);
}

#[tokio::test]
async fn reads_past_notices_and_changed_settings() {
    let server = Scripted::start(|peer| {
        peer.accept();
        peer.message();
        peer.send(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mlook\0\0");
        peer.send(b'S', b"TimeZone\0Asia/Seoul\0");
        peer.one_row("it");
        peer.until_closed();
    });
    let mut session = connect(&server).await.unwrap();
    let rows = session.simple_query("SELECT 'it'").await.unwrap();
    assert_eq!(rows[0].get(0), Some("it"));
    assert_eq!(session.parameter("TimeZone"), Some("Asia/Seoul"));
    drop(session);
}

#[tokio::test]
async fn keeps_the_last_words_of_a_server_that_hangs_up() {
    let server = Scripted::start(|peer| {
        peer.accept();
        peer.message();
        peer.error(
            "FATAL",
            "57P01",
            "terminating connection due to administrator command",
        );
    });
    let error = connect(&server)
        .await
        .unwrap()
        .simple_query("SELECT 1")
        .await
        .unwrap_err();
    assert_eq!(
        error.sql_state(),
        Some(SqlState::ADMIN_SHUTDOWN),
        "{error:?}"
    );
    assert_eq!(error.disposition(), Disposition::Transient);
}

#[tokio::test]
async fn says_that_the_server_hung_up() {
    let server = Scripted::start(|peer| {
        peer.accept();
        peer.message();
    });
    let error = connect(&server)
        .await
        .unwrap()
        .simple_query("SELECT 1")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Closed), "{error:?}");
}

#[tokio::test]
async fn gives_a_dropped_command_s_answer_to_nobody() {
    let server = Scripted::start(|peer| {
        peer.accept();
        // The first answer only once the second question is there: so the first caller is gone for sure.
        let (first, second) = (peer.message(), peer.message());
        assert_eq!(
            (first.1, second.1),
            (b"first\0".to_vec(), b"second\0".to_vec())
        );
        peer.one_row("first");
        peer.one_row("second");
        peer.until_closed();
    });
    let mut session = connect(&server).await.unwrap();
    tokio::select! {
        biased;
        answer = session.simple_query("first") => panic!("answered: {answer:?}"),
        () = std::future::ready(()) => {}
    }
    let rows = session.simple_query("second").await.unwrap();
    assert_eq!((rows.len(), rows[0].get(0)), (1, Some("second")));
    drop(session);
}

#[tokio::test]
async fn gives_up_a_server_that_never_answers() {
    let server = Scripted::start(|peer| {
        peer.startup();
        peer.until_closed();
    });
    let options = ConnectOptions::parse(&format!("{}&connect_timeout=1", server.url())).unwrap();
    let error = Session::connect(&options).await.unwrap_err();
    let Error::Connect { attempts, .. } = &error else {
        panic!("{error:?}")
    };
    let limit = Duration::from_secs(1);
    assert!(
        matches!(attempts[0].error, Error::TimedOut { limit: l, .. } if l == limit),
        "{error:?}"
    );
    assert_eq!(error.disposition(), Disposition::Transient);
}

#[tokio::test]
async fn refuses_a_server_that_skips_its_own_proof() {
    let server = Scripted::start(|peer| {
        peer.startup();
        peer.send(
            b'R',
            &[&10_u32.to_be_bytes()[..], b"SCRAM-SHA-256\0\0"].concat(),
        );
        let (_, response) = peer.message();
        let nonce = String::from_utf8(response)
            .unwrap()
            .split_once("r=")
            .unwrap()
            .1
            .to_owned();
        let challenge = format!("r={nonce}more,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4096");
        peer.send(
            b'R',
            &[&11_u32.to_be_bytes()[..], challenge.as_bytes()].concat(),
        );
        peer.message();
        peer.send(b'R', &0_u32.to_be_bytes());
        peer.until_closed();
    });
    let error = connect(&server).await.unwrap_err();
    assert!(
        describe(&error).contains("Authentication came where"),
        "{}",
        describe(&error)
    );
}

#[tokio::test]
async fn sends_nothing_in_clear_when_the_server_has_no_tls() {
    let server = Scripted::start(|peer| {
        assert_eq!(peer.startup(), 80_877_103_u32.to_be_bytes());
        peer.raw(b"N");
        assert_eq!(peer.until_closed(), b"");
    });
    let url = server.url().replace("sslmode=disable", "sslmode=require");
    let error = Session::connect(&ConnectOptions::parse(&url).unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.disposition(), Disposition::Permanent);
    assert!(error.to_string().contains("does not offer TLS"), "{error}");
}
