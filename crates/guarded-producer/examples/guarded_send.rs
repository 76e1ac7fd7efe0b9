//! Sends what it reads: a line is a key, a space, and a payload of JSON. Says for each line where the event is.
//!
//! ```text
//! KAFKA_BROKERS=localhost:9092 DATABASE_URL=postgres://app@localhost/app SLOT=cdc_relay guarded_send
//! 7 {"state":"paid"}
//! {"id":"6f1c24e0-…","outcome":"sent","partition":3,"offset":12,"ms":4}
//! ```
//!
//! `AGGREGATE_TYPE` (default `order`) and `TOPIC`, a template like the relay's, decide the topic. For trying things out there
//! are `DELIVERY_TIMEOUT_MS` and `BLOCK_TIME_MS`, and as JSON objects of texts `HEADERS` and `KAFKA_PRODUCER`. A line is sent when the one before it is answered
//! for, so that they keep their order.
#![expect(clippy::print_stdout, reason = "its answers are what it is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::BufRead;
use std::time::{Duration, Instant};

use guarded_producer::{
    Alerts, Cause, Event, GuardedProducer, KafkaError, KafkaOptions, Payload, Placed, Settings,
    Stay,
};
use serde_json::json;
use tokio::sync::mpsc;

/// Tells by a line of its own.
struct Told;

impl Alerts for Told {
    fn entered(&self, cause: Cause, error: Option<&KafkaError>) {
        let error = error.map(ToString::to_string);
        println!(
            "{}",
            json!({"alert": "entered", "cause": cause.as_str(), "error": error})
        );
    }

    fn left(&self, stay: &Stay) {
        println!(
            "{}",
            json!({"alert": "left", "cause": stay.cause.as_str(), "stored": stay.stored})
        );
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let producer = GuardedProducer::start(settings()?, Told)?;
    let aggregate_type = variable("AGGREGATE_TYPE").unwrap_or("order".into());
    let headers = object("HEADERS")?;
    let (lines, mut read) = mpsc::channel::<String>(1);
    let reader = tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                break;
            }
        }
    });
    while let Some(line) = read.recv().await {
        let (key, payload) = line
            .split_once(' ')
            .ok_or("a line is a key and a payload")?;
        let payload = Payload::json(payload)?;
        let mut event = Event::new(aggregate_type.as_str(), "line.read", payload).with_key(key);
        for (name, value) in &headers {
            event = event.with_header(name.as_str(), value.clone());
        }
        send(&producer, event).await;
    }
    reader.await?;
    producer.close().await;
    Ok(())
}

async fn send(producer: &GuardedProducer, event: Event) {
    let (id, started) = (event.id().to_string(), Instant::now());
    let answer = producer.send(event).await;
    let ms = started.elapsed().as_millis();
    let ms = u64::try_from(ms).unwrap_or(u64::MAX);
    let told = match answer {
        Ok(Placed::Sent(place)) => {
            let (partition, offset) = (place.partition.0, place.offset.0);
            json!({"id": id, "outcome": "sent", "partition": partition, "offset": offset, "ms": ms})
        }
        Ok(Placed::Stored) => json!({"id": id, "outcome": "stored", "ms": ms}),
        Err(error) => {
            json!({"id": id, "outcome": "failed", "error": error.to_string(), "ms": ms})
        }
    };
    println!("{told}");
}

fn settings() -> Result<Settings, Box<dyn Error>> {
    let needed = |name: &str| variable(name).ok_or(format!("{name} is not set"));
    let mut settings = Settings::new(
        KafkaOptions::new(needed("KAFKA_BROKERS")?),
        needed("DATABASE_URL")?.parse()?,
        needed("SLOT")?.parse()?,
    );
    if let Some(template) = variable("TOPIC") {
        settings.outbox.topic = template.parse()?;
    }
    settings.kafka.producer = object("KAFKA_PRODUCER")?;
    for (name, time) in [
        ("DELIVERY_TIMEOUT_MS", &mut settings.delivery_timeout),
        ("BLOCK_TIME_MS", &mut settings.block_time),
    ] {
        if let Some(text) = variable(name) {
            *time = Duration::from_millis(text.parse()?);
        }
    }
    Ok(settings)
}

fn object(name: &str) -> Result<BTreeMap<String, String>, serde_json::Error> {
    serde_json::from_str(&variable(name).unwrap_or("{}".into()))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
