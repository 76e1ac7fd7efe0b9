//! The key of an outbox table as the row filter of a shard sees it.

use std::collections::HashMap;

use crate::config::{Config, OutboxTable, quote_identifier};
use crate::database::Database;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::shard::{Shard, Shards};

/// For each table, by its quoted name, an SQL expression for the text of its key. Empty when there are no shards.
#[derive(Debug, Default)]
pub(in crate::command) struct Keys(HashMap<String, String>);

impl Keys {
    /// Looks at the tables. One that is not there yet is `cdc.outbox`, whose key is a text.
    ///
    /// # Errors
    ///
    /// The key is of a type that a row filter cannot turn into text.
    pub(in crate::command) async fn look(
        database: &Database,
        config: &Config,
    ) -> Result<Self, Failure> {
        let mut keys = HashMap::new();
        if config.relay.shards == Shards::ONE {
            return Ok(Self(keys));
        }
        let column = &config.outbox.key;
        for table in &config.outbox.tables {
            let shape = database.outbox(table, config).await?;
            let type_name = match shape.as_ref().and_then(|shape| shape.column(column)) {
                Some(found) => found.type_name.as_str(),
                None => "text",
            };
            let text = text_of(&quote_identifier(column), type_name)
                .ok_or_else(|| unsuitable(table, column, type_name))?;
            keys.insert(table.quoted(), text);
        }
        Ok(Self(keys))
    }

    /// The table as a publication has it: only with the rows of `shard`, if it is one of several.
    pub(super) fn published(&self, table: &OutboxTable, shard: Option<Shard>) -> String {
        let quoted = table.quoted();
        match (shard, self.0.get(&quoted)) {
            (Some(shard), Some(key)) => format!("{quoted} WHERE ({})", shard.condition(key)),
            _ => quoted,
        }
    }
}

/// Row filters have no casts to text by a type's output function, but may call it. Only those types are here whose
/// output depends on nothing else.
fn text_of(column: &str, type_name: &str) -> Option<String> {
    let output = match type_name {
        "text" | "character varying" => return Some(column.to_owned()),
        "character" => "bpcharout",
        "uuid" => "uuid_out",
        "smallint" => "int2out",
        "integer" => "int4out",
        "bigint" => "int8out",
        "numeric" => "numeric_out",
        _ => return None,
    };
    Some(format!("pg_catalog.textin(pg_catalog.{output}({column}))"))
}

fn unsuitable(table: &OutboxTable, column: &str, type_name: &str) -> Failure {
    Failure::new(
        ErrorCode::InvalidValue,
        format!(
            "`relay.shards` must be 1 while the key {column:?} of {table} (`outbox.key`) is of type {type_name}: a row \
             filter cannot divide the table by it"
        ),
        "make the column text, varchar, char, uuid, numeric or an integer, or set `relay.shards = 1`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_whose_text_is_not_fixed_is_refused() {
        for type_name in ["bytea", "timestamp with time zone", "shop.kind", "jsonb"] {
            assert_eq!(text_of("k", type_name), None, "{type_name}");
        }
        assert_eq!(text_of("k", "text").as_deref(), Some("k"));
    }
}
