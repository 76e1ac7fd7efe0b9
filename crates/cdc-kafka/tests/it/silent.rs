//! A producer whose cluster has no broker for a moment.

use std::time::Duration;

use cdc_event::Sequence;
use cdc_kafka::{Disposition, Error, Limits, OrderedProducer};

use crate::setup::{record, soon};
use crate::silent_cluster::SilentCluster;

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_has_forgotten_every_broker_is_of_no_more_use() {
    let cluster = SilentCluster::start().await;
    let mut options = cluster.options.clone();
    for (property, value) in [
        ("topic.metadata.refresh.interval.ms", "100"),
        // With the default it finds back by itself, unless two of its threads meet in the wrong order.
        ("metadata.recovery.strategy", "none"),
        ("statistics.interval.ms", "200"),
    ] {
        options.client.insert(property.into(), value.into());
    }
    let producer = OrderedProducer::new(&options, Limits::default()).unwrap();
    producer
        .try_send(record("t", b"k", b"v"), Sequence::new(0))
        .unwrap();
    soon(cluster.looked_at(3)).await;
    assert!(producer.fatal().is_none());
    cluster.has_no_broker(true);
    soon(producer.delivered()).await;
    let error = producer.fatal().unwrap();
    assert!(matches!(error, Error::BrokersForgotten), "{error:?}");
    assert_eq!(error.disposition(), Disposition::Rebuild);
    assert!(producer.close(Duration::from_secs(5)).await, "it hangs");
}
