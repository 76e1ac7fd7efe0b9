//! Time from the commit to the webhook: relay, Kafka and notifier together.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cdc_e2e::progress::Progress;
use cdc_e2e::receiver::Receiver;
use cdc_e2e::services::Services;
use cdc_e2e::wait::{Look, until};
use serde::{Deserialize, Serialize};

use super::figures::Quantiles;
use super::writers::Writers;
use super::{ARRIVE, EventNumber, STOP, events_in, latencies};
use crate::arguments::Effort;
use crate::broker::Topic;
use crate::outbox::{Delivery, Outbox, PayloadType};
use crate::report::Target;
use crate::statistics::rounded;

/// Events a second, each in its own transaction and with one subscriber.
const RATE: u32 = 500;

/// Endpoints that share the events by their keys.
const ENDPOINTS: u32 = 100;

/// What 99 of 100 events should not exceed, in milliseconds.
const TARGET_MS: f64 = 50.0;

/// How long the first events may take: the notifier has to join its group.
const FIRST: Duration = Duration::from_secs(60);

/// All figures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WebhookFigures {
    pub(crate) events: usize,
    pub(crate) endpoints: u32,
    /// The rate that the writers have reached.
    pub(crate) events_per_second: f64,
    /// From the writer's knowledge of its commit to the endpoint's of the request.
    pub(crate) commit_to_webhook: Quantiles,
    /// CPU time of the notifier, of one core.
    pub(crate) cpu_percent: f64,
    pub(crate) peak_resident_mib: f64,
}

/// Writes at a steady pace while a relay and a notifier, both with their default settings, pass the events on.
pub(crate) async fn measure(
    services: &Services,
    effort: &Effort,
    progress: &Progress,
) -> Result<WebhookFigures> {
    let outbox = Outbox::create(services, PayloadType::Json).await?;
    let stream = outbox.stream("webhooks", Delivery::ExactlyOnce);
    outbox.add_slot(&stream).await?;
    let topic = Topic::create(services.kafka_brokers(), &stream.topic()).await?;
    let receiver = Receiver::start().await?;
    subscribe(&outbox, &receiver).await?;
    let writers = Writers::connect(&outbox, RATE).await?;
    let mut relay = outbox.start_relay(&stream)?;
    relay.until_phase("streaming").await?;
    let notify = [
        ("CDC_NOTIFY__TOPICS", stream.topic()),
        ("CDC_NOTIFY__GROUP", stream.slot().to_owned()),
        (
            "CDC_NOTIFY__ALLOW_PRIVATE_NETWORKS",
            "127.0.0.0/8".to_owned(),
        ),
    ];
    let notify = notify
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let notifier = outbox.start("notify", &stream, &notify)?;

    let warm_up = events_in(effort.latency_warm_up, RATE);
    let total = warm_up + events_in(effort.latency, RATE);
    progress.now(format!("webhooks: {warm_up} events to warm up"));
    writers.write(0..warm_up).await?;
    wait_for(&receiver, warm_up, FIRST)
        .await
        .with_context(|| outbox.log())?;
    progress.now(format!("webhooks: {RATE} events/s"));
    let cpu_before = notifier.pid().cpu_time()?;
    let started = Instant::now();
    let commits = writers.write(warm_up..total).await?;
    let took = started.elapsed();
    let cpu = notifier.pid().cpu_time()?.saturating_sub(cpu_before);
    wait_for(&receiver, total, ARRIVE)
        .await
        .with_context(|| outbox.log())?;

    let exit = notifier.sigterm(STOP).await?;
    relay.sigterm(STOP).await?;
    let latencies = latencies(&commits, &arrivals(&receiver, total))?;
    topic.delete().await?;
    outbox.remove().await?;
    Ok(WebhookFigures {
        events: latencies.len(),
        endpoints: ENDPOINTS,
        events_per_second: rounded(latencies.len() as f64 / took.as_secs_f64()),
        commit_to_webhook: Quantiles::of(latencies),
        cpu_percent: rounded(100.0 * cpu.as_secs_f64() / took.as_secs_f64()),
        peak_resident_mib: rounded(exit.peak.0 as f64 / 1024.0),
    })
}

/// An endpoint hears every hundredth key.
async fn subscribe(outbox: &Outbox, receiver: &Receiver) -> Result<()> {
    let url = receiver.url("");
    let sql = format!(
        "INSERT INTO cdc.endpoint (id, url) SELECT 'e' || n, '{url}e' || n FROM generate_series(0, {ENDPOINTS} - 1) AS n;
         INSERT INTO cdc.subscription (endpoint_id, subject)
             SELECT 'e' || n % {ENDPOINTS}, n FROM generate_series(0, 999) AS n;"
    );
    Ok(outbox.session().await?.batch_execute(&sql).await?)
}

async fn wait_for(receiver: &Receiver, events: u32, limit: Duration) -> Result<()> {
    until(limit, "the webhooks", async || {
        let heard: usize = endpoints().map(|endpoint| receiver.count(&endpoint)).sum();
        Ok(Look::when(
            heard >= events as usize,
            format_args!("{heard} of {events}"),
        ))
    })
    .await
}

/// When each event was heard first, by its number.
fn arrivals(receiver: &Receiver, events: u32) -> Vec<Option<Instant>> {
    let mut arrivals = vec![None; events as usize];
    for request in endpoints().flat_map(|endpoint| receiver.requests(&endpoint)) {
        let number = EventNumber::from_id(request.id.as_bytes());
        let arrival = number.and_then(|number| arrivals.get_mut(number.0 as usize));
        if let Some(arrival @ None) = arrival {
            *arrival = Some(request.at);
        }
    }
    arrivals
}

fn endpoints() -> impl Iterator<Item = String> {
    (0..ENDPOINTS).map(|number| format!("e{number}"))
}

impl WebhookFigures {
    /// What should be reached.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let p99 = self.commit_to_webhook.p99_ms;
        vec![Target::at_most("commit_to_webhook.p99_ms", TARGET_MS, p99)]
    }
}
