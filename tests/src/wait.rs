//! Waiting for a condition instead of for time to pass.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// Time between two looks at a condition.
const INTERVAL: Duration = Duration::from_millis(10);

/// What one look at a condition brought.
#[derive(Debug)]
pub enum Look<T> {
    /// The condition holds; the wait ends with this value.
    Ready(T),
    /// It does not hold yet. The text goes into the error if time runs out.
    NotYet(String),
}

impl Look<()> {
    /// `Ready` if `holds`, else `NotYet` with what was seen.
    pub fn when(holds: bool, seen: impl Display) -> Self {
        if holds {
            Self::Ready(())
        } else {
            Self::NotYet(seen.to_string())
        }
    }
}

/// A wait in progress; [`until`] is the easy way to have one.
#[derive(Debug)]
pub struct Wait<'a> {
    started: Instant,
    limit: Duration,
    what: &'a str,
}

impl<'a> Wait<'a> {
    /// Starts to wait for `what`.
    pub fn new(limit: Duration, what: &'a str) -> Self {
        Self {
            started: Instant::now(),
            limit,
            what,
        }
    }

    /// Whether the limit is exceeded.
    pub fn is_over(&self) -> bool {
        self.started.elapsed() >= self.limit
    }

    /// Pauses before the next look.
    ///
    /// # Errors
    /// Fails once the limit is exceeded, with what was waited for and `seen` last.
    pub async fn again(&self, seen: impl Display) -> Result<()> {
        let Self { limit, what, .. } = *self;
        ensure!(
            !self.is_over(),
            "waited {limit:?} for {what}; last seen: {seen}"
        );
        tokio::time::sleep(INTERVAL).await;
        Ok(())
    }
}

/// Looks again and again until `look` is ready, and gives what it brought.
///
/// An error from `look` counts as "not yet": servers are down for a while in these tests.
///
/// # Errors
/// Fails after `limit` with `what` was waited for and what was seen last. One look in progress may exceed the limit.
pub async fn until<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Look<T>>,
) -> Result<T> {
    let wait = Wait::new(limit, what);
    loop {
        let seen = match look().await {
            Ok(Look::Ready(value)) => return Ok(value),
            Ok(Look::NotYet(seen)) => seen,
            Err(error) => format!("{error:#}"),
        };
        wait.again(seen).await?;
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[tokio::test]
    async fn says_what_it_saw_last() {
        let mut looks = 0;
        let error = until(Duration::from_millis(50), "three", async || {
            looks += 1;
            Ok(Look::when(false, format_args!("look {looks}")))
        })
        .await
        .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("for three"), "{text}");
        assert!(text.contains(&format!("look {looks}")), "{text}");
    }

    #[tokio::test]
    async fn goes_on_after_an_error() {
        let mut looks = 0;
        let value = until(Duration::from_secs(5), "the second look", async || {
            looks += 1;
            if looks == 1 {
                bail!("connection refused");
            }
            Ok(Look::Ready(looks))
        })
        .await
        .unwrap();
        assert_eq!(value, 2);
    }
}
