//! What a process can be besides a relay: the notifier, and the collector of dead letters.

pub(crate) mod collect;
mod group;
pub(crate) mod lanes;
pub(crate) mod notify;
mod order;
mod redirect;
mod state;

pub(crate) use group::{GroupPlan, collected};
pub(crate) use state::{CollectSnapshot, CollectState, NotifySnapshot, NotifyState};
