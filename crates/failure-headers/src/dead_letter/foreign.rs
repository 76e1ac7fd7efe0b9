//! The dead letters of other systems: texts and decimal numbers.

use super::{DeadLetter, foreign_report};
use crate::read::Read;
use crate::value::clamped;

pub(super) const CONNECT: &str = "__connect.errors.";
pub(super) const STREAMS: &str = "__streams.errors.";
pub(super) const SHARE_GROUP: &str = "__dlq.errors.";
pub(super) const SMALLRYE: [&str; 2] = ["dead-letter-", "delayed-retry-"];
pub(super) const DEKAF: [&str; 7] = [
    "dlq.source.topic",
    "dlq.source.partition",
    "dlq.source.offset",
    "dlq.failure.count",
    "dlq.timestamp",
    "dlq.error.message",
    "dlq.error.type",
];
pub(super) const MASS_TRANSIT: &str = "MT-Fault-";
pub(super) const KARAFKA: [&str; 6] = [
    "source_topic",
    "source_partition",
    "source_offset",
    "source_consumer_group",
    "source_attempts",
    "source_trace_id",
];

pub(super) fn connect(read: Read<'_>) -> DeadLetter {
    DeadLetter {
        origin: read.decimal_position(
            "__connect.errors.topic",
            "__connect.errors.partition",
            "__connect.errors.offset",
        ),
        // The group of a sink is named after its connector.
        group: read
            .name("__connect.errors.connector.name")
            .map(|name| format!("connect-{name}")),
        report: foreign_report(
            read.text("__connect.errors.exception.class.name"),
            read.text("__connect.errors.exception.message"),
            read.text("__connect.errors.exception.stacktrace"),
        ),
        ..DeadLetter::unknown()
    }
}

pub(super) fn streams(read: Read<'_>) -> DeadLetter {
    DeadLetter {
        origin: read.decimal_position(
            "__streams.errors.topic",
            "__streams.errors.partition",
            "__streams.errors.offset",
        ),
        report: foreign_report(
            read.text("__streams.errors.exception"),
            read.text("__streams.errors.message"),
            read.text("__streams.errors.stacktrace"),
        ),
        ..DeadLetter::unknown()
    }
}

pub(super) fn share_group(read: Read<'_>) -> DeadLetter {
    let attempts: Option<i64> = read.decimal("__dlq.errors.delivery.count");
    DeadLetter {
        origin: read.decimal_position(
            "__dlq.errors.topic",
            "__dlq.errors.partition",
            "__dlq.errors.offset",
        ),
        group: read.name("__dlq.errors.group"),
        attempts: attempts.map(clamped),
        report: foreign_report(None, read.text("__dlq.errors.message"), None),
        ..DeadLetter::unknown()
    }
}

pub(super) fn smallrye(read: Read<'_>) -> DeadLetter {
    let either = |name: &str| {
        let mut texts = SMALLRYE
            .iter()
            .map(|prefix| read.text(&format!("{prefix}{name}")));
        texts.find_map(|text| text)
    };
    let retries: Option<i64> = read.decimal("delayed-retry-count");
    let position = |prefix: &str| {
        read.decimal_position(
            &format!("{prefix}topic"),
            &format!("{prefix}partition"),
            &format!("{prefix}offset"),
        )
    };
    let mut report = foreign_report(either("exception-class-name"), either("reason"), None);
    if let (Some(report), Some(cause)) = (&mut report, either("cause")) {
        report.chain.push(cause);
    }
    DeadLetter {
        origin: SMALLRYE.iter().find_map(|prefix| position(prefix)),
        attempts: retries.map(|retries| clamped(retries.saturating_add(1))),
        report,
        ..DeadLetter::unknown()
    }
}

pub(super) fn karafka(read: Read<'_>) -> DeadLetter {
    let attempts: Option<i64> = read.decimal("source_attempts");
    DeadLetter {
        origin: read.decimal_position("source_topic", "source_partition", "source_offset"),
        group: read.name("source_consumer_group"),
        attempts: attempts.map(clamped),
        ..DeadLetter::unknown()
    }
}

pub(super) fn dekaf(read: Read<'_>) -> DeadLetter {
    let attempts: Option<i64> = read.decimal("dlq.failure.count");
    DeadLetter {
        origin: read.decimal_position(
            "dlq.source.topic",
            "dlq.source.partition",
            "dlq.source.offset",
        ),
        attempts: attempts.map(clamped),
        report: foreign_report(
            read.text("dlq.error.type"),
            read.text("dlq.error.message"),
            None,
        ),
        ..DeadLetter::unknown()
    }
}

pub(super) fn mass_transit(read: Read<'_>) -> DeadLetter {
    let retries: Option<i64> = read.decimal("MT-Fault-RetryCount");
    DeadLetter {
        attempts: retries.map(|retries| clamped(retries.saturating_add(1))),
        report: foreign_report(
            read.text("MT-Fault-ExceptionType"),
            read.text("MT-Fault-Message"),
            read.text("MT-Fault-StackTrace"),
        ),
        ..DeadLetter::unknown()
    }
}
