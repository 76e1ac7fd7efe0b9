//! `cdc.emit` and `cdc.emit_message`, as an application calls them.

use crate::database::TestDatabase;

/// Odd spacing, order and digits, which only the bytes themselves keep.
const PAYLOAD: &str = r#"{"b": 1.50,  "a":[ ]}"#;
const AS_JSONB: &str = r#"{"a": [], "b": 1.50}"#;

async fn ready() -> TestDatabase {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    database
}

async fn payload_after(database: &TestDatabase, call: &str) -> Option<String> {
    let client = database.connect().await;
    let id: String = client
        .query_one(&format!("SELECT ({call})::text"), &[])
        .await
        .unwrap()
        .get(0);
    let sql = format!("SELECT payload::text FROM cdc.outbox WHERE id = '{id}'");
    client.query_one(&sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn takes_a_payload_of_any_type_without_a_cast() {
    let database = ready().await;
    for (payload, expected) in [
        (format!("'{PAYLOAD}'"), Some(PAYLOAD)),
        (format!("'{PAYLOAD}'::json"), Some(PAYLOAD)),
        (format!("'{PAYLOAD}'::text"), Some(PAYLOAD)),
        (format!("'{PAYLOAD}'::varchar"), Some(PAYLOAD)),
        (format!("'{PAYLOAD}'::jsonb"), Some(AS_JSONB)),
        ("NULL".to_owned(), None),
        ("NULL::json".to_owned(), None),
        ("NULL::jsonb".to_owned(), None),
    ] {
        let stored = payload_after(
            &database,
            &format!("cdc.emit('order', '7', 'Placed', {payload})"),
        )
        .await;
        assert_eq!(stored.as_deref(), expected, "{payload}");
    }
    // A driver that sends a parameter without its type.
    let prepared =
        format!("PREPARE p AS SELECT cdc.emit('order', '7', 'Placed', $1); EXECUTE p('{PAYLOAD}')");
    database.execute(&prepared).await;
    let count = database.text("SELECT count(*) FROM cdc.outbox").await;
    assert_eq!(count.as_deref(), Some("9"));
}

#[tokio::test]
async fn stores_what_it_was_given() {
    let database = ready().await;
    let id = "00000000-0000-0000-0000-000000000007";
    database
        .execute(&format!(
            "SELECT cdc.emit('order', NULL, 'Placed', '{{}}', '{{\"traceparent\": \"00\"}}', '{id}')"
        ))
        .await;
    let row = database
        .text("SELECT row(id, aggregatetype, aggregateid, type, headers) FROM cdc.outbox")
        .await;
    assert_eq!(
        row.unwrap(),
        format!("({id},order,,Placed,\"{{\"\"traceparent\"\": \"\"00\"\"}}\")")
    );
    let generated = database
        .text("SELECT cdc.emit('order', '1', 'Placed', '{}', id => NULL)")
        .await;
    assert_eq!(generated.unwrap().len(), 36);
}

#[tokio::test]
async fn works_with_any_search_path() {
    let database = ready().await;
    let odd = "CREATE SCHEMA odd; CREATE TABLE odd.outbox (); SET search_path = odd; \
               SELECT cdc.emit('order', '1', 'Placed', '{}'); SELECT cdc.emit_message('order', '1', 'Placed', '{}')";
    database.execute(odd).await;
    assert_eq!(
        database
            .text("SELECT count(*) FROM cdc.outbox")
            .await
            .as_deref(),
        Some("1")
    );
}

#[tokio::test]
async fn refuses_what_is_no_event() {
    let database = ready().await;
    let client = database.connect().await;
    for function in ["cdc.emit", "cdc.emit_message"] {
        for (arguments, state) in [
            ("'order', '1', 'Placed', 'not json'", "22P02"),
            ("NULL, '1', 'Placed', '{}'", "23502"),
            ("'order', '1', NULL, '{}'", "23502"),
            ("'order', '1', 'Placed', '{}', '{\"a\": 1}'", "23514"),
            ("'order', '1', 'Placed', '{}', '{\"a\": [\"x\"]}'", "23514"),
            ("'order', '1', 'Placed', '{}', '[]'", "23514"),
        ] {
            let call = format!("SELECT {function}({arguments})");
            let error = client.simple_query(&call).await.unwrap_err();
            assert_eq!(error.code().unwrap().code(), state, "{call}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_message_is_an_object_with_the_payload_as_it_was_written() {
    let database = ready().await;
    let slot = &database.name;
    database
        .execute(&format!(
            "SELECT pg_drop_replication_slot('{slot}');
             SELECT 1 FROM pg_create_logical_replication_slot('{slot}', 'pgoutput')"
        ))
        .await;
    let client = database.connect().await;
    let headers = r#"{"traceparent": "00"}"#;
    let id = "00000000-0000-0000-0000-000000000007";
    let calls = [
        format!(
            "SELECT cdc.emit_message('order', '7', 'Placed', '{PAYLOAD}', '{headers}', '{id}')"
        ),
        format!(
            "SELECT cdc.emit_message('order', '7', 'Placed', '{PAYLOAD}'::jsonb, id => '{id}')"
        ),
        format!("SELECT cdc.emit_message('order', NULL, 'Placed', NULL, id => '{id}')"),
    ];
    for call in &calls {
        client.batch_execute(call).await.unwrap();
    }
    client
        .batch_execute("BEGIN; SELECT cdc.emit_message('a', 'b', 'rolled back', '{}'); ROLLBACK")
        .await
        .unwrap();
    let rows = client
        .query(
            &format!(
                "SELECT data FROM pg_logical_slot_get_binary_changes('{slot}', NULL, NULL, 'proto_version', '1',
                    'publication_names', 'cdc_relay', 'messages', 'true')"
            ),
            &[],
        )
        .await
        .unwrap();
    let messages: Vec<String> = rows
        .iter()
        .map(|row| row.get::<_, Vec<u8>>(0))
        .filter(|data| data.first() == Some(&b'M'))
        // Type, flags, LSN; then the prefix, the content's length and the content.
        .map(|data| {
            assert_eq!(data[1], 1, "transactional");
            let prefix = "outbox\0";
            assert_eq!(&data[10..10 + prefix.len()], prefix.as_bytes());
            String::from_utf8(data[10 + prefix.len() + 4..].to_vec()).unwrap()
        })
        .collect();
    let [as_text, as_jsonb, null] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    assert!(
        as_text.contains(&format!("\"payload\" : {PAYLOAD}")),
        "{as_text}"
    );
    assert!(
        as_jsonb.contains(&format!("\"payload\" : {AS_JSONB}")),
        "{as_jsonb}"
    );
    let parsed: serde_json::Value = serde_json::from_str(as_text).unwrap();
    assert_eq!(parsed["id"], id);
    assert_eq!(parsed["aggregatetype"], "order");
    assert_eq!(parsed["aggregateid"], "7");
    assert_eq!(parsed["type"], "Placed");
    assert_eq!(parsed["headers"]["traceparent"], "00");
    let parsed: serde_json::Value = serde_json::from_str(null).unwrap();
    assert!(
        parsed["payload"].is_null()
            && parsed["aggregateid"].is_null()
            && parsed["headers"].is_null(),
        "{null}"
    );
}

#[tokio::test]
async fn plain_grants_are_enough_for_an_application() {
    let database = ready().await;
    let role = crate::database::unique("app");
    let sql = format!(
        "CREATE ROLE {role}; GRANT USAGE ON SCHEMA cdc TO {role}; GRANT INSERT ON cdc.outbox TO {role};
         SET ROLE {role};
         SELECT cdc.emit('order', '1', 'Placed', '{{}}'); SELECT cdc.emit_message('order', '1', 'Placed', '{{}}');
         RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}"
    );
    database.execute(&sql).await;
}

#[tokio::test]
async fn rows_can_be_sent_again_with_their_ids_as_the_pages_say() {
    let database = ready().await;
    database
        .execute("SELECT cdc.emit('order', n::text, 'Placed', '{}') FROM generate_series(1, 100) n")
        .await;
    let ids = "SELECT md5(string_agg(id::text, ',' ORDER BY id)) FROM cdc.outbox";
    let before = database.text(ids).await;
    let inserted_by = "SELECT count(DISTINCT xmin::text) FROM cdc.outbox";
    let first = database
        .text("SELECT min(xmin::text::bigint) FROM cdc.outbox")
        .await;
    database
        .execute(
            "WITH again AS (DELETE FROM cdc.outbox WHERE created_at >= '2020-01-01' RETURNING *)
             INSERT INTO cdc.outbox SELECT * FROM again",
        )
        .await;
    assert_eq!(database.text(ids).await, before);
    assert_eq!(database.text(inserted_by).await.as_deref(), Some("1"));
    assert_ne!(
        database
            .text("SELECT min(xmin::text::bigint) FROM cdc.outbox")
            .await,
        first
    );
}
