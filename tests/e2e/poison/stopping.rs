//! `poison = "stop"`: the relay stops at an event that can't be sent, and goes on when it is told to park it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{DELIVERIES, create_topic, emit, known_to_the_broker, parked, parking};
use crate::outlet::{id, ids, ids_until, one_topic, refused};

#[tokio::test(flavor = "multi_thread")]
async fn stops_at_an_event_that_is_too_large_unless_told_to_park() -> Result<()> {
    for delivery in DELIVERIES {
        let scenario = one_topic(parking(delivery).await?).with("CDC_RELAY__POISON", "stop");
        let topic = format!("{}.events", scenario.database().name());
        create_topic(&scenario, &topic, "20000").await?;
        let session = scenario.database().session().await?;
        session.batch_execute(&emit(1, "order", 10)).await?;
        session.batch_execute(&emit(2, "order", 60_000)).await?;
        session.batch_execute(&emit(3, "order", 10)).await?;
        refused(&scenario, scenario.start_relay()?, "CDC0043").await?;
        ensure!(parked(&scenario).await?.is_empty());
        // Whoever decides to park it then gets all the others.
        let scenario = scenario.with("CDC_RELAY__POISON", "park");
        let _relay = scenario.relay().await?;
        let mut found = ids_until(&scenario, &id(3)).await?;
        found.dedup();
        ensure!(found == ids([1, 3]), "{delivery}: {found:?}");
        ensure!(parked(&scenario).await?.len() == 1);
    }
    Ok(())
}

/// Its neighbours in time are in Kafka by then, and the slot is where whoever skips the event by hand expects it.
#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_an_event_that_stops_the_relay_is_confirmed() -> Result<()> {
    for delivery in DELIVERIES {
        let stopping = one_topic(parking(delivery).await?).with("CDC_RELAY__POISON", "stop");
        let topic = format!("{}.events", stopping.database().name());
        create_topic(&stopping, &topic, "20000").await?;
        let session = stopping.database().session().await?;
        let relay = stopping.relay().await?;
        known_to_the_broker(&stopping).await?;
        for n in 1..=20 {
            session.batch_execute(&emit(n, "order", 10)).await?;
        }
        session.batch_execute(&emit(91, "order", 60_000)).await?;
        // Some of it is under way when the refusal comes.
        let behind: Vec<_> = (21..=40).map(|n| emit(n, "order", 4_000)).collect();
        for event in behind {
            session.batch_execute(&event).await?;
        }
        let began = Instant::now();
        refused(&stopping, relay, "CDC0043").await?;
        let took = began.elapsed();
        ensure!(took < Duration::from_secs(10), "{delivery}: {took:?}");
        let parking = stopping.with("CDC_RELAY__POISON", "park");
        let _relay = parking.relay().await?;
        let found = ids_until(&parking, &id(40)).await?;
        ensure!(found == ids(0..=40), "{delivery}: {found:?}");
    }
    Ok(())
}
