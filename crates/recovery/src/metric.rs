//! Names of metrics and labels.

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

/// Attempts of handlers that ended. Labels: [`GROUP`], [`OUTCOME`].
pub(crate) const ATTEMPTS: &str = "cdc_recovery_attempts_total";
/// Records that are held: being tried, or waiting for their turn or the next attempt. Label: [`GROUP`].
pub(crate) const HELD: &str = "cdc_recovery_held_records";
/// Records that a retry topic took. Labels: [`GROUP`], [`TIER`].
pub(crate) const RETRIES: &str = "cdc_recovery_retries_total";
/// Records of retry topics that are not dealt with. Labels: [`GROUP`], [`TIER`].
pub(crate) const BACKLOG: &str = "cdc_recovery_retry_backlog_records";
/// When the oldest record is due that waits in a tier and is read here, in seconds since 1970; 0 if none waits. Labels:
/// [`GROUP`], [`TIER`].
pub(crate) const NEXT_DUE: &str = "cdc_recovery_retry_next_due_timestamp_seconds";
/// Dead letters that were handed over. Labels: [`GROUP`], [`CODE`].
pub(crate) const DEAD_LETTERS: &str = "cdc_recovery_dead_letters_total";
/// Records that neither a retry topic nor the dead letters take at the moment: their keys wait. Label: [`GROUP`].
pub(crate) const STUCK: &str = "cdc_recovery_stuck_records";
/// 1 during an outage of what the handler needs, otherwise 0. Label: [`GROUP`].
pub(crate) const OUTAGE: &str = "cdc_recovery_outage";

/// Clients of consumers that were of no more use and were replaced. Label: [`GROUP`].
pub(crate) const RENEWALS: &str = "cdc_recovery_client_renewals_total";

/// Label: the consumer group.
pub(crate) const GROUP: &str = "group";
/// Label: `success`, `transient`, `wait` (it was not tried, and counts as no attempt), `poison`, `partial`, `fatal` or
/// `panic`.
pub(crate) const OUTCOME: &str = "outcome";
/// Label: the number of a retry topic, from 1.
pub(crate) const TIER: &str = "tier";
/// Label: an error code; [`OTHER_CODE`] for those that came after many others.
pub(crate) const CODE: &str = "code";

/// All codes after the first [`MAX_CODES`].
pub(crate) const OTHER_CODE: &str = "other";
/// Codes that are counted each by itself.
pub(crate) const MAX_CODES: usize = 64;

/// Tells the recorder what each metric means. Call it once, after the recorder is installed.
pub fn describe_metrics() {
    describe_counter!(
        ATTEMPTS,
        Unit::Count,
        "Attempts of handlers that ended, by outcome."
    );
    describe_gauge!(
        HELD,
        Unit::Count,
        "Records that are being tried, or wait for their turn or the next attempt."
    );
    describe_counter!(RETRIES, Unit::Count, "Records that a retry topic took.");
    describe_gauge!(
        BACKLOG,
        Unit::Count,
        "Records of retry topics that are not dealt with."
    );
    describe_gauge!(
        NEXT_DUE,
        Unit::Seconds,
        "When the oldest record that waits in a tier is due."
    );
    describe_counter!(
        DEAD_LETTERS,
        Unit::Count,
        "Dead letters that were handed over, by error code."
    );
    describe_gauge!(
        STUCK,
        Unit::Count,
        "Records that no retry or dead-letter topic takes at the moment."
    );
    describe_gauge!(
        OUTAGE,
        Unit::Count,
        "1 during an outage of what the handler needs."
    );
    describe_counter!(
        RENEWALS,
        Unit::Count,
        "Clients of consumers that were of no more use and were replaced."
    );
}

pub(crate) fn attempts(group: &str, outcome: &'static str) -> Counter {
    counter!(ATTEMPTS, GROUP => group.to_owned(), OUTCOME => outcome)
}

pub(crate) fn dead_letters(group: &str, code: &str) -> Counter {
    counter!(DEAD_LETTERS, GROUP => group.to_owned(), CODE => code.to_owned())
}

pub(crate) fn renewals(group: &str) -> Counter {
    counter!(RENEWALS, GROUP => group.to_owned())
}

pub(crate) fn retries(group: &str, tier: u16) -> Counter {
    counter!(RETRIES, GROUP => group.to_owned(), TIER => tier.to_string())
}

pub(crate) fn of_tier(name: &'static str, group: &str, tier: u16) -> Gauge {
    gauge!(name, GROUP => group.to_owned(), TIER => tier.to_string())
}

pub(crate) fn of_group(name: &'static str, group: &str) -> Gauge {
    gauge!(name, GROUP => group.to_owned())
}
