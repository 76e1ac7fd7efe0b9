//! `cdc-relay init`.
//!
//! The order matters: everything is looked at before anything is changed; the publication comes before the slot,
//! since a slot reads each change with the publications of that moment; the slot comes last, since from then on
//! the server keeps log for it.

mod kafka;
mod outbox;
mod plan;
mod publication;
mod slot;

use crate::cli::Init;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::terminal::say;

use plan::Plan;

pub(super) use outbox::{missing_column, missing_table};
pub(crate) use slot::{foreign as slot_foreign, lost as slot_lost};

/// Prepares the database, or with `--dry-run` prints what that would do.
pub(super) async fn run(arguments: &Init, config: &Config) -> Result<(), Failure> {
    let mut database = Database::connect(config).await?;
    let plan = Plan::make(&database, config).await?;
    kafka::check(config).await?;
    if arguments.dry_run {
        print(&plan, config);
        return Ok(());
    }
    plan::migrate(&plan, &mut database, config).await?;
    outbox::check(&database, config).await?;
    publication::apply(plan.publication.as_ref(), &database, config).await?;
    kafka::create_topics(config).await?;
    slot::apply(plan.slot.as_ref(), &database, config).await
}

/// What would be done, as SQL that can be run by hand.
fn print(plan: &Plan, config: &Config) {
    if plan.is_empty() {
        say("-- nothing to do in the database");
    }
    for sql in plan.statements() {
        say(sql);
        say("");
    }
    match config.outbox.topic.fixed() {
        Some(topic) if config.kafka.topics.create => {
            say(format!("-- topic {topic}: created if it does not exist"));
        }
        Some(topic) => say(format!(
            "-- topic {topic}: must exist (kafka.topics.create = false)"
        )),
        None if config.kafka.topics.create => {
            say(format!(
                "-- topics {}: created by the relay at their first event",
                config.outbox.topic
            ));
        }
        None => say(format!(
            "-- topics {}: must exist (kafka.topics.create = false)",
            config.outbox.topic
        )),
    }
}
