//! `cdc-relay init`.
//!
//! The order matters: everything is looked at before anything is changed; the publication comes before the slot,
//! since a slot reads each change with the publications of that moment; the slot comes last, since from then on
//! the server keeps log for it.

mod kafka;
mod key;
mod outbox;
mod plan;
mod publication;
mod schema;
mod slot;
mod store;
mod stream;

use crate::cli::Init;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::terminal::say;

pub(super) use stream::StreamPlan;

use plan::Plan;
use store::Store;

pub(super) use kafka::{checkpoint_topic, missing_checkpoint_topic};
pub(super) use key::Keys;
pub(super) use outbox::{missing_column, missing_table};

/// Prepares the database, or with `--dry-run` prints what that would do.
pub(super) async fn run(arguments: &Init, config: &Config) -> Result<(), Failure> {
    let mut database = Database::connect(config).await?;
    let plan = Plan::make(&database, config).await?;
    let mut store = Store::look(&plan, config).await?;
    kafka::check(config).await?;
    if arguments.dry_run {
        print(&plan, &store, config);
        return Ok(());
    }
    plan.schema.apply(&mut database, config).await?;
    store.apply().await?;
    outbox::check(&database, config).await?;
    for stream in &plan.streams {
        stream.make_publication(&database).await?;
    }
    kafka::create_topics(config).await?;
    for stream in &plan.streams {
        stream.make_slot(&database).await?;
    }
    Ok(())
}

/// What would be done, as SQL that can be run by hand.
fn print(plan: &Plan, store: &Store, config: &Config) {
    let (outbox, streaming, store) = (
        plan.schema.statements(),
        plan.streaming(),
        store.statements(),
    );
    let statements = if config.postgres.has_store_url() {
        [outbox, streaming, store].concat()
    } else {
        [outbox, store, streaming].concat()
    };
    if statements.is_empty() {
        say("-- nothing to do in the database");
    }
    for sql in statements {
        say(sql);
        say("");
    }
    for topic in kafka::plan(config) {
        say(topic);
    }
}
