//! Which rows and messages are events of this relay, and how they become records.

use std::collections::{HashMap, HashSet};

use cdc_outbox::{Encoder, Layout};
use pg_replication::pgoutput::{Message, Relation, Tuple, TupleValue};

use crate::config::{OutboxConfig, OutboxTable};
use crate::relay::error::RelayError;
use crate::shard::Shard;

/// The outbox as it is configured, and what the catalogue says of it.
#[derive(Debug)]
pub(in crate::relay) struct Contract {
    pub(in crate::relay) encoder: Encoder,
    pub(in crate::relay) config: OutboxConfig,
    /// Columns that cannot be NULL, by schema and table; looked up only when records carry schemas.
    pub(in crate::relay) not_null: HashMap<(String, String), HashSet<String>>,
    /// `None`: all keys are this relay's.
    pub(in crate::relay) shard: Option<Shard>,
}

impl Contract {
    /// No publication divides messages among the slots.
    pub(super) fn takes_message(&self, message: &Message) -> bool {
        self.shard.is_none_or(|shard| {
            let key = self.encoder.key_of_message(&message.content);
            shard.takes(&key.unwrap_or_default())
        })
    }

    /// A table that is read, rather than streamed, is read without the publication's row filter.
    pub(super) fn takes_row(&self, relation: &Relation, tuple: &Tuple) -> bool {
        self.shard.is_none_or(|shard| {
            let mut columns = relation.columns.iter().zip(tuple.iter());
            match columns.find(|(column, _)| column.name == self.config.key) {
                Some((_, TupleValue::Text(key) | TupleValue::Binary(key))) => shard.takes(key),
                _ => shard.takes(b""),
            }
        })
    }

    /// Whether the configuration names the table as an outbox.
    pub(super) fn names(&self, relation: &Relation) -> bool {
        let mut tables = self.config.tables.iter();
        tables.any(|table| table.is(&relation.namespace, &relation.name))
    }

    /// The outbox that a table, of which only this description is left, was a part of: of several it can't be told, and
    /// they differ in nothing but the name. `None` if it can't have been one, for its columns.
    pub(super) fn fitting(&self, relation: &Relation) -> Option<&OutboxTable> {
        let mut required = self.encoder.required_columns();
        let has = |name: &str| relation.columns.iter().any(|column| column.name == name);
        let fits = required.all(|(_, column)| has(column));
        self.config.tables.first().filter(|_| fits)
    }

    /// Whether the configuration names messages of this prefix as events.
    pub(super) fn names_prefix(&self, message: &Message) -> bool {
        let mut prefixes = self.config.message_prefixes.iter();
        prefixes.any(|prefix| prefix.as_bytes() == message.prefix)
    }

    pub(super) fn layout(&self, relation: &Relation) -> Result<Layout, RelayError> {
        let name = (relation.namespace.clone(), relation.name.clone());
        let layout = match self.not_null.get(&name) {
            Some(not_null) => self.encoder.layout_with(relation, not_null),
            None => self.encoder.layout(relation),
        };
        Ok(layout?)
    }
}
