//! Asynchronous cleaning up in `Drop`.

use std::time::Duration;

use anyhow::Result;

/// How long one piece of cleaning up may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs `work` to its end on a thread and runtime of its own: `drop` is called inside a runtime, which must not be blocked
/// on its own tasks. A failure is reported and otherwise ignored; the test's own result matters more.
pub(crate) fn run<F: Future<Output = Result<()>>>(
    what: &str,
    work: impl FnOnce() -> F + Send + 'static,
) {
    let thread = std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async { tokio::time::timeout(LIMIT, work()).await? })
    });
    match thread.join() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => report(what, &format!("{error:#}")),
        Err(_) => report(what, "panicked"),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a test that leaves something behind should say so"
)]
fn report(what: &str, error: &str) {
    eprintln!("could not {what}: {error}");
}
