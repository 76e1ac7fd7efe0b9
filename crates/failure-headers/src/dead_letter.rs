//! Dead letters, ours and those of others.

mod family;
mod foreign;
mod spring;

use std::num::NonZeroU32;
use std::time::SystemTime;

use cdc_event::{ErrorCode, Headers, KafkaPosition, PartId};

pub use self::family::Family;
use crate::name::{self, spring as names};
use crate::read::Read;
use crate::report::FailureReport;
use crate::stack;
use crate::value::clamped;
use crate::write::without;

/// A dead letter, as far as it is understood. What is missing or makes no sense is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The record's own headers, in order: all but those that whoever wrote the dead letter has added.
    pub own: Headers,
    /// Who wrote it; `None` when nobody is recognised.
    pub family: Option<Family>,
    /// Where the record was read that failed.
    pub origin: Option<KafkaPosition>,
    /// The consumer group, connector or application that failed at it.
    pub group: Option<String>,
    /// The time of the record at its origin, in milliseconds since 1970.
    pub original_timestamp_ms: Option<i64>,
    /// Which part of it failed; `None` is all of it.
    pub part: Option<PartId>,
    /// How often it was tried: 1 to 32767.
    pub attempts: Option<NonZeroU32>,
    /// When it failed first; whether that can be is for the reader to judge.
    pub first_failed_at: Option<SystemTime>,
    /// Why it failed.
    pub report: Option<FailureReport>,
    /// Its number in the store of failed events, when it had been replayed from there.
    pub failed_event: Option<i64>,
}

/// Understands the headers of a dead letter, whoever wrote it, as far as they go.
#[must_use]
pub fn read_dead_letter(headers: &Headers) -> DeadLetter {
    let Some(family) = Family::of(headers) else {
        return DeadLetter {
            own: headers.clone(),
            ..DeadLetter::unknown()
        };
    };
    let read = Read(headers);
    let travelled = travelled(read);
    let understood = match family {
        Family::Ours => ours(read),
        Family::Spring => spring::dead_letter(read),
        Family::Connect => foreign::connect(read),
        Family::Streams => foreign::streams(read),
        Family::ShareGroup => foreign::share_group(read),
        Family::SmallRye => foreign::smallrye(read),
        Family::Karafka => foreign::karafka(read),
        Family::Dekaf => foreign::dekaf(read),
        Family::MassTransit => foreign::mass_transit(read),
    };
    let tried_again = travelled
        .attempts
        .map(|attempts| clamped(i64::from(attempts.get()) + 1));
    DeadLetter {
        own: without(headers, |name| family.adds(name) || name::is_of_retry(name)),
        family: Some(family),
        // It was first read where it began to travel.
        origin: travelled.origin.or(understood.origin),
        group: understood.group.or(travelled.group),
        original_timestamp_ms: travelled
            .original_timestamp_ms
            .or(understood.original_timestamp_ms),
        part: travelled.part,
        attempts: understood.attempts.or(tried_again),
        first_failed_at: travelled.first_failed_at,
        failed_event: travelled.failed_event,
        report: understood.report,
    }
}

/// What a record says that went through retry topics of ours, or was replayed, whoever dead-lettered it then.
fn travelled(read: Read<'_>) -> DeadLetter {
    DeadLetter {
        origin: read.position(
            name::ORIGIN_TOPIC,
            name::ORIGIN_PARTITION,
            name::ORIGIN_OFFSET,
        ),
        group: read.name(name::GROUP),
        original_timestamp_ms: read.timestamp(name::ORIGIN_TIMESTAMP),
        part: read.part(name::PART),
        attempts: read.attempts(name::ATTEMPTS),
        first_failed_at: read.time(name::FIRST_FAILURE),
        failed_event: read.number(name::FAILED_EVENT),
        ..DeadLetter::unknown()
    }
}

impl DeadLetter {
    fn unknown() -> Self {
        Self {
            own: Headers::new(),
            family: None,
            origin: None,
            group: None,
            original_timestamp_ms: None,
            part: None,
            attempts: None,
            first_failed_at: None,
            report: None,
            failed_event: None,
        }
    }
}

/// The report of another system: its class is the code.
fn foreign_report(
    class: Option<String>,
    message: Option<String>,
    stack: Option<String>,
) -> Option<FailureReport> {
    let code = class.or_else(|| message.as_ref().map(|_| "unknown".to_owned()))?;
    Some(FailureReport {
        code: ErrorCode::new(code),
        message: message.unwrap_or_default(),
        chain: stack
            .as_deref()
            .map(stack::causes_of_java)
            .unwrap_or_default(),
        backtrace: stack,
    })
}

fn ours(read: Read<'_>) -> DeadLetter {
    let report = read.text(name::ERROR_CODE).map(|code| {
        let (chain, backtrace) = read
            .text(names::STACK)
            .map_or((Vec::new(), None), |text| stack::parsed(&text));
        FailureReport {
            code: ErrorCode::new(code),
            message: read.text(names::MESSAGE).unwrap_or_default(),
            chain,
            backtrace,
        }
    });
    DeadLetter {
        origin: read.position(names::TOPIC, names::PARTITION, names::OFFSET),
        group: read.name(names::GROUP),
        original_timestamp_ms: read.timestamp(names::TIMESTAMP),
        attempts: read.attempts(name::ATTEMPTS),
        report,
        ..DeadLetter::unknown()
    }
}
