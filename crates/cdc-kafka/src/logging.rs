//! Names in this crate's log lines.

/// The target of what librdkafka itself says.
pub(crate) const TARGET: &str = "librdkafka";

/// The part of librdkafka that speaks, for example `FAIL` or `SSL`.
pub(crate) const FACILITY: &str = "facility";

/// A consumer group.
pub(crate) const GROUP: &str = "group";

/// A number of partitions.
pub(crate) const PARTITIONS: &str = "partitions";
