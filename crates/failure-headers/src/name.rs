//! Names of headers.

/// Bytes of a topic, a group or a code, at most; those of Kafka's topics are fewer.
pub(crate) const MAX_BYTES: usize = 512;

/// Spring Kafka's, of a dead letter.
pub(crate) mod spring {
    /// UTF-8.
    pub(crate) const TOPIC: &str = "kafka_dlt-original-topic";
    /// 32 bits, big endian.
    pub(crate) const PARTITION: &str = "kafka_dlt-original-partition";
    /// 64 bits, big endian.
    pub(crate) const OFFSET: &str = "kafka_dlt-original-offset";
    /// Milliseconds since 1970, 64 bits, big endian.
    pub(crate) const TIMESTAMP: &str = "kafka_dlt-original-timestamp";
    /// The name of a constant of Java's `TimestampType`.
    pub(crate) const TIMESTAMP_TYPE: &str = "kafka_dlt-original-timestamp-type";
    /// UTF-8.
    pub(crate) const GROUP: &str = "kafka_dlt-original-consumer-group";
    /// A class in Spring, the error's code here.
    pub(crate) const CLASS: &str = "kafka_dlt-exception-fqcn";
    /// UTF-8.
    pub(crate) const MESSAGE: &str = "kafka_dlt-exception-message";
    /// UTF-8.
    pub(crate) const STACK: &str = "kafka_dlt-exception-stacktrace";
}

/// The error's code.
pub(crate) const ERROR_CODE: &str = "cdc-error-code";
/// The error's message, in retry topics.
pub(crate) const ERROR_MESSAGE: &str = "cdc-error-message";
/// How often it was tried: 32 bits, big endian.
pub(crate) const ATTEMPTS: &str = "cdc-attempts";
/// Milliseconds since 1970, 64 bits, big endian.
pub(crate) const FIRST_FAILURE: &str = "cdc-first-failure";
/// The part that failed.
pub(crate) const PART: &str = "cdc-part";
/// Not to be tried before: milliseconds since 1970, 64 bits, big endian.
pub(crate) const NOT_BEFORE: &str = "cdc-not-before";
/// Of a record that waits without having failed: how many delays between attempts it has waited through. 32 bits, big
/// endian. Then [`ATTEMPTS`] counts the attempt that is still to come.
pub(crate) const WAITED: &str = "cdc-waited-delays";
/// The number in the store of failed events: 64 bits, big endian.
pub(crate) const FAILED_EVENT: &str = "cdc-failed-event";
/// The group that failed, in retry topics.
pub(crate) const GROUP: &str = "cdc-group";
/// Where it was first read, in retry topics; encodings as Spring's.
pub(crate) const ORIGIN_TOPIC: &str = "cdc-origin-topic";
/// See [`ORIGIN_TOPIC`].
pub(crate) const ORIGIN_PARTITION: &str = "cdc-origin-partition";
/// See [`ORIGIN_TOPIC`].
pub(crate) const ORIGIN_OFFSET: &str = "cdc-origin-offset";
/// See [`ORIGIN_TOPIC`].
pub(crate) const ORIGIN_TIMESTAMP: &str = "cdc-origin-timestamp";

/// Everything that a retry adds.
const OF_RETRY: [&str; 13] = [
    ERROR_CODE,
    ERROR_MESSAGE,
    ATTEMPTS,
    FIRST_FAILURE,
    PART,
    NOT_BEFORE,
    WAITED,
    FAILED_EVENT,
    GROUP,
    ORIGIN_TOPIC,
    ORIGIN_PARTITION,
    ORIGIN_OFFSET,
    ORIGIN_TIMESTAMP,
];

/// What a dead letter adds besides.
const OF_DEAD_LETTER: [&str; 9] = [
    spring::TOPIC,
    spring::PARTITION,
    spring::OFFSET,
    spring::TIMESTAMP,
    spring::TIMESTAMP_TYPE,
    spring::GROUP,
    spring::CLASS,
    spring::MESSAGE,
    spring::STACK,
];

/// Whether a retry may have added it.
pub(crate) fn is_of_retry(name: &str) -> bool {
    OF_RETRY.contains(&name)
}

/// Whether a retry or a dead letter may have added it.
pub(crate) fn is_of_dead_letter(name: &str) -> bool {
    is_of_retry(name) || OF_DEAD_LETTER.contains(&name)
}
