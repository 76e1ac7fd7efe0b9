//! A consumer whose client is replaced.

use crate::metric;
use crate::topology::causes;

/// Says in the log and in the metrics that the client of a member of `group` is replaced, as told by
/// [`ConsumerEvent::Renewing`](cdc_kafka::ConsumerEvent::Renewing). A [`Runner`](crate::Runner) does so by itself; this is
/// for who reads in another way.
pub fn note_renewal(group: &str, why: &cdc_kafka::Error) {
    metric::renewals(group).increment(1);
    tracing::warn!(
        group,
        error = causes(why),
        "the Kafka client of a consumer was of no more use; another one takes its place, and what is not committed is done again"
    );
}
