//! Replication sessions and SQL sessions against the shared server.

use pg_replication::{ConnectOptions, Disposition, Error, Session, SqlState, connect_client};

use test_database::Database;

#[tokio::test]
async fn identifies_the_system() {
    let database = Database::create("identify").await;
    let mut session = database.session().await;
    let identity = session.identify_system().await.unwrap();
    let client = database.client().await;
    let row = client
        .query_one(
            "SELECT system_identifier::text, (SELECT timeline_id FROM pg_control_checkpoint()), \
             current_setting('server_version_num') FROM pg_control_system()",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(identity.system_id.to_string(), row.get::<_, &str>(0));
    assert_eq!(
        i64::from(identity.timeline.get()),
        i64::from(row.get::<_, i32>(1))
    );
    assert_eq!(
        session.server_version().number().to_string(),
        row.get::<_, &str>(2)
    );
    assert_eq!(identity.database.as_deref(), Some(database.name()));
    let later = session.identify_system().await.unwrap();
    assert!(later.flush_lsn >= identity.flush_lsn && identity.flush_lsn > pg_lsn::Lsn::ZERO);
}

#[tokio::test]
async fn stays_usable_after_an_error() {
    let database = Database::create("usable").await;
    let mut session = database.session().await;
    for _ in 0..2 {
        let error = session.simple_query("SELECT 1/0").await.unwrap_err();
        assert_eq!(error.sql_state(), SqlState::parse("22012"));
        let rows = session
            .simple_query("SELECT 'again' AS word, NULL AS nothing")
            .await
            .unwrap();
        assert_eq!(
            (rows[0].named("word"), rows[0].named("nothing")),
            (Some("again"), None)
        );
    }
}

#[tokio::test]
async fn gives_the_rows_of_all_statements() {
    let database = Database::create("statements").await;
    let mut session = database.session().await;
    let sql = "SELECT 1 AS a; CREATE TABLE t (); SELECT 2 AS b UNION ALL SELECT 3 ORDER BY 1";
    let rows = session.simple_query(sql).await.unwrap();
    assert_eq!(
        (rows[0].named("a"), rows[1].named("b"), rows[2].named("b")),
        (Some("1"), Some("2"), Some("3"))
    );
    assert!(session.simple_query("").await.unwrap().is_empty());
}

#[tokio::test]
async fn fixes_the_text_form_of_values_whatever_the_database_sets() {
    let database = Database::create("text_form").await;
    let client = database.client().await;
    for setting in [
        "DateStyle = 'German'",
        "IntervalStyle = 'iso_8601'",
        "bytea_output = 'escape'",
        "TimeZone = 'Asia/Seoul'",
        "extra_float_digits = 0",
    ] {
        client
            .batch_execute(&format!("ALTER DATABASE {} SET {setting}", database.name()))
            .await
            .unwrap();
    }
    let mut session = database.session().await;
    let sql = "SELECT '2024-01-02 03:04:05+00'::timestamptz, '1 day 2 hours'::interval, '\\x00ff'::bytea, 0.1::float8 + 0.2";
    let rows = session.simple_query(sql).await.unwrap();
    let values: Vec<_> = (0..4).map(|index| rows[0].get(index).unwrap()).collect();
    assert_eq!(
        values,
        [
            "2024-01-02 03:04:05+00",
            "1 day 02:00:00",
            "\\x00ff",
            "0.30000000000000004"
        ]
    );
}

#[tokio::test]
async fn is_known_to_the_server_by_its_application_name() {
    let database = Database::create("name").await;
    let options = database
        .options()
        .clone()
        .with_application_name("the relay");
    let mut session = Session::connect(&options).await.unwrap();
    let client = connect_client(&options).await.unwrap();
    let sql = "SELECT current_setting('application_name')";
    assert_eq!(
        session.simple_query(sql).await.unwrap()[0].get(0),
        Some("the relay")
    );
    assert_eq!(
        client.query_one(sql, &[]).await.unwrap().get::<_, &str>(0),
        "the relay"
    );
}

#[tokio::test]
async fn a_terminated_session_is_a_transient_error() {
    let database = Database::create("terminated").await;
    let mut session = database.session().await;
    let victim = database.client().await;
    let killer = database.client().await;
    let session_pid = session
        .simple_query("SELECT pg_backend_pid()")
        .await
        .unwrap();
    let session_pid: i32 = session_pid[0].get(0).unwrap().parse().unwrap();
    let victim_pid: i32 = victim
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    for pid in [session_pid, victim_pid] {
        // The second argument makes it wait until the backend is gone.
        assert!(
            killer
                .query_one("SELECT pg_terminate_backend($1, 10000)", &[&pid])
                .await
                .unwrap()
                .get::<_, bool>(0)
        );
    }
    let error = session.simple_query("SELECT 1").await.unwrap_err();
    assert_eq!(error.disposition(), Disposition::Transient, "{error:?}");
    let error = Error::from(victim.query_one("SELECT 1", &[]).await.unwrap_err());
    assert_eq!(error.disposition(), Disposition::Transient, "{error:?}");
}

#[tokio::test]
async fn a_dropped_client_ends_its_session() {
    let database = Database::create("dropped").await;
    let watcher = database.client().await;
    let client = database.client().await;
    let pid: i32 = client
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    drop(client);
    let gone = async {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
        while watcher
            .query_one(sql, &[&pid])
            .await
            .unwrap()
            .get::<_, i64>(0)
            > 0
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone)
        .await
        .expect("the session is still there");
}

#[tokio::test]
async fn says_why_a_session_ended() {
    let database = Database::create("ended").await;
    let killer = database.client().await;
    let mut client = database.client().await;
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    killer.batch_execute(sql).await.unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), client.ended()).await;
    assert_eq!(ended.unwrap().sql_state(), Some(SqlState::ADMIN_SHUTDOWN));
    assert!(matches!(client.ended().await, Error::Closed));
}

#[tokio::test]
async fn keeps_detail_and_hint_of_sql_errors() {
    let database = Database::create("details").await;
    let client = database.client().await;
    let sql =
        "DO $$ BEGIN RAISE 'broken' USING ERRCODE = '55006', DETAIL = 'why', HINT = 'what'; END $$";
    let error = Error::from(client.batch_execute(sql).await.unwrap_err());
    let Error::Server(report) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(report.detail.as_deref(), Some("why"));
    assert_eq!(report.hint.as_deref(), Some("what"));
    assert_eq!(report.to_string(), "ERROR: broken (SQLSTATE 55006)");
    assert_eq!(error.disposition(), Disposition::Standby);
}

#[tokio::test]
async fn an_unknown_database_is_a_permanent_error() {
    let options: ConnectOptions = test_database::shared_url().parse().unwrap();
    let options = options.with_database("no_such_database");
    for error in [
        Session::connect(&options).await.unwrap_err(),
        connect_client(&options).await.unwrap_err(),
    ] {
        assert_eq!(
            error.sql_state(),
            Some(SqlState::INVALID_CATALOG_NAME),
            "{error:?}"
        );
        assert_eq!(error.disposition(), Disposition::Permanent);
    }
}
