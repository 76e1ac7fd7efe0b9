//! What the roles of this process say of themselves, together.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::relay_state::{RelayStates, Snapshot, Unwell};
use crate::role::{CollectSnapshot, CollectState, NotifySnapshot, NotifyState};

/// The roles that this process has; at least one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roles {
    pub(crate) relay: Option<RelayStates>,
    pub(crate) notify: Option<Arc<NotifyState>>,
    pub(crate) collect: Option<Arc<CollectState>>,
}

/// The body of `/status`: that of the relay, if there is one, and a member for each of the other roles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    pub(crate) relay: Option<Snapshot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) notify: Option<NotifySnapshot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recover: Option<CollectSnapshot>,
}

impl Roles {
    /// # Errors
    ///
    /// The first role that is not.
    pub(super) fn alive(&self) -> Result<(), Unwell> {
        self.relay.as_ref().map_or(Ok(()), RelayStates::alive)
    }

    /// # Errors
    ///
    /// The first role that is not.
    pub(super) fn ready(&self) -> Result<(), Unwell> {
        if let Some(relay) = &self.relay {
            relay.ready()?;
        }
        let unwell = |reason: String| Err(Unwell { reason });
        if let Some(notify) = &self.notify {
            match notify.snapshot() {
                None => return unwell("the notifier is starting".to_owned()),
                Some(now) if now.outage => {
                    return unwell("almost every webhook fails: an outage".to_owned());
                }
                Some(_) => {}
            }
        }
        match self
            .collect
            .as_ref()
            .and_then(|collect| collect.snapshot().trouble)
        {
            Some(trouble) => unwell(format!("the store takes no dead letters: {trouble}")),
            None => Ok(()),
        }
    }

    pub(super) fn observe(&self) {
        if let Some(relay) = &self.relay {
            relay.observe();
        }
    }

    pub(super) fn report(&self) -> Report {
        Report {
            relay: self.relay.as_ref().map(RelayStates::snapshot),
            notify: self.notify.as_ref().and_then(|notify| notify.snapshot()),
            recover: self.collect.as_ref().map(|collect| collect.snapshot()),
        }
    }
}
