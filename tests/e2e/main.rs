//! What the relay promises, shown on real servers.
//!
//! Tests that break servers have private ones. All that load the machine take turns (`heavy`), so that a deadline is not
//! missed because of another test.

mod availability;
mod checkpoints;
mod delivery;
mod exactly_once;
mod gaps;
mod heavy;
mod idle;
mod kafka_faults;
mod large_transactions;
mod messages;
mod metrics;
mod other_changes;
mod outlet;
mod positions;
mod postgres_faults;
mod relay_faults;
mod routing;
mod schema_changes;
mod shutdown;
mod slots;
mod takeover;
mod transactions;
mod values;
