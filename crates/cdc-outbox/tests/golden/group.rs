//! The files of golden records.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// A table, a configuration of Debezium, and what came out.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) about: About,
    pub(crate) steps: Vec<Step>,
}

/// The group's set-up: its `.json` file.
#[derive(Debug, Deserialize)]
pub(crate) struct About {
    pub(crate) group: String,
    pub(crate) ddl: String,
    pub(crate) publication: String,
    pub(crate) topic_partitions: u32,
    pub(crate) connector_config: BTreeMap<String, String>,
    pub(crate) server_extra: Option<BTreeMap<String, String>>,
    pub(crate) runtime: String,
}

/// Some SQL and what Debezium made of it.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) case: String,
    pub(crate) sql: String,
    pub(crate) outcomes: Vec<Outcome>,
}

/// What Debezium made of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Record(Box<GoldenRecord>),
    NoRecord,
    TaskFailed,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct GoldenRecord {
    pub(crate) topic: String,
    /// `None`: made without a broker, and no column chose one.
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Vec<GoldenHeader>,
    pub(crate) timestamp: i64,
    pub(crate) timestamp_is: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct GoldenHeader {
    pub(crate) name: String,
    pub(crate) value: Option<Bytes>,
}

/// Exact bytes, in Base64.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Bytes {
    b64: String,
}

#[derive(Debug, Deserialize)]
struct Line {
    case: String,
    sql: String,
    outcome: String,
    record: Option<GoldenRecord>,
}

impl Bytes {
    pub(crate) fn get(&self) -> Vec<u8> {
        STANDARD.decode(&self.b64).unwrap()
    }
}

impl Group {
    /// All groups, in the order of their names.
    pub(crate) fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
            .collect();
        files.sort();
        assert!(!files.is_empty(), "no golden records");
        files.iter().map(|file| Self::read(file)).collect()
    }

    /// `g01` of `g01_default_jsonb_string`.
    pub(crate) fn id(&self) -> &str {
        self.about.group.split('_').next().unwrap()
    }

    pub(crate) fn config(&self, key: &str) -> Option<&str> {
        self.about.connector_config.get(key).map(String::as_str)
    }

    fn read(file: &Path) -> Self {
        let about = std::fs::read(file).unwrap();
        let lines = std::fs::read_to_string(file.with_extension("jsonl")).unwrap();
        // Not `lines()`, nor any reader that takes U+2028 for a line's end: strings in these lines have it.
        let mut steps: Vec<Step> = Vec::new();
        for line in lines.split('\n').filter(|line| !line.is_empty()) {
            let line: Line = serde_json::from_str(line).unwrap();
            let outcome = line.outcome();
            match steps.last_mut() {
                // Several rows of one transaction.
                Some(last) if last.case == line.case && last.sql == line.sql => {
                    last.outcomes.push(outcome);
                }
                _ => steps.push(Step {
                    case: line.case,
                    sql: line.sql,
                    outcomes: vec![outcome],
                }),
            }
        }
        Self {
            about: serde_json::from_slice(&about).unwrap(),
            steps,
        }
    }
}

impl Line {
    fn outcome(&self) -> Outcome {
        match (self.outcome.as_str(), &self.record) {
            ("record", Some(record)) => Outcome::Record(Box::new(record.clone())),
            ("no record", None) => Outcome::NoRecord,
            ("task failed", None) => Outcome::TaskFailed,
            other => panic!("{}: {other:?}", self.case),
        }
    }
}
