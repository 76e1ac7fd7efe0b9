//! How long recoveries took.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Fault;
use crate::report::Table;

/// Per fault, how often it happened and the time from it to the first event that was committed after it, for those that
/// were waited for.
#[derive(Debug, Default)]
pub(super) struct Recoveries(BTreeMap<Fault, (u32, Vec<Duration>)>);

impl Recoveries {
    pub(super) fn add(&mut self, fault: Fault, took: Option<Duration>) {
        let (times, durations) = self.0.entry(fault).or_default();
        *times += 1;
        durations.extend(took);
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(["fault", "times", "recovery p50", "max"]);
        for (fault, (times, durations)) in &self.0 {
            let mut sorted = durations.clone();
            sorted.sort_unstable();
            let seconds = |d: Option<&Duration>| {
                d.map_or("-".into(), |d| format!("{:.2} s", d.as_secs_f64()))
            };
            let median = seconds(sorted.get(sorted.len() / 2));
            table.row([
                &fault.to_string(),
                &times.to_string(),
                &median,
                &seconds(sorted.last()),
            ]);
        }
        table
    }
}
