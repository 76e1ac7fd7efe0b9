//! Receives webhooks, remembers them, and fails when it is told to.

mod api;
mod received;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;

use crate::received::Received;

/// Receives webhooks, remembers them, and fails when it is told to.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:\n  curl http://127.0.0.1:8083/received\n  \
                  curl -X PUT -d '{\"answer\":\"fail\"}' -H 'content-type: application/json' http://127.0.0.1:8083/hook/anna"
)]
struct Options {
    /// Where to serve HTTP.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8083")]
    listen: SocketAddr,
    /// Asks the service that runs with these settings whether it is well, and ends with 0 or 1.
    #[arg(long)]
    probe: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.probe {
        return sns::probe::run(options.listen);
    }
    sns::service::run(async |stop| {
        let router = api::router(Received::default(), &stop);
        sns::service::serve(options.listen, router, stop).await
    })
}
