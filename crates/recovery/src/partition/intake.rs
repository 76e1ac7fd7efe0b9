//! A record as it was fetched becomes one to be dealt with.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cdc_event::{Attempt, ErrorCode, KafkaPosition, Record};
use cdc_kafka::FetchedRecord;
use failure_headers::{FailureReport, read_retry};

use crate::plan::Tier;
use crate::work::{Context, Job, NotBefore};

/// The code of a failure of which nothing is known.
const UNKNOWN: ErrorCode = ErrorCode::from_static("unknown");

/// A record of a source: all that it has is its own.
pub(super) fn of_source<H>(context: &Context<H>, fetched: FetchedRecord) -> Job {
    let record = Record {
        origin: position(&context.route.source, context.partition, &fetched),
        part: None,
        timestamp_ms: fetched.timestamp.map(|timestamp| timestamp.0),
        key: fetched.key,
        value: fetched.value,
        headers: fetched.headers,
    };
    Job {
        record,
        attempt: Attempt::FIRST,
        waited: None,
        not_before: None,
        failed_event: None,
    }
}

/// A record of a retry topic. What it says of itself may be wrong; one that failed is never believed to have had fewer
/// attempts than brought it here.
pub(super) fn of_retry<H>(
    context: &Context<H>,
    topic: &str,
    tier: Tier,
    fetched: FetchedRecord,
    now: SystemTime,
) -> Job {
    let at = position(topic, context.partition, &fetched);
    let (headers, state) = read_retry(&fetched.headers, &at, now);
    let attempt_after = |said: u32| {
        let attempts = said.max(u32::from(tier.number()));
        NonZeroU32::MIN.saturating_add(attempts)
    };
    let Some(state) = state else {
        let attempt = Attempt {
            number: attempt_after(0),
            first_failed_at: Some(now),
        };
        let record = Record {
            origin: at,
            part: None,
            timestamp_ms: fetched.timestamp.map(|timestamp| timestamp.0),
            key: fetched.key,
            value: fetched.value,
            headers,
        };
        return Job {
            record,
            attempt,
            waited: Some(tier),
            not_before: None,
            failed_event: None,
        };
    };
    let (number, waited) = match state.waited {
        None => (attempt_after(state.attempts.get()), Some(tier)),
        // It only waits here, and goes on where it was.
        Some(delays) => {
            let least = NonZeroU32::new(delays.into()).unwrap_or(NonZeroU32::MIN);
            let waited = usize::from(delays).checked_sub(1).map(Tier::of_index);
            (state.attempts.max(least), waited)
        }
    };
    let is_of_source = state.origin.topic == context.route.source;
    let latest = now.checked_add(context.shared.plan.max_retry_after());
    let not_before = state.not_before.filter(|time| *time > now).map(|time| {
        Box::new(NotBefore {
            time: latest.map_or(time, |latest| time.min(latest)),
            report: state.report.unwrap_or_else(unknown),
        })
    });
    let record = Record {
        origin: if is_of_source { state.origin } else { at },
        part: state.part,
        timestamp_ms: state.original_timestamp_ms,
        key: fetched.key,
        value: fetched.value,
        headers,
    };
    Job {
        record,
        attempt: Attempt {
            number,
            first_failed_at: Some(state.first_failed_at),
        },
        waited,
        not_before,
        failed_event: state.failed_event,
    }
}

/// Why a record failed that does not say so.
fn unknown() -> FailureReport {
    FailureReport {
        code: UNKNOWN,
        message: "its record in a retry topic does not say why".to_owned(),
        chain: Vec::new(),
        backtrace: None,
    }
}

/// When a record of a retry topic is due. A time in the future counts as now: whatever clock it is from, a record waits
/// for no longer than the delay.
pub(super) fn due(fetched: &FetchedRecord, delay: Duration, now: SystemTime) -> SystemTime {
    let since = fetched
        .timestamp
        .and_then(|timestamp| u64::try_from(timestamp.0).ok());
    let Some(since) =
        since.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis)))
    else {
        return now;
    };
    since.min(now).checked_add(delay).unwrap_or(now)
}

fn position(topic: &str, partition: i32, fetched: &FetchedRecord) -> KafkaPosition {
    KafkaPosition {
        topic: topic.to_owned(),
        partition,
        offset: fetched.offset.0,
    }
}

#[cfg(test)]
mod tests {
    use cdc_event::Headers;
    use cdc_kafka::{Offset, TimestampMillis};
    use proptest::prelude::*;

    use super::*;

    fn at(timestamp: Option<i64>) -> FetchedRecord {
        FetchedRecord {
            offset: Offset(0),
            timestamp: timestamp.map(TimestampMillis),
            key: None,
            value: None,
            headers: Headers::new(),
        }
    }

    const DELAY: Duration = Duration::from_secs(5);

    #[test]
    fn is_due_a_delay_after_its_time() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        assert_eq!(
            due(&at(Some(98_500)), DELAY, now),
            UNIX_EPOCH + Duration::from_millis(103_500)
        );
        assert_eq!(
            due(&at(Some(1_000)), DELAY, now),
            UNIX_EPOCH + Duration::from_secs(6)
        );
    }

    #[test]
    fn a_record_without_a_time_is_due() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        assert_eq!(due(&at(None), DELAY, now), now);
        assert_eq!(due(&at(Some(-1)), DELAY, now), now);
    }

    proptest! {
        #[test]
        fn never_waits_for_longer_than_the_delay(timestamp in any::<i64>(), now in 0_u64..4_000_000_000_000) {
            let now = UNIX_EPOCH + Duration::from_millis(now);
            prop_assert!(due(&at(Some(timestamp)), DELAY, now) <= now + DELAY);
        }
    }
}
