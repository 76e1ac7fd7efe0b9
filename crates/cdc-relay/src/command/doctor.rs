//! `cdc-relay doctor`.

mod finding;
mod kafka;
mod outbox;
mod publication;
mod render;
mod server;
mod session;
mod slot;

use crate::cli::Doctor;
use crate::config::Config;
use crate::database::Database;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::terminal::{Style, say};

use finding::{Findings, Status};

/// Looks at everything that a relay needs, changes nothing, and prints what it found.
pub(super) async fn run(arguments: &Doctor, config: &Config) -> Result<(), Failure> {
    let mut findings = Findings::default();
    match Database::connect(config).await {
        Ok(database) => {
            findings.ok(
                "PostgreSQL",
                format!("connected to {}", config.postgres.options().target()),
            );
            look_at(&database, config, &mut findings).await;
        }
        Err(failure) => findings.failed("PostgreSQL", &failure),
    }
    kafka::check(config, &mut findings).await;
    if arguments.json {
        say(render::json(&findings)?);
    } else {
        say(render::text(&findings, Style::of_stdout()));
    }
    match findings.count(Status::Fail) {
        0 => Ok(()),
        failures => Err(Failure::new(
            ErrorCode::DoctorFailed,
            format!("{failures} of the checks failed"),
            "see the findings above; each says what to do",
        )),
    }
}

/// A check that cannot be made is a finding too, and does not keep the others from being made.
async fn look_at(database: &Database, config: &Config, findings: &mut Findings) {
    let mut tell = |name, checked: Result<Findings, Failure>| match checked {
        Ok(found) => findings.extend(found),
        Err(failure) => findings.failed(name, &failure),
    };
    tell("server", server::check(database, config).await);
    tell("replication", session::check(config).await);
    tell("publication", publication::check(database, config).await);
    tell("slot", slot::check(database, config).await);
    tell("outbox", outbox::check(database, config).await);
}
