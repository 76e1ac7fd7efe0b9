//! When a record is tried again, and when it is given up.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use cdc_event::{
    Attempt, ErrorCode, Failure, HandlerError, PartDisposition, PartId, RetryPolicy,
    random_fraction,
};
use cdc_store::ErrorReport;

use crate::remainder::{Fate, Remainder};

/// Decides when a record is tried again.
pub trait Schedule: Send + Sync + 'static {
    /// How long to wait after `failed`, or `None` to give the record up. `retry_after` is what the handler asked for
    /// as the least; it is somebody else's word, and has to be bounded.
    fn delay(
        &self,
        failed: Attempt,
        code: &ErrorCode,
        retry_after: Option<Duration>,
    ) -> Option<Duration>;
}

/// Back-off with bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneRetries {
    /// The delays, spread at random.
    pub delays: RetryPolicy,
    /// How often a record is tried in all; `None` is without end.
    pub attempts: Option<NonZeroU32>,
    /// How long after its first failure a record is given up; `None` is never.
    pub max_age: Option<Duration>,
    /// The most that a handler may ask for.
    pub longest_retry_after: Duration,
}

impl Schedule for LaneRetries {
    fn delay(
        &self,
        failed: Attempt,
        _: &ErrorCode,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        if self
            .attempts
            .is_some_and(|attempts| failed.number >= attempts)
        {
            return None;
        }
        let delay = self
            .delays
            .delay(failed.number.get() - 1, random_fraction());
        let asked = retry_after
            .unwrap_or_default()
            .min(self.longest_retry_after);
        let delay = delay.max(asked);
        let age = failed
            .first_failed_at
            .and_then(|first| SystemTime::now().duration_since(first).ok())
            .unwrap_or_default();
        let too_old = self
            .max_age
            .is_some_and(|max| age.saturating_add(delay) > max);
        (!too_old).then_some(delay)
    }
}

/// What is left of a record, or of the `part` of it that was tried. Nothing means that the failure was none.
///
/// # Errors
///
/// The error of a [`Failure::Fatal`]: the record is not to blame, and nothing is to be written about it.
pub fn remainders(
    failure: Failure,
    part: Option<&PartId>,
    failed: Attempt,
    schedule: &impl Schedule,
) -> Result<Vec<Remainder>, HandlerError> {
    let left = |part: Option<PartId>, error: &HandlerError, disposition| {
        let delay = match disposition {
            PartDisposition::Transient { retry_after } => {
                schedule.delay(failed, error.code(), retry_after)
            }
            PartDisposition::Poison => None,
        };
        Remainder {
            part,
            attempt: failed,
            error: ErrorReport::of(error.code().as_str(), error),
            fate: delay.map_or(Fate::Dead, Fate::Again),
        }
    };
    let whole = |error, disposition| vec![left(part.cloned(), error, disposition)];
    match failure {
        Failure::Transient { error, retry_after } => {
            Ok(whole(&error, PartDisposition::Transient { retry_after }))
        }
        Failure::Poison { error } => Ok(whole(&error, PartDisposition::Poison)),
        Failure::Fatal { error } => Err(error),
        Failure::Partial { mut parts } => {
            // A name that comes twice is one part: it would be done twice.
            parts.sort_by(|a, b| a.part.cmp(&b.part));
            parts.dedup_by(|a, b| a.part == b.part);
            let remainders = parts
                .into_iter()
                .map(|failed| left(Some(failed.part), &failed.error, failed.disposition));
            Ok(remainders.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use cdc_event::FailedPart;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn retries() -> LaneRetries {
        LaneRetries {
            delays: RetryPolicy::new(SECOND, 8 * SECOND),
            attempts: NonZeroU32::new(3),
            max_age: None,
            longest_retry_after: 60 * SECOND,
        }
    }

    fn attempt(number: u32) -> Attempt {
        Attempt {
            number: NonZeroU32::new(number).unwrap(),
            first_failed_at: None,
        }
    }

    fn error(code: &'static str) -> HandlerError {
        HandlerError::new(ErrorCode::from_static(code), "no")
    }

    #[test]
    fn gives_up_after_the_attempts_that_are_allowed() {
        let code = ErrorCode::from_static("x");
        assert!(retries().delay(attempt(1), &code, None).is_some());
        assert!(retries().delay(attempt(2), &code, None).is_some());
        assert_eq!(retries().delay(attempt(3), &code, None), None);
        assert_eq!(retries().delay(attempt(u32::MAX), &code, None), None);
    }

    #[test]
    fn a_handler_may_ask_for_more_time_within_a_bound() {
        let code = ErrorCode::from_static("x");
        let delay = |asked| retries().delay(attempt(1), &code, Some(asked)).unwrap();
        assert_eq!(delay(30 * SECOND), 30 * SECOND);
        assert_eq!(delay(Duration::MAX), 60 * SECOND);
        assert!(delay(Duration::ZERO) >= SECOND / 2);
    }

    #[test]
    fn gives_up_what_would_be_too_old_at_the_next_attempt() {
        let retries = LaneRetries {
            max_age: Some(100 * SECOND),
            attempts: None,
            ..retries()
        };
        let code = ErrorCode::from_static("x");
        let failed_before = |age| Attempt {
            first_failed_at: Some(SystemTime::now() - age),
            ..attempt(1)
        };
        assert!(
            retries
                .delay(failed_before(90 * SECOND), &code, None)
                .is_some()
        );
        assert_eq!(
            retries.delay(failed_before(90 * SECOND), &code, Some(20 * SECOND)),
            None
        );
        assert_eq!(
            retries.delay(failed_before(200 * SECOND), &code, None),
            None
        );
        let future = Attempt {
            first_failed_at: Some(SystemTime::now() + 1000 * SECOND),
            ..attempt(1)
        };
        assert!(retries.delay(future, &code, None).is_some());
    }

    #[test]
    fn keeps_each_failed_part_once() {
        let part = |name: &str, disposition| FailedPart {
            part: PartId::new(name).unwrap(),
            error: error("x"),
            disposition,
        };
        let again = PartDisposition::Transient { retry_after: None };
        let failure = Failure::Partial {
            parts: vec![
                part("b", again),
                part("a", PartDisposition::Poison),
                part("b", again),
            ],
        };
        let left = remainders(failure, None, attempt(1), &retries()).unwrap();
        let names: Vec<_> = left
            .iter()
            .map(|left| left.part.as_ref().unwrap().as_str())
            .collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(left[0].fate, Fate::Dead);
        assert!(matches!(left[1].fate, Fate::Again(_)));
        let none = remainders(
            Failure::Partial { parts: vec![] },
            None,
            attempt(1),
            &retries(),
        );
        assert_eq!(none.unwrap(), []);
    }

    #[test]
    fn a_failure_of_a_part_stays_one_of_that_part() {
        let part = PartId::new("a").unwrap();
        let left = remainders(
            Failure::poison(error("x")),
            Some(&part),
            attempt(2),
            &retries(),
        )
        .unwrap();
        assert_eq!(
            (left[0].part.as_ref(), left[0].fate),
            (Some(&part), Fate::Dead)
        );
        assert!(remainders(Failure::fatal(error("x")), None, attempt(1), &retries()).is_err());
    }
}
