//! Spring Kafka's dead letters, with and without retry topics.

use super::{DeadLetter, foreign_report};
use crate::name::spring as names;
use crate::read::Read;
use crate::value::clamped;

/// Of `DeadLetterPublishingRecoverer` by itself.
const DEAD_LETTER: &str = "kafka_dlt-";
/// Of retry topics: the same names without `dlt-`.
const RETRY: [&str; 3] = ["kafka_original-", "kafka_exception-", "retry_topic-"];

/// What is added besides.
const CAUSE: &str = "kafka_dlt-exception-cause-fqcn";
const RETRY_CAUSE: &str = "kafka_exception-cause-fqcn";
const RETRY_CLASS: &str = "kafka_exception-fqcn";
const RETRY_MESSAGE: &str = "kafka_exception-message";
const RETRY_STACK: &str = "kafka_exception-stacktrace";
const RETRY_ATTEMPTS: &str = "retry_topic-attempts";

pub(super) fn adds(name: &str) -> bool {
    name.starts_with(DEAD_LETTER) || RETRY.iter().any(|prefix| name.starts_with(prefix))
}

pub(super) fn dead_letter(read: Read<'_>) -> DeadLetter {
    let of_retry = || {
        read.position(
            "kafka_original-topic",
            "kafka_original-partition",
            "kafka_original-offset",
        )
    };
    let text = |names: &[&str]| names.iter().find_map(|name| read.text(name));
    // The outer exception is a wrapper wherever there is a cause.
    let class = text(&[CAUSE, RETRY_CAUSE, names::CLASS, RETRY_CLASS]);
    let report = foreign_report(
        class,
        text(&[names::MESSAGE, RETRY_MESSAGE]),
        text(&[names::STACK, RETRY_STACK]),
    );
    // The header counts the attempt that comes next.
    let attempts = read.attempts(RETRY_ATTEMPTS);
    DeadLetter {
        // Where both are, the one of the retry topics is the true origin: the other may be a retry topic.
        origin: of_retry().or_else(|| read.position(names::TOPIC, names::PARTITION, names::OFFSET)),
        group: read.name(names::GROUP),
        original_timestamp_ms: read
            .timestamp("kafka_original-timestamp")
            .or_else(|| read.timestamp(names::TIMESTAMP)),
        attempts: attempts.map(|next| clamped(i64::from(next.get()) - 1)),
        report,
        ..DeadLetter::unknown()
    }
}
