//! A record leaves for a retry topic or the dead letters.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use cdc_event::{Backoff, Handler, HandlerError, Headers, Record};
use cdc_kafka::{Disposition, HeaderRef, OutgoingRecord, PoisonReason, TimestampMillis};
use failure_headers::{Failed, FailureReport};
use tokio::time::{sleep, timeout};

use super::context::Context;
use super::{Job, NotDone};
use crate::last_resort::RefusedLetter;
use crate::plan::Tier;
use crate::topology::{Destination, causes};
use cdc_event::random_fraction;

/// Kafka has not answered for this long: time to say so.
const SILENCE: Duration = Duration::from_secs(10);

/// What is on its way may still arrive for this long after a stop: it need not be done again then.
const GRACE: Duration = Duration::from_secs(2);

/// The least of a message, when a dead letter is too large.
const SHORT_MESSAGE_CHARS: usize = 200;

/// Why a record was not taken.
enum NotTaken {
    /// It was told to stop.
    Stopped,
    /// It never will be.
    Refused(cdc_kafka::Error),
}

impl<H: Handler> Context<H> {
    /// Sends a record that failed to a retry topic. One that is too large for it is a dead letter.
    pub(super) async fn retry(
        &self,
        job: &Job,
        error: &HandlerError,
        now: SystemTime,
        tier: Tier,
        not_before: Option<SystemTime>,
    ) -> Result<(), NotDone> {
        let headers =
            |failed: &Failed<'_>| failure_headers::retry(&job.record.headers, failed, not_before);
        self.to_tier(job, error, now, tier, headers).await
    }

    /// Sends a record that has not failed to a retry topic, where it waits. One that is too large for it is a dead
    /// letter.
    pub(super) async fn put_off(
        &self,
        job: &Job,
        error: &HandlerError,
        now: SystemTime,
        tier: Tier,
        not_before: Option<SystemTime>,
    ) -> Result<(), NotDone> {
        let delays = job.waited.map_or(0, Tier::number);
        let own = &job.record.headers;
        let headers =
            |failed: &Failed<'_>| failure_headers::put_off(own, failed, not_before, delays);
        self.to_tier(job, error, now, tier, headers).await
    }

    async fn to_tier(
        &self,
        job: &Job,
        error: &HandlerError,
        now: SystemTime,
        tier: Tier,
        headers: impl FnOnce(&Failed<'_>) -> Headers,
    ) -> Result<(), NotDone> {
        let Some(destination) = self.route.retry(tier) else {
            return self.dead_letter(job, error, now).await;
        };
        let report = FailureReport {
            backtrace: None,
            ..FailureReport::from(error)
        };
        let headers = headers(&self.failed(job, &report, now));
        // Its time is that of the failure: the delay counts from there.
        match self.publish(destination, &job.record, &headers, None).await {
            Ok(()) => {
                self.shared.progress.retried(tier);
                Ok(())
            }
            Err(NotTaken::Stopped) => Err(NotDone::Abandoned),
            Err(NotTaken::Refused(_)) => self.dead_letter(job, error, now).await,
        }
    }

    /// Sends a record to the dead letters: with less about the failure if it is too large, and to the last resort if it
    /// is too large all the same.
    pub(super) async fn dead_letter(
        &self,
        job: &Job,
        error: &HandlerError,
        now: SystemTime,
    ) -> Result<(), NotDone> {
        let destination = self.route.dead_letter(error.code());
        let mut report = FailureReport::from(error);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut timestamp = job
            .record
            .timestamp_ms
            .filter(|time| *time > 0)
            .map(TimestampMillis);
        let mut stuck = None;
        let mut is_short = false;
        loop {
            let failed = self.failed(job, &report, now);
            let headers = failure_headers::dead_letter(&job.record.headers, &failed);
            let refusal = match self
                .publish(destination, &job.record, &headers, timestamp)
                .await
            {
                Ok(()) => break,
                Err(NotTaken::Stopped) => return Err(NotDone::Abandoned),
                Err(NotTaken::Refused(refusal)) => refusal,
            };
            if !is_short {
                is_short = true;
                report = shortened(report);
                // Brokers refuse times that are far ahead. It stands in a header too.
                if !is_too_large(&refusal) {
                    timestamp = None;
                }
                continue;
            }
            let kept = match &self.shared.last_resort {
                Some(last_resort) => {
                    let refused = RefusedLetter {
                        record: &job.record,
                        failed,
                        refusal: &refusal,
                    };
                    last_resort.keep(refused).await
                }
                None => Err(HandlerError::new(
                    report.code.clone(),
                    "there is no other place for it",
                )),
            };
            let Err(not_kept) = kept else { break };
            if stuck.is_none() {
                stuck = Some(self.shared.progress.stuck());
                tracing::error!(
                    origin = %job.record.origin,
                    topic = destination.topic,
                    refusal = causes(&refusal),
                    error = causes(&not_kept),
                    "a dead letter is refused and not kept elsewhere: its key waits until it is"
                );
            }
            if !self.pause(backoff.next_delay(random_fraction())).await {
                return Err(NotDone::Abandoned);
            }
        }
        self.shared.progress.dead_letter(error.code());
        tracing::warn!(
            origin = %job.record.origin,
            part = job.record.part.as_ref().map(tracing::field::display),
            attempts = job.attempt.number,
            code = error.code().as_str(),
            error = causes(error),
            topic = destination.topic,
            "dead letter"
        );
        Ok(())
    }

    fn failed<'a>(
        &'a self,
        job: &'a Job,
        report: &'a FailureReport,
        now: SystemTime,
    ) -> Failed<'a> {
        Failed {
            group: self.shared.names.group(),
            origin: &job.record.origin,
            original_timestamp_ms: job.record.timestamp_ms,
            part: job.record.part.as_ref(),
            attempts: job.attempt.number,
            first_failed_at: job.attempt.first_failed_at.unwrap_or(now),
            report,
            failed_event: job.failed_event,
        }
    }

    /// Waits until Kafka has it, however long that takes. Whatever is not the record's fault is said once for each
    /// topic, and tried again.
    async fn publish(
        &self,
        destination: &Destination,
        record: &Record,
        headers: &Headers,
        timestamp: Option<TimestampMillis>,
    ) -> Result<(), NotTaken> {
        let headers: Vec<_> = headers
            .as_slice()
            .iter()
            .map(|header| HeaderRef {
                name: &header.name,
                value: header.value.as_deref(),
            })
            .collect();
        let outgoing = OutgoingRecord {
            topic: &destination.topic,
            partition: Some(destination.partition(self.partition)),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
            timestamp,
        };
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        let mut stuck = None;
        loop {
            let result = tokio::select! {
                biased;
                result = self.acknowledged(destination, outgoing, &mut stuck) => result,
                () = self.grace() => return Err(NotTaken::Stopped),
            };
            let error = match result {
                Ok(()) => break,
                Err(error) => error,
            };
            if is_the_records_fault(&error) {
                return Err(NotTaken::Refused(error));
            }
            stuck.get_or_insert_with(|| self.shared.progress.stuck());
            self.say_trouble(destination, &causes(&error));
            if !self.pause(backoff.next_delay(random_fraction())).await {
                return Err(NotTaken::Stopped);
            }
        }
        if destination.in_trouble.load(Ordering::Relaxed)
            && destination.in_trouble.swap(false, Ordering::Relaxed)
        {
            tracing::info!(topic = destination.topic, "takes records again");
        }
        Ok(())
    }

    async fn acknowledged<'a>(
        &'a self,
        destination: &Destination,
        outgoing: OutgoingRecord<'_>,
        stuck: &mut Option<crate::progress::Counted<'a>>,
    ) -> Result<(), cdc_kafka::Error> {
        let mut published = std::pin::pin!(self.shared.publisher.publish(outgoing));
        if let Ok(result) = timeout(SILENCE, &mut published).await {
            return result;
        }
        stuck.get_or_insert_with(|| self.shared.progress.stuck());
        self.say_trouble(destination, "Kafka does not acknowledge it");
        published.await
    }

    fn say_trouble(&self, destination: &Destination, error: &str) {
        if !destination.in_trouble.swap(true, Ordering::Relaxed) {
            tracing::error!(
                topic = destination.topic,
                error,
                "failed records cannot be handed over: their keys wait until they can"
            );
        }
    }

    /// Resolves some time after it was told to stop. Cancel safe.
    pub(super) async fn grace(&self) {
        self.stop.cancelled().await;
        sleep(GRACE).await;
    }
}

/// Whether another record may be taken where this one is not.
fn is_the_records_fault(error: &cdc_kafka::Error) -> bool {
    match error.disposition() {
        Disposition::Poison(PoisonReason::TooLarge | PoisonReason::InvalidRecord) => true,
        Disposition::Poison(PoisonReason::UnknownTopic | PoisonReason::NotAuthorised)
        | Disposition::Transient
        | Disposition::Rebuild
        | Disposition::Permanent => false,
    }
}

fn is_too_large(error: &cdc_kafka::Error) -> bool {
    error.disposition() == Disposition::Poison(PoisonReason::TooLarge)
}

/// The least that should be said of a failure.
fn shortened(report: FailureReport) -> FailureReport {
    FailureReport {
        message: report.message.chars().take(SHORT_MESSAGE_CHARS).collect(),
        chain: Vec::new(),
        backtrace: None,
        code: report.code,
    }
}
