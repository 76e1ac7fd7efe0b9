//! Takes posts, and says so in Kafka: directly, by polling a table, or through cdc-relay.

mod api;
mod mode;
mod outlet;
mod polling;
mod posts;
mod producer;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use clap::builder::FalseyValueParser;
use tokio_util::sync::CancellationToken;

use crate::mode::Mode;
use crate::outlet::Outlet;
use crate::posts::Posts;

/// Takes posts, and says so in Kafka.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  curl -d '{\"authorId\":1,\"title\":\"Hello\",\"content\":\"First post\"}' \
                  -H 'content-type: application/json' http://127.0.0.1:8081/posts"
)]
struct Options {
    /// PostgreSQL; the database where `cdc-relay init` was run.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Kafka: host:port, several with commas between.
    #[arg(long, env = "KAFKA_BROKERS")]
    kafka_brokers: String,
    /// Where to serve HTTP.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// How an event gets from the database to Kafka.
    #[arg(long, env = "MODE", default_value = "cdc")]
    mode: Mode,
    /// The topic, for direct and polling. With cdc it is chosen by cdc-relay, from `outbox.topic`.
    #[arg(long, env = "POST_TOPIC", default_value = "post-create")]
    post_topic: String,
    /// Dies right after the commit of a post, before anything else is done.
    #[arg(long, env = "CRASH_AFTER_COMMIT", value_parser = FalseyValueParser::new())]
    crash_after_commit: bool,
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
    let outlet = Outlet::open(
        options.mode,
        &options.kafka_brokers,
        &options.post_topic,
        &pool,
    )
    .await?;
    let posts = Posts::new(pool, outlet.clone(), options.crash_after_commit);
    tracing::info!(mode = ?options.mode, "takes posts");
    let http = sns::service::serve(options.listen, api::router(posts), stop.clone());
    tokio::try_join!(http, outlet.run(stop))?;
    Ok(())
}
