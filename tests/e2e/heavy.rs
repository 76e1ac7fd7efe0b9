//! Tests that load the machine, one after the other.

use tokio::sync::{Mutex, MutexGuard};

static TURN: Mutex<()> = Mutex::const_new(());

/// Waits until no other such test runs; keep what it gives until the end of the test.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}
