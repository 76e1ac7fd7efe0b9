//! What Debezium made of a step beside what we make of it.

use std::fmt;

use crate::group::{GoldenRecord, Group, Outcome, Step};
use crate::partitioner::partition_of;
use crate::replay::{Ours, Record};

/// In what the two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aspect {
    /// Debezium's task failed, we send a record.
    SentAllTheSame,
    /// Debezium's task failed, we go on without a record.
    Ignored,
    /// Debezium sends a record, we refuse the row.
    Refused,
    /// Debezium's own headers, which we do not send.
    ContextHeaders,
    /// The number of records.
    Count,
    Topic,
    Partition,
    Key,
    Value,
    /// The value, but only in the order of an object's members.
    MemberOrder,
    Headers,
    Timestamp,
}

#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) group: String,
    pub(crate) case: String,
    pub(crate) aspect: Aspect,
    pub(crate) golden: String,
    pub(crate) ours: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            group,
            case,
            aspect,
            golden,
            ours,
        } = self;
        write!(
            f,
            "{group} {case}: {aspect:?}\n  Debezium {golden}\n  we       {ours}"
        )
    }
}

/// All differences of a step.
pub(crate) fn compare(group: &Group, step: &Step, ours: &[Ours]) -> Vec<Mismatch> {
    let mut found = Found {
        group,
        step,
        mismatches: Vec::new(),
    };
    let expected: Vec<&Outcome> = step
        .outcomes
        .iter()
        .filter(|outcome| **outcome != Outcome::NoRecord)
        .collect();
    match (expected.as_slice(), ours) {
        ([Outcome::TaskFailed], []) => {
            found.push(Aspect::Ignored, "fails", "no record");
        }
        (expected, ours) if expected.len() != ours.len() => {
            found.push(Aspect::Count, expected, ours);
        }
        (expected, ours) => {
            for (golden, ours) in expected.iter().zip(ours) {
                found.outcome(golden, ours);
            }
        }
    }
    found.mismatches
}

struct Found<'a> {
    group: &'a Group,
    step: &'a Step,
    mismatches: Vec<Mismatch>,
}

impl Found<'_> {
    fn push(&mut self, aspect: Aspect, golden: impl fmt::Debug, ours: impl fmt::Debug) {
        self.mismatches.push(Mismatch {
            group: self.group.id().to_owned(),
            case: self.step.case.clone(),
            aspect,
            golden: format!("{golden:?}"),
            ours: format!("{ours:?}"),
        });
    }

    fn unequal<T: PartialEq + fmt::Debug>(&mut self, aspect: Aspect, golden: T, ours: T) {
        if golden != ours {
            self.push(aspect, golden, ours);
        }
    }

    fn outcome(&mut self, golden: &Outcome, ours: &Ours) {
        match (golden, ours) {
            (Outcome::Record(golden), Ours::Record(ours)) => self.record(golden, ours),
            (Outcome::Record(golden), Ours::Refused(why)) => {
                self.push(Aspect::Refused, golden, why);
            }
            (Outcome::TaskFailed, Ours::Record(ours)) => {
                self.push(Aspect::SentAllTheSame, "fails", ours);
            }
            (Outcome::TaskFailed, Ours::Refused(_)) => {}
            (Outcome::NoRecord, ours) => self.push(Aspect::Count, "no record", ours),
        }
    }

    fn record(&mut self, golden: &GoldenRecord, ours: &Record) {
        self.unequal(Aspect::Topic, &golden.topic, &ours.topic);
        self.unequal(
            Aspect::Key,
            shown(golden.key.as_ref().map(|key| key.get())),
            shown(ours.key.clone()),
        );
        self.value(golden.value.as_ref().map(|value| value.get()), &ours.value);
        self.headers(golden, ours);
        let chosen_by_key = || {
            let key = ours.key.as_ref()?;
            Some(partition_of(key, self.group.about.topic_partitions))
        };
        // Without a key Kafka's client chooses as it likes.
        if let Some(golden) = golden.partition
            && let Some(ours) = ours.partition.or_else(chosen_by_key)
        {
            self.unequal(Aspect::Partition, golden, ours);
        }
        if golden.timestamp_is == "from the row" {
            self.unequal(Aspect::Timestamp, Some(golden.timestamp), ours.timestamp);
        } else {
            // That is the time of processing; ours is that of the commit.
            assert!(ours.timestamp.is_some());
        }
    }

    fn value(&mut self, golden: Option<Vec<u8>>, ours: &Option<Vec<u8>>) {
        if golden == *ours {
            return;
        }
        let parsed = |value: &Option<Vec<u8>>| {
            let document: Option<serde_json::Value> = value
                .as_ref()
                .and_then(|value| serde_json::from_slice(value).ok());
            document.filter(|document| document.is_object())
        };
        let aspect = match (parsed(&golden), parsed(ours)) {
            (Some(golden), Some(ours))
                if without_schema_order(golden.clone()) == without_schema_order(ours.clone()) =>
            {
                Aspect::MemberOrder
            }
            _ => Aspect::Value,
        };
        self.push(aspect, shown(golden), shown(ours.clone()));
    }

    fn headers(&mut self, golden: &GoldenRecord, ours: &Record) {
        let all = golden.headers.iter().map(|header| {
            let value = header.value.as_ref().map(|value| value.get());
            (header.name.clone(), shown(value))
        });
        let (context, expected): (Vec<_>, Vec<_>) =
            all.partition(|(name, _)| name.starts_with("__debezium.context."));
        if !context.is_empty() {
            self.push(Aspect::ContextHeaders, context, "none");
        }
        let ours: Vec<_> = ours
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), shown(value.clone())))
            .collect();
        self.unequal(Aspect::Headers, expected, ours);
    }
}

/// Fields of schemas are in an array, where order would count: here sorted by their names.
fn without_schema_order(mut document: serde_json::Value) -> serde_json::Value {
    match &mut document {
        serde_json::Value::Array(elements) => {
            for element in elements.iter_mut() {
                *element = without_schema_order(element.take());
            }
            if elements
                .iter()
                .all(|element| element.get("field").is_some())
            {
                elements.sort_by_key(|element| element["field"].to_string());
            }
        }
        serde_json::Value::Object(members) => {
            for value in members.values_mut() {
                *value = without_schema_order(value.take());
            }
        }
        _ => {}
    }
    document
}

/// Bytes as text where they are, so that equal ones look equal and unequal ones can be read.
fn shown(bytes: Option<Vec<u8>>) -> Option<String> {
    bytes.map(|bytes| match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => format!("bytes {:x?}", error.into_bytes()),
    })
}
