//! What the relay promises, shown on real servers.
//!
//! Tests that break servers have private ones. All that load the machine take turns (`heavy`), so that a deadline is not
//! missed because of another test.

mod availability;
mod campaign;
mod checkpoints;
mod consumer_kills;
mod coupon;
mod delivery;
mod exactly_once;
mod failover_slots;
mod gaps;
mod guarded;
mod heavy;
mod idle;
mod kafka_faults;
mod kafka_security;
mod large_transactions;
mod leader_changes;
mod messages;
mod metrics;
mod order;
mod other_changes;
mod outlet;
mod partitioned;
mod poison;
mod positions;
mod postgres_faults;
mod postgres_tls;
mod recover;
mod relay_faults;
mod renewals;
mod routing;
mod schema_changes;
mod shards;
mod shutdown;
mod slots;
mod snapshot;
mod sns;
mod spring;
mod stories;
mod takeover;
mod transactions;
mod values;
mod versions;
mod webhooks;
