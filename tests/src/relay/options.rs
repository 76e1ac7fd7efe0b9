//! How the relay is configured: by the environment, as in a container.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::Result;

use crate::delivery::Delivery;

/// The settings of one relay. All relays with the same options share a slot.
#[derive(Debug, Clone, Default)]
pub struct RelayOptions {
    environment: BTreeMap<String, String>,
}

impl RelayOptions {
    /// A relay from `database_url` to `brokers`; `name` is its slot, its publication and the prefix of its topics, that of
    /// its checkpoints included. It delivers as the product does by default.
    pub fn new(database_url: &str, brokers: &str, name: &str) -> Self {
        Self::default()
            .with("CDC_POSTGRES__URL", database_url)
            .with("CDC_KAFKA__BROKERS", brokers)
            .with("CDC_KAFKA__TOPICS__PARTITIONS", "6")
            .with("CDC_RELAY__SLOT", name)
            .with("CDC_RELAY__PUBLICATION", name)
            .with("CDC_RELAY__CHECKPOINT_TOPIC", format!("{name}.checkpoint"))
            .with("CDC_OUTBOX__TOPIC", format!("{name}.${{routedByValue}}"))
    }

    /// Sets a variable such as `CDC_RELAY__WIRE_TIMEOUT`.
    #[must_use]
    pub fn with(mut self, variable: &str, value: impl Into<String>) -> Self {
        self.environment.insert(variable.to_owned(), value.into());
        self
    }

    /// Sets the guarantee.
    #[must_use]
    pub fn delivering(self, delivery: Delivery) -> Self {
        self.with("CDC_RELAY__DELIVERY", delivery.name())
    }

    pub(super) fn command(&self, arguments: &str) -> Result<Command> {
        let mut command = super::bare_command(arguments)?;
        command.envs(&self.environment);
        Ok(command)
    }
}
