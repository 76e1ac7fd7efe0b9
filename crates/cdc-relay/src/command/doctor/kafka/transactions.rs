//! Whether the cluster can do transactions.

use cdc_kafka::ClusterDetails;

use super::TRANSACTION_STATE;
use crate::command::doctor::finding::Findings;

/// Kafka makes its topic for transactions at the first one. With fewer brokers than it wants replicas, that waits for
/// ever, and so does the relay.
pub(super) fn check(details: &ClusterDetails, findings: &mut Findings) {
    let number = |name| {
        let settings = details.broker.as_ref()?;
        usize::try_from(settings.number(name)?).ok()
    };
    let (replicas, minimum) = (
        number("transaction.state.log.replication.factor"),
        number("transaction.state.log.min.isr"),
    );
    let state = details
        .topics
        .iter()
        .find(|topic| topic.topic == TRANSACTION_STATE);
    let lacking = match (state, replicas) {
        (None, Some(replicas)) if replicas > details.brokers => Some(format!(
            "transaction.state.log.replication.factor={replicas} with {} brokers",
            details.brokers
        )),
        (Some(state), _) if minimum.is_some_and(|minimum| minimum > state.replicas) => {
            Some(format!(
                "transaction.state.log.min.isr={} with {} replicas of {TRANSACTION_STATE}",
                minimum.unwrap_or_default(),
                state.replicas
            ))
        }
        _ => None,
    };
    match lacking {
        Some(lacking) => findings.warn(
            "transactions",
            format!("{lacking}: no transaction can begin, which exactly-once delivery needs"),
            "start the missing brokers, or lower the setting",
            None,
        ),
        None => findings.ok("transactions", "nothing speaks against them"),
    }
}
