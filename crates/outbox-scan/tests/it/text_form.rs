//! A row that is read is byte for byte the row that is streamed.

use std::time::Duration;

use outbox_scan::View;
use pg_replication::StreamEvent;
use pg_replication::pgoutput::{LogicalMessage, Relation, Tuple};
use tokio::time::timeout;

use crate::database::{Database, rows};

/// Whatever an application might have set.
const STRANGE_SETTINGS: [&str; 8] = [
    "DateStyle = 'German, DMY'",
    "IntervalStyle = 'iso_8601'",
    "bytea_output = 'escape'",
    "TimeZone = 'Asia/Kathmandu'",
    "extra_float_digits = -5",
    "default_transaction_isolation = 'serializable'",
    "statement_timeout = '1min'",
    "xmlbinary = 'hex'",
];

const TABLE: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN raw AS bytea;
    CREATE DOMAIN short AS varchar(10);
    CREATE TABLE t (
        n int, big bigint, small smallint, yes bool, no bool, price numeric(12, 3), huge numeric, r real, d double precision,
        c char(8), v varchar(20), t text, \"char\" \"char\", name name, b bytea, raw raw, short short,
        dropped int, j json, jb jsonb, x xml, u uuid, day date, at time, atz timetz, ts timestamp(3), tstz timestamptz,
        i interval, m money, ip inet, net cidr, mac macaddr, bits bit(5), vbits bit varying, p point, box box, r4 int4range,
        mr int4multirange, mood mood, pair pair, ints int[], texts text[], dates timestamptz[], tsv tsvector, lsn pg_lsn,
        class regclass, oid oid, generated int GENERATED ALWAYS AS (n * 2) STORED
    );
    ALTER TABLE t DROP COLUMN dropped;
    CREATE PUBLICATION p FOR TABLE t";

const ROWS: &str = r#"
    INSERT INTO t VALUES
        (1, -9223372036854775808, 32767, true, false, 1.5, 123456789012345678901234567890.0010, 0.1, 0.1::float8 + 0.2,
        'ab', ' v ', E'a\tb\n\\ü€😀', 'x', 'a name', '\x00ff5c27', '\xdeadbeef', 'short',
        '{"b":  1.0, "a": [ ]}', '{"b":  1.0, "a": [ ]}', '<a>&lt;</a>', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '0044-03-15 BC',
        '23:59:59.999999', '04:05:06+05:45', '2024-02-29 12:34:56.7896', '2024-02-29 12:34:56.789123+00', '1 year -2 days 03:04:05.6',
        -12.34, '192.168.0.1', '10.0.0.0/8', '08:00:2b:01:02:03', B'10101', B'1', '(1.1,2)', '(1,1),(0,0)', '[1,5)', '{[1,3),[5,7)}',
        'ok', '(1,"a ""b""")', '{1,NULL,3}', '{"a,b",NULL,"c\"d",""}', '{"2024-01-01 00:00:00+00"}', 'a fat cat', '16/B374D848', 'pg_class', 42),
        (2, NULL, NULL, NULL, NULL, NULL, 'NaN', 'Infinity', '-0', NULL, '', '', '', '', '', NULL, NULL, 'null', 'null', NULL, NULL,
        'infinity', '24:00:00', NULL, '-infinity', 'infinity', '00:00:00', NULL, '::1/64', NULL, NULL, NULL, '', NULL, NULL,
        'empty', '{}', NULL, '(,)', '{}', NULL, NULL, '', NULL, NULL, NULL)
"#;

async fn streamed(
    database: &Database,
    slot: &pg_replication::CreatedSlot,
) -> (Relation, Vec<Tuple>) {
    let mut stream = database.stream(slot).await;
    let (mut relation, mut tuples) = (None, Vec::new());
    let all = async {
        loop {
            while let Some(event) = stream.try_next().unwrap() {
                match event {
                    StreamEvent::Change(LogicalMessage::Relation(found)) => relation = Some(found),
                    StreamEvent::Change(LogicalMessage::Insert(insert)) => tuples.push(insert.new),
                    StreamEvent::Commit(..) => return,
                    _ => {}
                }
            }
            stream.fill().await.unwrap();
        }
    };
    timeout(Duration::from_secs(20), all).await.unwrap();
    (relation.unwrap(), tuples)
}

#[tokio::test]
async fn every_type_reads_as_it_streams() {
    let database = Database::create("text_form").await;
    for setting in STRANGE_SETTINGS {
        let sql = format!("ALTER DATABASE {} SET {setting}", database.name());
        database.run(&sql).await;
    }
    database.run(TABLE).await;
    let (session, slot) = database.slot().await;
    drop(session);
    database
        .run(&format!("SET DateStyle = 'ISO, YMD'; {ROWS}"))
        .await;

    let (relation, tuples) = streamed(&database, &slot).await;
    let chunks = database.scan(database.plan(&["t"]).await).await;
    let read: Vec<Tuple> = rows(&chunks).map(|row| row.tuple.clone()).collect();
    for (name, (streamed, read)) in relation
        .columns
        .iter()
        .map(|column| &column.name)
        .zip(tuples[0].iter().zip(read[0].iter()))
    {
        assert_eq!(streamed, read, "{name}");
    }
    assert_eq!(tuples, read);

    let described = &chunks[0].relation;
    assert_eq!(
        (described.id, &described.namespace, &described.name),
        (relation.id, &relation.namespace, &relation.name)
    );
    let types = |relation: &Relation| -> Vec<_> {
        let columns = relation.columns.iter();
        columns
            .map(|c| (c.name.clone(), c.type_oid, c.type_modifier))
            .collect()
    };
    assert_eq!(types(described), types(&relation));
}

/// Also through an exported snapshot.
#[tokio::test]
async fn an_exported_snapshot_changes_no_text() {
    let database = Database::create("text_exported").await;
    database.run(&format!("{TABLE}; {ROWS}")).await;
    let (_session, slot) = database.slot().await;
    let mut plan = database.plan(&["t"]).await;
    let as_of = database.scan(plan.clone()).await;
    plan.view = View::Exported(slot.snapshot_name.unwrap());
    let exported = database.scan(plan).await;
    assert_eq!(exported[0].rows, as_of[0].rows);
    assert_eq!(exported[0].relation, as_of[0].relation);
}
