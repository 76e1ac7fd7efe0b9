//! The properties that clients start from, those that are fixed, and those that a user may not set.

use crate::brokers::STATISTICS_INTERVAL_MS;

/// Properties by all their names, and why a user may not set them.
pub(super) type Refused = &'static [(&'static [&'static str], &'static str)];

/// What every client starts from; users may override it.
pub(super) const CLIENT_DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "cdc-relay"),
    // A broker closes idle connections by itself; that is not news.
    ("log.connection.close", "false"),
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.connection.setup.timeout.ms", "10000"),
    ("socket.keepalive.enable", "true"),
    // Until a broker that vanished without a word is given up; the default is a minute.
    ("socket.timeout.ms", "30000"),
];

/// What a producer starts from; users may override it.
pub(super) const PRODUCER_DEFAULTS: &[(&str, &str)] = &[
    ("batch.size", "1000000"),
    ("compression.type", "lz4"),
    ("linger.ms", "1"),
    ("max.in.flight", "5"),
    ("partitioner", "murmur2_random"),
    ("request.timeout.ms", "20000"),
    ("retry.backoff.max.ms", "1000"),
];

/// What a transactional producer starts from beside that; users may override it.
pub(super) const TRANSACTIONAL_DEFAULTS: &[(&str, &str)] = &[
    // Every commit would wait for it. Batches form all the same, while a partition is taken into the transaction and
    // while requests are under way; measured, throughput does not depend on it.
    ("linger.ms", "0"),
];

/// What a producer always has, whatever a user says: the order and the guarantee hang on it.
pub(super) const PRODUCER_FIXED: &[(&str, &str)] = &[
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // A record that is given up by time leaves a hole in the order.
    ("message.timeout.ms", "0"),
    ("retries", "2147483647"),
];

/// What a reader starts from; users may override it.
pub(super) const READER_DEFAULTS: &[(&str, &str)] = &[
    ("fetch.error.backoff.ms", "100"),
    // What bounds the memory: how much of a partition and of all an answer of a broker may hold, as it is compressed, and
    // how much may wait to be looked at.
    ("fetch.message.max.bytes", "262144"),
    ("fetch.max.bytes", "2097152"),
    ("queued.max.messages.kbytes", "16384"),
    // The default of a second would be most of the time with a queue as small as this.
    ("fetch.queue.backoff.ms", "2"),
    // The end of a partition is told this long after the last record.
    ("fetch.wait.max.ms", "10"),
];

/// What a reader always has, whatever a user says.
pub(super) const READER_FIXED: &[(&str, &str)] = &[
    ("allow.auto.create.topics", "false"),
    ("auto.offset.reset", "earliest"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
    // librdkafka hands out partitions only with a group; it is never joined and nothing is committed to it.
    ("group.id", "cdc-relay"),
    ("isolation.level", "read_committed"),
];

/// What a member of a consumer group starts from; users may override it.
pub(super) const GROUP_DEFAULTS: &[(&str, &str)] = &[
    // What bounds the memory: with a queue for each partition, these two hold for each of them. An answer may go over
    // it by `fetch.message.max.bytes`, which counts as it is compressed, and is small for that reason.
    ("queued.max.messages.kbytes", "4096"),
    ("queued.min.messages", "20000"),
    ("fetch.message.max.bytes", "262144"),
    ("fetch.max.bytes", "16777216"),
    // The default of a second would be most of the time with queues as small as these.
    ("fetch.queue.backoff.ms", "2"),
    ("fetch.error.backoff.ms", "100"),
    // A partition whose queue was full is asked for again only when the request before it is answered; one that waits
    // for records of idle partitions holds it up this long.
    ("fetch.wait.max.ms", "50"),
    // How soon a topic or partition is found that was created later; the default is five minutes.
    ("topic.metadata.refresh.interval.ms", "10000"),
];

/// What a member of a consumer group always has, whatever a user says.
pub(super) const GROUP_FIXED: &[(&str, &str)] = &[
    ("allow.auto.create.topics", "false"),
    // For a committed offset that is out of range: rather twice than never.
    ("auto.offset.reset", "earliest"),
    ("enable.auto.commit", "true"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "false"),
    ("isolation.level", "read_committed"),
    // Nothing else shows a client that has forgotten every broker.
    ("statistics.interval.ms", STATISTICS_INTERVAL_MS),
];

/// Properties that a user may not set, under all their names, each with the reason.
pub(super) const REFUSED: Refused = &[
    (
        &["bootstrap.servers", "metadata.broker.list"],
        "the addresses of the brokers have a setting of their own, `brokers`",
    ),
    (
        &["enable.idempotence"],
        "without idempotence a retry could change the order of records; it is always on",
    ),
    (
        &["enable.gapless.guarantee"],
        "whether what follows a refused record may be sent depends on who sends it",
    ),
    (
        &["acks", "request.required.acks"],
        "a record counts as delivered only when all in-sync replicas have it; it is always `all`",
    ),
    (
        &["message.timeout.ms", "delivery.timeout.ms"],
        "a record that is given up by time would leave a hole in the order; it is always 0",
    ),
    (
        &["retries", "message.send.max.retries"],
        "a record that is given up would leave a hole in the order; it is retried without end",
    ),
    (
        &["delivery.report.only.error", "dr_cb", "dr_msg_cb"],
        "every delivery must be reported, or nothing could be confirmed",
    ),
    (
        &[
            "queue.buffering.max.messages",
            "queue.buffering.max.kbytes",
            "queue.buffering.max.ms",
        ],
        "what is in flight is bounded by the relay itself; to wait longer for a batch set \
         `linger.ms`",
    ),
    (
        &["transactional.id"],
        "it belongs to the delivery mode and is derived from the slot",
    ),
    (
        &["transaction.timeout.ms"],
        "it is set together with the size of transactions",
    ),
];

/// Properties of consumers that a user may not set, each with the reason.
pub(super) const REFUSED_OF_CONSUMERS: Refused = &[
    (
        &["isolation.level"],
        "records of transactions that were not committed must not be seen; it is always \
         `read_committed`",
    ),
    (
        &[
            "auto.commit.enable",
            "auto.commit.interval.ms",
            "enable.auto.commit",
            "enable.auto.offset.store",
        ],
        "an offset is stored only after its record has been dealt with",
    ),
    (
        &["enable.partition.eof"],
        "the end of a partition is found by it; it is always on",
    ),
    (
        &["auto.offset.reset"],
        "where reading starts is decided by what is read",
    ),
    (
        &["group.id", "group.protocol", "group.instance.id"],
        "the group has a setting of its own where one is joined",
    ),
    (
        &["max.poll.interval.ms", "partition.assignment.strategy"],
        "how partitions move has settings of its own where a group is joined",
    ),
    (
        &["allow.auto.create.topics"],
        "looking at a topic must not create it",
    ),
];
