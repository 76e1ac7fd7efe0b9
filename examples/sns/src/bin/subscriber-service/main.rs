//! Knows who subscribed to whom, and makes a notification of each post.

mod api;
mod live;
mod members;
mod notification;
mod page;
mod webhooks;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::Uri;
use cdc_kafka::KafkaOptions;
use clap::Parser;
use recovery::{BlockingRetry, RetryPlan, Runner, Settings};
use tokio_util::sync::CancellationToken;

use crate::live::News;
use crate::members::Members;
use crate::notification::Notification;
use crate::webhooks::Webhooks;

/// Knows who subscribed to whom, and makes a notification of each post.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  curl -d '{\"nickname\":\"mina\"}' -H 'content-type: application/json' \
                  http://127.0.0.1:8082/members\n\nThe page is at http://127.0.0.1:8082/."
)]
struct Options {
    /// PostgreSQL; the database where `cdc-relay init` was run.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Kafka: host:port, several with commas between.
    #[arg(long, env = "KAFKA_BROKERS")]
    kafka_brokers: String,
    /// Where to serve HTTP.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
    /// The topic with the posts.
    #[arg(long, env = "POST_TOPIC", default_value = "post-create")]
    post_topic: String,
    /// The consumer group.
    #[arg(long, env = "GROUP", default_value = "sns-subscriber")]
    group: String,
    /// Static membership: a name that no other process of the group has. After a restart, or when Kafka was away, this one
    /// gets its partitions back at once; without it they wait until the group has given up its old self.
    #[arg(long, env = "INSTANCE_ID")]
    instance_id: Option<String>,
    /// When a post that could not be dealt with is tried again; after the last time it is a dead letter.
    #[arg(
        long,
        env = "RETRY_AFTER",
        default_value = "5s,1m",
        value_delimiter = ',',
        value_parser = humantime::parse_duration
    )]
    retry_after: Vec<Duration>,
    /// The webhook-receiver, whose webhooks the page shows.
    #[arg(long, env = "RECEIVER_URL", default_value = "http://127.0.0.1:8083")]
    receiver_url: Uri,
    /// Asks the service that runs with these settings whether it is well, and ends with 0 or 1.
    #[arg(long)]
    probe: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.probe {
        return sns::probe::run(options.listen);
    }
    sns::service::run(|stop| serve(options, stop))
}

async fn serve(options: Options, stop: CancellationToken) -> Result<()> {
    let pool = sns::database::open(&options.database_url).await?;
    sns::topic::ensure(&options.kafka_brokers, &options.post_topic).await?;
    let news = News::default();
    let handler = Notification::new(pool.clone(), news.clone());
    let runner = runner(&options, handler)?;
    let members = Members::new(pool, news.clone());
    let webhooks = Webhooks::at(&options.receiver_url)?;
    let router = api::router(members, webhooks.clone(), news, &stop);
    let consumer = async {
        let ended = runner.run(stop.clone()).await;
        ended.context("the consumer ended")
    };
    let http = sns::service::serve(options.listen, router, stop.clone());
    tokio::try_join!(http, consumer)?;
    webhooks.closed().await;
    Ok(())
}

/// Twice in its place, while other posts of the author wait; then in retry topics, while nobody does.
fn runner(options: &Options, handler: Notification) -> Result<Runner<Notification>> {
    let in_place = BlockingRetry::Fixed {
        delay: Duration::from_millis(200),
        retries: 2,
    };
    let plan = RetryPlan::new(in_place, options.retry_after.clone())?;
    let topics = vec![options.post_topic.clone()];
    let settings = Settings {
        instance_id: options.instance_id.clone(),
        ..Settings::new(options.group.clone(), topics, plan)
    };
    let mut kafka = KafkaOptions::new(options.kafka_brokers.clone());
    // As in cdc-relay.toml: when Kafka is back, that is soon noticed.
    let reconnect = ("reconnect.backoff.max.ms".into(), "250".into());
    kafka.client.extend([reconnect]);
    Ok(Runner::new(kafka, settings, handler)?)
}
