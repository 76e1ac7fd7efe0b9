//! The command line, and how much work follows from it.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::drain::Case;

/// Measures the relay on servers of its own, which are gone at the end.
///
/// Results go to benches/results and into the tables of docs/performance.md.
///
/// Example: cdc-bench drain --case jsonb-1000 --rows 200000 --quick
#[derive(Debug, Parser)]
#[command(name = "cdc-bench", verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// What to measure.
    #[arg(value_enum, default_value_t = Suite::All)]
    pub(crate) suite: Suite,
    /// Only this backlog is drained; may be given several times [default: all].
    #[arg(long = "case", value_enum)]
    cases: Vec<Case>,
    /// Rows in the backlog that is drained, half as many if each is a transaction [default: 1000000, with --quick 100000].
    #[arg(long)]
    rows: Option<NonZeroU32>,
    /// How often those that are compared take turns, besides those that warm the broker up [default: 3, with --quick 1].
    #[arg(long)]
    rounds: Option<NonZeroU32>,
    /// One round with little of everything: shows that it works. The results are printed, not kept.
    #[arg(long)]
    quick: bool,
}

/// A part of the benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// Throughput: a backlog is sent to Kafka.
    Drain,
    /// Time from the commit to the consumer at 1,000 events a second.
    Latency,
    /// Time from the commit to the webhook at 500 events a second.
    Webhooks,
    /// CPU time while nothing happens.
    Idle,
    /// All of them.
    All,
}

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Rows in the backlog.
    pub(crate) rows: u32,
    /// How often those that are compared take turns; if odd, the median is one that was measured.
    pub(crate) rounds: u32,
    /// How long events flow before their latency counts.
    pub(crate) latency_warm_up: Duration,
    /// How long latency is measured.
    pub(crate) latency: Duration,
    /// How long the relay is watched doing nothing.
    pub(crate) idle: Duration,
    /// Whether results go into the repository.
    pub(crate) keep_results: bool,
}

impl Suite {
    /// Whether `part` belongs to it.
    pub(crate) fn has(self, part: Self) -> bool {
        self == Self::All || self == part
    }
}

impl Arguments {
    /// The backlogs to drain.
    pub(crate) fn cases(&self) -> Vec<Case> {
        if self.cases.is_empty() {
            Case::all()
        } else {
            self.cases.clone()
        }
    }

    /// What the command line asks for.
    pub(crate) fn effort(&self) -> Effort {
        let rows = |default| self.rows.map_or(default, NonZeroU32::get);
        let rounds = |default| self.rounds.map_or(default, NonZeroU32::get);
        if self.quick {
            Effort {
                rows: rows(100_000),
                rounds: rounds(1),
                latency_warm_up: Duration::from_secs(2),
                latency: Duration::from_secs(8),
                idle: Duration::from_secs(5),
                keep_results: false,
            }
        } else {
            Effort {
                rows: rows(1_000_000),
                rounds: rounds(3),
                latency_warm_up: Duration::from_secs(10),
                latency: Duration::from_secs(30),
                idle: Duration::from_secs(20),
                keep_results: true,
            }
        }
    }
}
