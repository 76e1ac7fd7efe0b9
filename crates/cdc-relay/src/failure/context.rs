//! What was going on when a library gave up.

use crate::config::Config;

/// What the program did, for the messages about an error of a library.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The configuration in use.
    pub(crate) config: &'a Config,
    /// Verb and object, such as "create the replication slot".
    pub(crate) doing: &'static str,
}

impl<'a> Context<'a> {
    /// `doing` completes the sentence "could not …".
    pub(crate) fn new(config: &'a Config, doing: &'static str) -> Self {
        Self { config, doing }
    }

    /// The setting with the connection string.
    pub(super) fn setting(self) -> &'static str {
        self.config.postgres.setting()
    }

    /// The database, as `host:port/database as user`.
    pub(super) fn target(self) -> String {
        self.config.postgres.options().target()
    }

    /// The role.
    pub(super) fn role(self) -> String {
        self.config.postgres.options().user().to_owned()
    }

    /// The database's name.
    pub(super) fn database(self) -> String {
        self.config.postgres.options().database().to_owned()
    }
}
