//! `cdc-relay status`.

mod probe;
mod render;

use serde::Serialize;

use crate::admin::{Snapshot, client};
use crate::cli::Status;
use crate::config::Config;
use crate::database::{Database, SlotState};
use crate::failure::Failure;
use crate::terminal::say;

/// Both sides of a relay: what PostgreSQL says of its slot, and what it says of itself.
#[derive(Debug, Serialize)]
struct Report {
    /// `None` when the slot does not exist.
    slot: Option<SlotState>,
    /// `None` when no relay answers on `admin.listen`.
    relay: Option<Snapshot>,
}

/// Prints the state, or only asks for health.
pub(super) async fn run(arguments: &Status, config: &Config) -> Result<(), Failure> {
    if arguments.probe {
        return probe::run(config).await;
    }
    let database = Database::connect(config).await?;
    let slot = database.slot(config).await?;
    let relay = match &config.admin.listen {
        Some(listen) => client::status(listen).await.ok(),
        None => None,
    };
    let report = Report { slot, relay };
    if arguments.json {
        let json = serde_json::to_string_pretty(&report).map_err(|error| {
            Failure::internal("the status cannot be written as JSON").caused_by(error)
        })?;
        say(json);
    } else {
        say(render::text(&report, config));
    }
    Ok(())
}
