//! The inverse of the parser, for its tests.

use super::*;

/// What pgoutput sends for `message`.
pub(super) fn encode(message: &LogicalMessage) -> Vec<u8> {
    let mut out = Vec::new();
    match message {
        LogicalMessage::Begin(begin) => {
            out.push(b'B');
            put_u64(&mut out, begin.final_lsn.get());
            out.extend(begin.commit_time.micros().to_be_bytes());
            put_u32(&mut out, begin.xid.0);
        }
        LogicalMessage::Commit(commit) => {
            out.extend(b"C\0");
            put_u64(&mut out, commit.commit_lsn.get());
            put_u64(&mut out, commit.end_lsn.get());
            out.extend(commit.commit_time.micros().to_be_bytes());
        }
        LogicalMessage::Origin(origin) => {
            out.push(b'O');
            put_u64(&mut out, origin.commit_lsn.get());
            put_cstr(&mut out, &origin.name);
        }
        LogicalMessage::Relation(relation) => put_relation(&mut out, relation),
        LogicalMessage::Type(r#type) => {
            out.push(b'Y');
            put_u32(&mut out, r#type.oid.0);
            put_namespace(&mut out, &r#type.namespace);
            put_cstr(&mut out, &r#type.name);
        }
        LogicalMessage::Insert(insert) => {
            out.push(b'I');
            put_u32(&mut out, insert.relation.0);
            put_tuple(&mut out, b'N', &insert.new);
        }
        LogicalMessage::Update(update) => {
            out.push(b'U');
            put_u32(&mut out, update.relation.0);
            if let Some(old) = &update.old {
                put_old(&mut out, old);
            }
            put_tuple(&mut out, b'N', &update.new);
        }
        LogicalMessage::Delete(delete) => {
            out.push(b'D');
            put_u32(&mut out, delete.relation.0);
            put_old(&mut out, &delete.old);
        }
        LogicalMessage::Truncate(truncate) => {
            out.push(b'T');
            put_u32(&mut out, u32::try_from(truncate.relations.len()).unwrap());
            out.push(u8::from(truncate.cascade) | u8::from(truncate.restart_identity) << 1);
            truncate
                .relations
                .iter()
                .for_each(|relation| put_u32(&mut out, relation.0));
        }
        LogicalMessage::Message(message) => {
            out.extend([b'M', u8::from(message.transactional)]);
            put_u64(&mut out, message.lsn.get());
            out.extend(&message.prefix);
            out.push(0);
            put_sized(&mut out, &message.content);
        }
    }
    out
}

/// What pgoutput sends for a row, from the column count on.
pub(super) fn encode_values(values: &[TupleValue<'_>]) -> Vec<u8> {
    let mut out = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        match value {
            TupleValue::Null => out.push(b'n'),
            TupleValue::UnchangedToast => out.push(b'u'),
            TupleValue::Text(bytes) => {
                out.push(b't');
                put_sized(&mut out, bytes);
            }
            TupleValue::Binary(bytes) => {
                out.push(b'b');
                put_sized(&mut out, bytes);
            }
        }
    }
    out
}

fn put_relation(out: &mut Vec<u8>, relation: &Relation) {
    out.push(b'R');
    put_u32(out, relation.id.0);
    put_namespace(out, &relation.namespace);
    put_cstr(out, &relation.name);
    out.push(match relation.replica_identity {
        ReplicaIdentity::Default => b'd',
        ReplicaIdentity::Nothing => b'n',
        ReplicaIdentity::Full => b'f',
        ReplicaIdentity::Index => b'i',
    });
    out.extend(u16::try_from(relation.columns.len()).unwrap().to_be_bytes());
    for column in &relation.columns {
        out.push(u8::from(column.is_key));
        put_cstr(out, &column.name);
        put_u32(out, column.type_oid.0);
        out.extend(column.type_modifier.to_be_bytes());
    }
}

fn put_old(out: &mut Vec<u8>, old: &OldTuple) {
    match old {
        OldTuple::Key(tuple) => put_tuple(out, b'K', tuple),
        OldTuple::Full(tuple) => put_tuple(out, b'O', tuple),
    }
}

fn put_tuple(out: &mut Vec<u8>, form: u8, tuple: &Tuple) {
    out.push(form);
    out.extend(encode_values(&tuple.iter().collect::<Vec<_>>()));
}

fn put_namespace(out: &mut Vec<u8>, namespace: &str) {
    put_cstr(
        out,
        if namespace == "pg_catalog" {
            ""
        } else {
            namespace
        },
    );
}

fn put_cstr(out: &mut Vec<u8>, text: &str) {
    out.extend(text.as_bytes());
    out.push(0);
}

fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, u32::try_from(bytes.len()).unwrap());
    out.extend(bytes);
}

fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend(number.to_be_bytes());
}

fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend(number.to_be_bytes());
}
