//! A partition of the source topic.

use cdc_event::{AssignedPartition, Headers, KafkaPosition, PartId, Record};
use order_model::{Id, Random};

pub(crate) const GROUP: &str = "billing";
pub(crate) const TOPIC: &str = "orders";
pub(crate) const PARTITIONS: usize = 2;

/// More than a partition ever has of records.
const GENERATION: i64 = 1000;

/// A partition of the source topic.
pub(crate) struct Source {
    pub(crate) partition: i32,
    pub(crate) generation: u32,
    pub(crate) log: Vec<Record>,
    /// Where the group goes on.
    pub(crate) committed: usize,
}

impl Source {
    /// With records of a few keys, and of none.
    pub(crate) fn new(partition: usize, generation: u32, random: &mut Random) -> Self {
        let number = i32::try_from(partition).unwrap();
        let keys = [None, Some("a"), Some("a"), Some("b"), Some("c")];
        let records = 8 + random.below(20);
        let log = (0..i64::try_from(records).unwrap()).map(|offset| {
            let key = keys[random.below(keys.len())].map(|key| format!("{key}{partition}"));
            record(number, generation, offset, key)
        });
        Self {
            partition: number,
            generation,
            log: log.collect(),
            committed: 0,
        }
    }

    pub(crate) fn assigned(&self) -> AssignedPartition {
        AssignedPartition {
            group: GROUP.into(),
            topic: TOPIC.into(),
            partition: self.partition,
            partition_count: i32::try_from(PARTITIONS).unwrap(),
            committed: Some(offset(self.committed)),
        }
    }
}

pub(crate) fn offset(place: usize) -> i64 {
    i64::try_from(place).unwrap()
}

fn record(partition: i32, generation: u32, offset: i64, key: Option<String>) -> Record {
    let number = i64::from(generation) * GENERATION + offset;
    let mut headers = Headers::new();
    headers.push("id", None);
    Record {
        origin: KafkaPosition {
            topic: TOPIC.into(),
            partition,
            offset,
        },
        part: None,
        key: key.map(String::into_bytes),
        value: Some(number.to_string().into_bytes()),
        headers,
        timestamp_ms: Some(-1),
    }
}

/// Which record it is; its value tells.
pub(crate) fn id(record: &Record) -> Id {
    let value = record.value.clone().unwrap();
    let number = String::from_utf8(value).unwrap().parse().unwrap();
    (record.origin.partition, number)
}

pub(crate) fn part(record: &Record) -> Option<&str> {
    record.part.as_ref().map(PartId::as_str)
}

/// Which record is called so in the redirect topic, if it stands in its place.
pub(crate) fn id_of_entry(entry: &str) -> Option<Id> {
    let mut numbers = entry.strip_prefix("at/")?.split('/').map(str::parse::<i64>);
    let mut next = || numbers.next()?.ok();
    let (generation, partition, offset) = (next()?, next()?, next()?);
    let partition = i32::try_from(partition).ok()?;
    Some((partition, generation * GENERATION + offset))
}

/// What it is called in the redirect topic.
pub(crate) fn entry((partition, number): Id, part: Option<&str>) -> String {
    let (generation, offset) = (number / GENERATION, number % GENERATION);
    let whole = format!("at/{generation}/{partition}/{offset}");
    match part {
        Some(part) => format!("{whole}/{part}"),
        None => whole,
    }
}
