//! Which schedules are run.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test says which seeds it runs, and which one failed"
)]

use std::time::{SystemTime, UNIX_EPOCH};

/// Seeds of schedules: the one of the variable `SEED`; else as many as `SCHEDULES` says, `count` if it says nothing.
/// Others each time; the first and the last are printed.
///
/// # Panics
///
/// A variable is no number.
#[must_use]
pub fn seeds(count: u64) -> Vec<u64> {
    if let Some(seed) = variable("SEED") {
        return vec![seed];
    }
    let count = variable("SCHEDULES").unwrap_or(count);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let first = u64::from(now.subsec_nanos()) * 1_000_000;
    println!("SEED={first} to {}", first + count.saturating_sub(1));
    (first..first + count).collect()
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")))
}

/// Says which seed it was if the test fails while this is there.
#[derive(Debug)]
pub struct Named(pub u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SEED={}", self.0);
        }
    }
}
