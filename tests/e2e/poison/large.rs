//! Events that are too large are parked, and their neighbours arrive.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::relay::Relay;
use cdc_e2e::wait::{Look, until};

use super::{
    DELIVERIES, Parked, counted, create_topic, emit, known_to_the_broker, parked, parking,
};
use crate::outlet::{SOON, id, ids, ids_until, one_topic};

/// A transaction with innocent events around the large one, others before and after it.
async fn write_with_large_ones(scenario: &Scenario, large: usize) -> Result<()> {
    let session = scenario.database().session().await?;
    let numbered = |numbers: std::ops::RangeInclusive<u32>| -> String {
        numbers.map(|n| emit(n, "order", 10)).collect()
    };
    session.batch_execute(&numbered(1..=5)).await?;
    let bad = emit(91, "order", large);
    session
        .batch_execute(&format!(
            "BEGIN; {} {bad} {} COMMIT",
            numbered(6..=40),
            numbered(41..=60)
        ))
        .await?;
    session.batch_execute(&emit(92, "order", large)).await?;
    // Transactions of their own.
    for n in 61..=80 {
        session.batch_execute(&emit(n, "order", 10)).await?;
    }
    session.batch_execute(&emit(93, "order", large)).await?;
    session
        .batch_execute(&emit(81, "order", 10))
        .await
        .context("write the last event")
}

/// How the others arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Once,
    /// Each at least once, the first time in order.
    InOrder,
    /// Each at least once. A broker that has nothing of a producer in the partition yet takes what comes behind a batch that
    /// it refuses.
    InAnyOrder,
}

async fn parked_the_large_ones(
    scenario: &Scenario,
    relay: &Relay,
    large: usize,
    others: Others,
) -> Result<()> {
    let mut found = ids_until(scenario, &id(81)).await?;
    if others == Others::InAnyOrder {
        // What follows the last one that is parked comes after all before it.
        until(SOON, "the large ones to be parked", async || {
            let parked = parked(scenario).await?.len();
            Ok(Look::when(parked == 3, format!("{parked} are")))
        })
        .await?;
        let session = scenario.database().session().await?;
        session.batch_execute(&emit(82, "order", 10)).await?;
        found = ids_until(scenario, &id(82)).await?;
        found.sort();
        found.retain(|event| *event != id(82));
    }
    found.retain(|event| *event != id(0));
    if others != Others::Once {
        let mut seen = HashSet::new();
        found.retain(|event| seen.insert(event.clone()));
    }
    ensure!(found == ids(1..=81), "{found:?}");
    let topic = format!("{}.events", scenario.database().name());
    let expected: Vec<_> = (91..=93)
        .map(|n| Parked {
            event: Some(id(n)),
            code: "CDC0043".into(),
            topic: Some(topic.clone()),
            key: Some("k".into()),
            payload_bytes: i32::try_from(large + 2).ok(),
            timed: true,
        })
        .collect();
    let parked = parked(scenario).await?;
    ensure!(parked == expected, "{parked:?}");
    let counted = counted(relay, "too_large").await?;
    // Without transactions, one that is read again is stored again, which changes nothing.
    let as_promised = if others == Others::Once {
        counted == Some(3)
    } else {
        counted >= Some(3)
    };
    ensure!(as_promised, "{counted:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn parks_events_that_are_too_large_for_the_client() -> Result<()> {
    for delivery in DELIVERIES {
        let scenario = one_topic(parking(delivery).await?)
            .with("CDC_KAFKA__PRODUCER__MESSAGE_MAX_BYTES", "20000");
        let relay = scenario.relay().await?;
        write_with_large_ones(&scenario, 60_000).await?;
        parked_the_large_ones(&scenario, &relay, 60_000, Others::Once)
            .await
            .context(delivery)?;
    }
    Ok(())
}

/// The broker refuses a whole batch for the sake of one record.
#[tokio::test(flavor = "multi_thread")]
async fn parks_events_that_are_too_large_for_the_topic_and_spares_their_neighbours() -> Result<()> {
    for delivery in DELIVERIES {
        let scenario = one_topic(parking(delivery).await?);
        let topic = format!("{}.events", scenario.database().name());
        create_topic(&scenario, &topic, "20000").await?;
        let relay = scenario.relay().await?;
        known_to_the_broker(&scenario).await?;
        write_with_large_ones(&scenario, 60_000).await?;
        let others = match delivery {
            "exactly_once" => Others::Once,
            _ => Others::InOrder,
        };
        parked_the_large_ones(&scenario, &relay, 60_000, others)
            .await
            .context(delivery)?;
        // It sends in batches again, and a later one is found as well.
        let session = scenario.database().session().await?;
        session.batch_execute(&emit(94, "order", 60_000)).await?;
        session.batch_execute(&emit(95, "order", 10)).await?;
        ids_until(&scenario, &id(95)).await?;
        // At least once, what comes later may arrive before the one that was refused is dealt with.
        until(SOON, "the later one to be parked", async || {
            let parked = parked(&scenario).await?;
            Ok(Look::when(
                parked.len() == 4,
                format!("{delivery}: {parked:?}"),
            ))
        })
        .await?;
    }
    Ok(())
}

/// There is a backlog already when the relay starts.
#[tokio::test(flavor = "multi_thread")]
async fn parks_large_events_of_a_backlog() -> Result<()> {
    for delivery in DELIVERIES {
        let scenario = one_topic(parking(delivery).await?);
        let topic = format!("{}.events", scenario.database().name());
        create_topic(&scenario, &topic, "20000").await?;
        write_with_large_ones(&scenario, 60_000).await?;
        let relay = scenario.relay().await?;
        let others = match delivery {
            "exactly_once" => Others::Once,
            _ => Others::InAnyOrder,
        };
        parked_the_large_ones(&scenario, &relay, 60_000, others)
            .await
            .context(delivery)?;
    }
    Ok(())
}
