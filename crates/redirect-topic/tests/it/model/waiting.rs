//! What the redirect topic says about records, told from what operators see in it: keys, and the last header.

use std::collections::{BTreeMap, HashSet};

use order_model::Id;
use redirect_topic::LogRecord;
use serde_json::Value;

use super::source::entry;

/// What counts in the redirect topic.
#[derive(Default)]
pub(crate) struct Waiting {
    newest: BTreeMap<String, Said>,
    /// What has ever waited.
    waited: HashSet<String>,
}

/// What the newest record of a key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Waits,
    Held,
    Skipped,
    Done,
    Other,
}

impl Waiting {
    /// Something was written.
    pub(super) fn take_in(&mut self, record: LogRecord) {
        let key = of_source_generation(String::from_utf8(record.key).unwrap());
        if record.value.is_none() {
            self.newest.remove(&key);
            return;
        }
        let stamp = record.headers.as_slice().last().unwrap();
        let stamp: Value = serde_json::from_slice(stamp.value.as_ref().unwrap()).unwrap();
        let said = match stamp["kind"].as_str().unwrap() {
            "waits" if stamp["held"] == true => Said::Held,
            "waits" => Said::Waits,
            "skipped" => Said::Skipped,
            "done" => Said::Done,
            _ => Said::Other,
        };
        if matches!(said, Said::Waits | Said::Held) {
            self.waited.insert(key.clone());
        }
        self.newest.insert(key, said);
    }

    pub(crate) fn said(&self, key: &str) -> Option<&Said> {
        self.newest.get(key)
    }

    /// Whether it has ever waited.
    pub(crate) fn has_waited(&self, key: &str) -> bool {
        self.waited.contains(key)
    }

    /// What is said about a record and its parts, also about those that came back alone.
    pub(crate) fn of_record(&self, id: Id) -> impl Iterator<Item = &Said> {
        let key = entry(id, None);
        let alone = key.replace("at/", "alone/");
        let all = self.newest.iter();
        let own = all.filter(move |(other, _)| is_of(&key, other) || is_of(&alone, other));
        own.map(|(_, said)| said)
    }

    /// All that is left, but for whose the partitions are.
    pub(crate) fn left(&self) -> impl Iterator<Item = (&String, &Said)> {
        let all = self.newest.iter();
        all.filter(|(key, _)| !key.starts_with("owner/"))
    }
}

fn is_of(whole: &str, key: &str) -> bool {
    let rest = key.strip_prefix(whole);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The topic is made anew once, and that may be said more often.
fn of_source_generation(key: String) -> String {
    let mut parts: Vec<&str> = key.split('/').collect();
    for part in 0..parts.len() {
        let is_before = matches!(parts[part], "at" | "alone");
        if is_before && parts[part + 1] != "0" {
            parts[part + 1] = "1";
            return parts.join("/");
        }
    }
    key
}
