use pg_lsn::Lsn;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::copy::PgTimestamp;
use crate::pgoutput::encoder::{encode, encode_values};
use crate::pgoutput::{
    Column, OldTuple, RelationId, ReplicaIdentity, Tuple, TupleValue, TypeOid, Xid,
};

fn lsn() -> impl Strategy<Value = Lsn> {
    any::<u64>().prop_map(Lsn::new)
}

fn time() -> impl Strategy<Value = PgTimestamp> {
    any::<i64>().prop_map(PgTimestamp::from_micros)
}

fn relation_id() -> impl Strategy<Value = RelationId> {
    any::<u32>().prop_map(RelationId)
}

fn text(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let character = any::<char>().prop_filter("ends a text on the wire", |&c| c != '\0');
    vec(character, length).prop_map(|characters| characters.into_iter().collect())
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn tuple() -> impl Strategy<Value = Tuple> {
    vec((0..4, vec(any::<u8>(), 0..20)), 0..6).prop_map(|columns| {
        let values: Vec<_> = columns
            .iter()
            .map(|(kind, bytes)| match kind {
                0 => TupleValue::Null,
                1 => TupleValue::UnchangedToast,
                2 => TupleValue::Text(bytes),
                _ => TupleValue::Binary(bytes),
            })
            .collect();
        let tuple = Body::read_all("Tuple", encode_values(&values).into(), Tuple::decode).unwrap();
        assert_eq!(tuple.iter().collect::<Vec<_>>(), values);
        tuple
    })
}

fn old_tuple() -> impl Strategy<Value = OldTuple> {
    prop_oneof![
        tuple().prop_map(OldTuple::Key),
        tuple().prop_map(OldTuple::Full)
    ]
}

fn relation() -> impl Strategy<Value = Relation> {
    let replica_identity = prop_oneof![
        Just(ReplicaIdentity::Default),
        Just(ReplicaIdentity::Nothing),
        Just(ReplicaIdentity::Full),
        Just(ReplicaIdentity::Index),
    ];
    let column = (any::<bool>(), text(0..9), any::<u32>(), any::<i32>()).prop_map(
        |(is_key, name, type_oid, type_modifier)| Column {
            is_key,
            name,
            type_oid: TypeOid(type_oid),
            type_modifier,
        },
    );
    (
        relation_id(),
        text(1..9),
        text(0..9),
        replica_identity,
        vec(column, 0..6),
    )
        .prop_map(
            |(id, namespace, name, replica_identity, columns)| Relation {
                id,
                namespace,
                name,
                replica_identity,
                columns,
            },
        )
}

fn transaction_message() -> impl Strategy<Value = LogicalMessage> {
    let begin = (lsn(), time(), any::<u32>()).prop_map(|(final_lsn, commit_time, xid)| {
        LogicalMessage::Begin(Begin {
            final_lsn,
            commit_time,
            xid: Xid(xid),
        })
    });
    let commit = (lsn(), lsn(), time()).prop_map(|(commit_lsn, end_lsn, commit_time)| {
        LogicalMessage::Commit(Commit {
            commit_lsn,
            end_lsn,
            commit_time,
        })
    });
    let origin = (lsn(), text(0..9))
        .prop_map(|(commit_lsn, name)| LogicalMessage::Origin(Origin { commit_lsn, name }));
    let prefix = text(0..9).prop_map(Bytes::from);
    let message = (any::<bool>(), lsn(), prefix, bytes()).prop_map(
        |(transactional, lsn, prefix, content)| {
            LogicalMessage::Message(Message {
                transactional,
                lsn,
                prefix,
                content,
            })
        },
    );
    prop_oneof![begin, commit, origin, message]
}

fn table_message() -> impl Strategy<Value = LogicalMessage> {
    let r#type = (any::<u32>(), text(1..9), text(0..9)).prop_map(|(oid, namespace, name)| {
        LogicalMessage::Type(Type {
            oid: TypeOid(oid),
            namespace,
            name,
        })
    });
    let insert = (relation_id(), tuple())
        .prop_map(|(relation, new)| LogicalMessage::Insert(Insert { relation, new }));
    let update = (relation_id(), option::of(old_tuple()), tuple())
        .prop_map(|(relation, old, new)| LogicalMessage::Update(Update { relation, old, new }));
    let delete = (relation_id(), old_tuple())
        .prop_map(|(relation, old)| LogicalMessage::Delete(Delete { relation, old }));
    let truncate = (vec(relation_id(), 0..5), any::<bool>(), any::<bool>()).prop_map(
        |(relations, cascade, restart_identity)| {
            LogicalMessage::Truncate(Truncate {
                relations,
                cascade,
                restart_identity,
            })
        },
    );
    prop_oneof![
        relation().prop_map(LogicalMessage::Relation),
        r#type,
        insert,
        update,
        delete,
        truncate,
    ]
}

fn any_message() -> impl Strategy<Value = LogicalMessage> {
    prop_oneof![transaction_message(), table_message()]
}

proptest! {
    #[test]
    fn parses_what_a_server_encodes(message in any_message()) {
        prop_assert_eq!(LogicalMessage::parse(encode(&message).into()), Ok(message));
    }

    #[test]
    fn refuses_a_message_with_bytes_missing_or_left_over(message in any_message()) {
        let whole = Bytes::from(encode(&message));
        for length in 0..whole.len() {
            let error = LogicalMessage::parse(whole.slice(..length)).unwrap_err();
            prop_assert!(matches!(error, ProtocolError::Truncated { .. }), "{length}: {error}");
        }
        let longer: Bytes = whole.iter().copied().chain([0]).collect();
        let error = LogicalMessage::parse(longer).unwrap_err();
        prop_assert!(matches!(error, ProtocolError::TrailingBytes { extra: 1, .. }), "{error}");
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        kind in prop::sample::select(b"BCDIMORTUYSEcAx".to_vec()),
        rest in vec(any::<u8>(), 0..200),
    ) {
        let bytes = [&[kind][..], &rest].concat();
        // Debug walks over every value.
        let shown = format!("{:?}", LogicalMessage::parse(bytes.into()));
        prop_assert!(!shown.is_empty());
    }
}

/// A second look at the format: these bytes come from PostgreSQL, not from this project.
#[test]
fn parses_what_postgres_sent_and_loses_nothing() {
    let lines = include_str!("../../../tests/fixtures/pgoutput.hex").lines();
    let mut count = 0;
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let digits = line.as_bytes().chunks(2);
        let bytes: Vec<u8> = digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let message = LogicalMessage::parse(bytes.clone().into()).unwrap();
        assert_eq!(encode(&message), bytes, "{message:?}");
        count += 1;
    }
    assert!(count > 60, "only {count} messages");
}

#[test]
fn refuses_messages_of_later_protocol_versions() {
    for tag in *b"SEcAbPKr" {
        let error = LogicalMessage::parse(Bytes::from(vec![tag; 30])).unwrap_err();
        assert_eq!(
            error,
            ProtocolError::UnknownMessage {
                family: "pgoutput message",
                tag
            }
        );
    }
    LogicalMessage::parse(Bytes::new()).unwrap_err();
}
