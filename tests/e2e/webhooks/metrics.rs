//! What `/metrics` of a notifier says.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use cdc_e2e::receiver::Receiver;
use cdc_e2e::wait::{Look, until};

use super::{add, commit, scenario, until_delivered};
use crate::outlet::{SOON, id, ids};

/// Every word that a label of the notifier may have; the others are numbers.
const WORDS: [&str; 13] = [
    "delivered",
    "retried",
    "rejected",
    "gone",
    "unknown",
    "in-flight",
    "closed",
    "busy",
    "rate-limited",
    "unformattable",
    "failing",
    "fresh",
    "reused",
];

/// The value of a sample, written as in the text: name and labels.
fn value(metrics: &str, sample: &str) -> Result<f64> {
    let mut values = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok());
    values
        .next()
        .with_context(|| format!("no {sample} in {metrics}"))
}

/// Labels of the notifier's own metrics: names, and values that are no numbers.
fn labels(metrics: &str) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let own = metrics
        .lines()
        .filter(|line| line.starts_with("cdc_notify_"));
    let all = own.filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0));
    let pairs = all.flat_map(|labels| labels.split(','));
    let (names, values): (BTreeSet<_>, BTreeSet<_>) =
        pairs.filter_map(|pair| pair.split_once('=')).unzip();
    let values = values.into_iter().map(|value| value.trim_matches('"'));
    (
        names,
        values
            .filter(|value| value.parse::<f64>().is_err())
            .collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_counts_what_became_of_each_delivery_and_names_nobody() -> Result<()> {
    const EVENTS: u32 = 20;
    const ENDPOINTS: [(&str, u16); 4] = [
        ("well-7", 200),
        ("strict-7", 400),
        ("ill-7", 503),
        ("leaving-7", 410),
    ];
    let scenario = scenario("['30s']").await?;
    let receiver = Receiver::start().await?;
    for (endpoint, status) in ENDPOINTS {
        add(&scenario, &receiver, endpoint, "")?;
        receiver.answer(endpoint, status);
    }
    let _relay = scenario.relay().await?;
    let notifier = scenario.start("notify")?;
    commit(&scenario, 1..=EVENTS).await?;
    until_delivered(&receiver, "well-7", &ids(1..=EVENTS), SOON).await?;
    let outcome = |outcome: &str| format!("cdc_notify_deliveries_total{{outcome=\"{outcome}\"}}");
    let connections = |from: &str| format!("cdc_notify_connections_total{{connection=\"{from}\"}}");
    let disabled = "cdc_notify_endpoints_disabled_total{reason=\"gone\"}";
    let closed = "cdc_notify_endpoints_closed_total";
    let expected = [
        (outcome("delivered"), 20.0),
        (outcome("rejected"), 20.0),
        (disabled.to_owned(), 1.0),
        (closed.to_owned(), 1.0),
        (
            "cdc_notify_event_to_delivery_seconds_count".to_owned(),
            20.0,
        ),
        ("cdc_notify_fenced_outcomes_total".to_owned(), 0.0),
        ("cdc_notify_store_errors_total".to_owned(), 0.0),
    ];
    let metrics = until(SOON, "the metrics", async || {
        let metrics = notifier.admin().get("/metrics").await?.body;
        for (sample, expected) in &expected {
            let found = value(&metrics, sample)?;
            if (expected - found).abs() > f64::EPSILON {
                return Ok(Look::NotYet(format!("{sample} is {found}, not {expected}")));
            }
        }
        Ok(Look::Ready(metrics))
    })
    .await?;
    let count = |name: &str| value(&metrics, &outcome(name));
    ensure!(
        count("gone")? >= 1.0 && count("retried")? >= 5.0,
        "{metrics}"
    );
    let requests = ENDPOINTS.map(|(endpoint, _)| receiver.count(endpoint));
    let requests = requests.iter().sum::<usize>() as f64;
    let answered = ["delivered", "rejected", "retried", "gone"].map(count);
    let answered = answered.into_iter().sum::<Result<f64>>()?;
    let timed = value(&metrics, "cdc_notify_request_seconds_count")?;
    let fresh = value(&metrics, &connections("fresh"))?;
    let connected = fresh + value(&metrics, &connections("reused"))?;
    for counted in [answered, timed, connected] {
        ensure!(
            (counted - requests).abs() < f64::EPSILON,
            "{counted} of {requests}: {metrics}"
        );
    }
    let took = value(&metrics, "cdc_notify_event_to_delivery_seconds_sum")?;
    ensure!(
        took > 0.0 && took < f64::from(EVENTS) * SOON.as_secs_f64(),
        "{took}"
    );

    let (names, values) = labels(&metrics);
    let known = BTreeSet::from(["outcome", "reason", "connection", "quantile"]);
    ensure!(names.is_subset(&known), "{names:?}");
    ensure!(values.is_subset(&BTreeSet::from(WORDS)), "{values:?}");
    for (endpoint, _) in ENDPOINTS {
        ensure!(!metrics.contains(endpoint), "{endpoint} in {metrics}");
    }
    for name in [id(1), receiver.url("")] {
        ensure!(!metrics.contains(&name), "{name} in {metrics}");
    }
    notifier.sigterm(SOON).await?;
    Ok(())
}
