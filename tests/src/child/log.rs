//! What processes write to stderr.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// How many lines are kept, the newest.
const CAPACITY: usize = 2_000;

/// The last lines of all processes of a test, each with the pid of its process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    /// The last `count` lines.
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines();
        let skipped = lines.len().saturating_sub(count);
        lines
            .iter()
            .skip(skipped)
            .fold(String::new(), |text, line| text + line + "\n")
    }

    /// Whether a line has `text` in it.
    pub fn contains(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }

    /// Takes lines from `source` until its end.
    pub(super) fn follow(&self, source: impl Read + Send + 'static, pid: u32) -> JoinHandle<()> {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                log.push(format!("[{pid}] {line}"));
            }
        })
    }

    fn push(&self, line: String) {
        let mut lines = self.lines();
        if lines.len() == CAPACITY {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_lines() {
        let log = Log::default();
        let text: String = (0..CAPACITY + 2).map(|n| format!("line {n}\n")).collect();
        log.follow(std::io::Cursor::new(text), 7).join().unwrap();
        assert!(!log.contains("line 1\n") && log.contains("[7] line 2001"));
        assert_eq!(log.tail(1), "[7] line 2001\n");
    }
}
