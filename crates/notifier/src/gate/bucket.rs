//! A rate.

use std::time::Duration;

use tokio::time::Instant;

/// Tokens that come at a rate; one is taken by each request. At most those of a second are saved up, and at least one.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Option<f64>,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// Full. `rate` is tokens a second; `None` is no limit.
    pub(super) fn new(rate: Option<f64>, now: Instant) -> Self {
        Self {
            rate,
            tokens: rate.map_or(0.0, |rate| rate.max(1.0)),
            at: now,
        }
    }

    /// Takes a token, or says how long it takes until there is one.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let Some(rate) = self.rate else {
            return Ok(());
        };
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate).min(rate.max(1.0));
        self.at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            // A little more than the calculation says, so that rounding never makes a loop of it.
            Err(Duration::from_secs_f64((1.0 - self.tokens) / rate) + Duration::from_millis(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens taken within a time by somebody who always waits as long as it is told.
    fn taken(rate: f64, time: Duration) -> u32 {
        let start = Instant::now();
        let (mut now, mut taken) = (start, 0);
        let mut bucket = Bucket::new(Some(rate), now);
        while now - start <= time {
            match bucket.take(now) {
                Ok(()) => taken += 1,
                Err(wait) => now += wait,
            }
        }
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn gives_what_a_second_saves_up_and_then_the_rate() {
        for (rate, least, most) in [(100.0, 1000, 1101), (1.0, 10, 12), (0.5, 5, 7)] {
            let taken = taken(rate, Duration::from_secs(10));
            assert!((least..=most).contains(&taken), "{rate}: {taken}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_rest_saves_up_no_more_than_a_second_gives() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Some(5.0), now);
        let later = now + Duration::from_secs(3600);
        let burst = (0..100).take_while(|_| bucket.take(later).is_ok()).count();
        assert_eq!(burst, 5);
    }
}
