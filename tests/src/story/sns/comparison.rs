//! The table at the end, and what it has to show.

use std::time::Duration;

use crate::report::Table;
use crate::sns::Mode;

/// How soon after Kafka's return everybody has heard of everything. Most of it is the time that consumers need to find
/// their group again; the table has what it was.
const AFTER_RETURN: Duration = Duration::from_secs(10);

/// How much later, in the median, a post is heard of that waits for a round of polling.
const LATE: Duration = Duration::from_millis(200);

/// Transactions a second that asking for news adds, and what may be a difference of chance: all three have a cdc-relay
/// that looks at the server now and then.
const BUSY: f64 = 0.7;
const CHANCE: f64 = 0.4;

/// What became of the posts of one SNS.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) mode: Mode,
    pub(super) posted: usize,
    /// Posts of which a subscriber did not hear.
    pub(super) lost: usize,
    /// Webhooks that were accepted once more.
    pub(super) repeated: u64,
    /// From the request of a post to each of its webhooks, sorted.
    pub(super) latencies: Vec<Duration>,
    /// From Kafka's return until everybody had heard of everything; `None` if that never happened.
    pub(super) recovery: Option<Duration>,
}

/// The three modes beside each other.
#[derive(Debug)]
pub(super) struct Comparison {
    seen: [Seen; 3],
    idle: [f64; 3],
}

impl Seen {
    /// So many percent took at most this.
    fn percentile(&self, percent: usize) -> Duration {
        let index = (self.latencies.len() * percent).div_ceil(100);
        let found = self.latencies.get(index.saturating_sub(1));
        found.copied().unwrap_or_default()
    }
}

impl Comparison {
    /// In the order of [`Mode::ALL`]; `idle` is in transactions a second.
    pub(super) fn new(seen: [Seen; 3], idle: [f64; 3]) -> Self {
        Self { seen, idle }
    }

    /// Whether everything was seen that the modes are known for.
    pub(super) fn is_as_promised(&self) -> bool {
        self.promises().iter().all(|(_, kept)| *kept)
    }

    #[expect(clippy::print_stdout, reason = "the story's result")]
    pub(super) fn print(&self) {
        println!("\n{}", self.table());
        let mut promises = Table::new(["what is promised", "seen"]);
        for (promise, kept) in self.promises() {
            promises.row([promise, if kept { "yes" } else { "NO" }]);
        }
        println!("{promises}");
        let conclusion = if self.is_as_promised() {
            "Every mode is as it is said to be; cdc keeps its promises."
        } else {
            "PROMISES WERE BROKEN."
        };
        println!("  {conclusion}\n");
    }

    fn promises(&self) -> [(&'static str, bool); 7] {
        let [direct, polling, cdc] = &self.seen;
        let [direct_idle, polling_idle, cdc_idle] = self.idle;
        [
            ("direct loses what Kafka does not take", direct.lost > 0),
            ("polling loses nothing", polling.lost == 0),
            (
                "polling is late",
                polling.percentile(50) > direct.percentile(50) + LATE,
            ),
            (
                "polling asks the database all the time",
                polling_idle > direct_idle + BUSY,
            ),
            (
                "cdc loses nothing, and nobody hears twice",
                cdc.lost == 0 && cdc.repeated == 0,
            ),
            (
                "cdc delivers everything within 10 s of Kafka's return",
                cdc.recovery.is_some_and(|took| took <= AFTER_RETURN),
            ),
            (
                "cdc asks the database no more than direct does",
                cdc_idle < direct_idle + CHANCE,
            ),
        ]
    }

    fn table(&self) -> Table {
        let milliseconds = |d: Duration| format!("{:.0} ms", d.as_secs_f64() * 1000.0);
        let mut table = Table::new([
            "mode",
            "posted",
            "lost",
            "heard twice",
            "post -> webhook p50",
            "p99",
            "all there after Kafka's return",
            "idle transactions/s",
        ]);
        for (seen, idle) in self.seen.iter().zip(self.idle) {
            table.row([
                seen.mode.to_string(),
                seen.posted.to_string(),
                seen.lost.to_string(),
                seen.repeated.to_string(),
                milliseconds(seen.percentile(50)),
                milliseconds(seen.percentile(99)),
                seen.recovery.map_or("never".into(), |took| {
                    format!("{:.2} s", took.as_secs_f64())
                }),
                format!("{idle:.2}"),
            ]);
        }
        table
    }
}
