//! The table at the end.

use std::time::Duration;

use crate::ledger::Verdict;
use crate::process::Kibibytes;
use crate::relay::Exit;
use crate::report::Table;
use crate::stopwatch::Latency;

/// What the story has shown.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) verdict: Verdict,
    pub(super) latency: Latency,
    recoveries: Vec<(&'static str, Duration)>,
    peak: Kibibytes,
    stop: Duration,
}

impl Summary {
    /// A relay has ended.
    pub(super) fn ended(&mut self, exit: &Exit) {
        self.peak = self.peak.max(exit.peak);
        self.stop = exit.took;
    }

    /// So long after the fault an event arrived that was committed after it.
    pub(super) fn recovered(&mut self, fault: &'static str, took: Duration) {
        self.recoveries.push((fault, took));
    }

    #[expect(clippy::print_stdout, reason = "the program's result")]
    pub(super) fn print(&self) {
        println!(
            "\n{}\n{}\n{}",
            self.verdict,
            self.recovery_table(),
            self.figures()
        );
        let conclusion = if self.verdict.is_clean() {
            "Every promise was kept."
        } else {
            "PROMISES WERE BROKEN."
        };
        println!("  {conclusion}");
    }

    fn recovery_table(&self) -> Table {
        let mut table = Table::new(["fault", "until events flow again"]);
        for (fault, took) in &self.recoveries {
            table.row([*fault, &format!("{:.2} s", took.as_secs_f64())]);
        }
        table
    }

    fn figures(&self) -> Table {
        let milliseconds = |d: Duration| format!("{:.1} ms", d.as_secs_f64() * 1000.0);
        let mut table = Table::new(["figure", "seen"]);
        let Latency { p50, p99, count } = self.latency;
        table.row([
            "commit -> consumer, p50",
            &format!("{} ({count} events, undisturbed)", milliseconds(p50)),
        ]);
        table.row(["commit -> consumer, p99", &milliseconds(p99)]);
        table.row(["relay memory, peak", &self.peak.to_string()]);
        table.row(["SIGTERM -> exit", &milliseconds(self.stop)]);
        table
    }
}
