//! Live progress for a person: one line that is written over on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::journal::Journal;

/// How often the line on a terminal is brought up to date.
const REFRESH: Duration = Duration::from_millis(100);

/// Shows what is going on. Clears its line when dropped.
#[derive(Debug)]
pub struct Progress {
    line: Option<Arc<Mutex<Line>>>,
    _refresh: JoinSet<()>,
}

#[derive(Debug)]
struct Line {
    started: Instant,
    activity: String,
    journal: Option<Journal>,
    terminal: bool,
}

impl Progress {
    /// Shows nothing, as tests want it.
    pub fn silent() -> Self {
        Self {
            line: None,
            _refresh: JoinSet::new(),
        }
    }

    /// Writes to stdout. Must be called in a runtime.
    pub fn on_stdout() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let line = Line {
            started: Instant::now(),
            activity: String::new(),
            journal: None,
            terminal,
        };
        let line = Arc::new(Mutex::new(line));
        let mut refresh = JoinSet::new();
        if terminal {
            let line = Arc::clone(&line);
            refresh.spawn(async move {
                loop {
                    lock(&line).draw();
                    tokio::time::sleep(REFRESH).await;
                }
            });
        }
        Self {
            line: Some(line),
            _refresh: refresh,
        }
    }

    /// Shows the counts of `journal` from now on.
    pub fn watch(&self, journal: &Journal) {
        if let Some(line) = &self.line {
            lock(line).journal = Some(journal.clone());
        }
    }

    /// Says what is going on now.
    pub fn now(&self, activity: impl Into<String>) {
        if let Some(line) = &self.line {
            let mut line = lock(line);
            line.activity = activity.into();
            line.draw();
        }
    }

    /// Writes a line that stays.
    pub fn note(&self, text: &str) {
        if let Some(line) = &self.line {
            lock(line).write(&format!("{text}\n"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            lock(line).write("");
        }
    }
}

impl Line {
    fn draw(&self) {
        let end = if self.terminal { "" } else { "\n" };
        self.write(&format!(
            "{:5.1} s  {}{}{end}",
            self.started.elapsed().as_secs_f64(),
            self.counts(),
            self.activity
        ));
    }

    fn counts(&self) -> String {
        let Some(journal) = &self.journal else {
            return String::new();
        };
        let counts = journal.counts();
        let (committed, received) = (counts.committed, counts.received);
        format!(
            "committed {committed:>6}  received {received:>6}  duplicates {:>6}  ",
            counts.duplicates
        )
    }

    fn write(&self, text: &str) {
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        let mut stdout = std::io::stdout().lock();
        // Nobody reads any more: no reason to stop what is going on.
        write!(stdout, "{clear}{text}")
            .and_then(|()| stdout.flush())
            .ok();
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}
