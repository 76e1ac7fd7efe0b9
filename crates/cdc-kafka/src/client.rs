//! What every librdkafka client shares: its log, and what it says about the brokers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::code::KafkaCode;
use crate::error::Error;
use crate::logging::{FACILITY, TARGET};

/// What a client last heard of the brokers.
#[derive(Debug, Clone)]
pub struct Reachability {
    /// The last trouble with a broker and when it was reported. It stays after things are well
    /// again; compare its time with that of the last delivery.
    pub last_error: Option<(Error, Instant)>,
    /// No broker is connected, and no record was delivered since that was reported.
    pub all_brokers_down: bool,
}

/// Keeps what a client says about the brokers.
#[derive(Debug, Default)]
pub(crate) struct BrokerReports {
    last_error: Mutex<Option<(Error, Instant)>>,
    all_brokers_down: AtomicBool,
}

impl BrokerReports {
    /// Takes librdkafka's error callback.
    pub(crate) fn report(&self, error: &KafkaError, reason: &str) {
        let code = KafkaCode::of(error);
        if code.get() == RDKafkaErrorCode::AllBrokersDown {
            // Says less than the error that led to it: that one stays.
            self.all_brokers_down.store(true, Ordering::Relaxed);
            return;
        }
        let error = Error::Broker {
            detail: reason.to_owned(),
            code,
        };
        *self.lock() = Some((error, Instant::now()));
    }

    /// Notes that a broker answered.
    pub(crate) fn reached(&self) {
        if self.all_brokers_down.load(Ordering::Relaxed) {
            self.all_brokers_down.store(false, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Reachability {
        Reachability {
            last_error: self.lock().clone(),
            all_brokers_down: self.all_brokers_down.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Error, Instant)>> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asking for a transactional id again, every few milliseconds, while the brokers make the topic that it is in: two hundred
/// lines at the first start of all. Whether it takes too long is for whoever waits for it to say.
const ASKS_AGAIN: &str = "GETPID";

/// Passes a line of librdkafka's log on.
///
/// It handles its errors itself by trying again, so none of its lines is more than a warning.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    let level = if facility == ASKS_AGAIN {
        RDKafkaLogLevel::Debug
    } else {
        level
    };
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: TARGET, message, { FACILITY } = facility);
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(target: TARGET, message, { FACILITY } = facility);
        }
    }
}

/// The context of clients that only ask.
impl ClientContext for BrokerReports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.report(&error, reason);
    }

    fn stats_raw(&self, _: &[u8]) {}
}
