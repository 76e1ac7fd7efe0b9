//! First-come coupons: as many as there are, one for each user, whatever is killed on the way.
//!
//! ```text
//!  POST /coupon/apply ─▶ Redis: who, how many, which number
//!            └─▶ PostgreSQL, one transaction: coupon.application + cdc.emit (MODE=guarded: then a guarded producer)
//!                    └─▶ cdc-relay relay ─▶ coupon-create ─▶ Issuer ─▶ coupon.coupon
//!                                                 └─ fails ─▶ coupon-create.DLT ─▶ Issuer of dead letters
//!                                                                 └─ fails ─▶ coupon-create.DLT.failed
//!                                      cdc.failed_event ◀─ cdc-relay recover run ◀─┘
//! ```

mod announcing;
mod applications;
mod consumers;
mod coupons;
mod database;
mod desk;
mod event;
mod http;
mod issuer;
mod numbers;
mod probe;
mod reconcile;
mod service;
mod settings;
mod switches;
mod tickets;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::settings::{Cli, Command};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let ended = match cli.command {
        _ if cli.probe => probe::run(cli.settings.listen).await,
        None => service::run(cli.settings).await,
        Some(Command::Reconcile) => reconcile::run(cli.settings).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
