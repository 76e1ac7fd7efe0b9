//! Where the contract's columns stand in a table, by name, from its latest Relation message: columns may be reordered,
//! added and dropped while the stream runs.

mod slot;
mod table;

use std::borrow::Cow;
use std::collections::HashSet;

use pg_replication::pgoutput::{Relation, Tuple};

use crate::invalid_row::InvalidRow;
use crate::row::{Origin, Row, number, partition};
use crate::settings::OutboxSettings;
use crate::trace_context::{TRACEPARENT, TRACESTATE};
use crate::value::Handling;

use self::slot::{PlacedColumn, Slot, bytes};
use self::table::{Table, is_integer, is_time};

pub use self::table::UnsuitableTable;

/// The columns of one outbox table. Valid until the table's next Relation message.
#[derive(Debug)]
pub struct Layout {
    table: String,
    source: String,
    schema_name: String,
    columns: usize,
    id: Slot,
    key: Slot,
    payload: Slot,
    timestamp: Option<Slot>,
    /// Where the contract's columns stand, from the first to the last.
    roles: Vec<(usize, Role)>,
    placed: Vec<PlacedColumn>,
}

/// What a column is in the contract; one column may be more than one thing, such as both id and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Id,
    Route,
    Key,
    Payload,
    EventType,
    Timestamp,
    Headers,
    Traceparent,
    Tracestate,
    SchemaVersion,
    Partition,
}

/// How many roles there are.
const ROLES: usize = Role::Partition as usize + 1;

/// The text of each role's column in one row.
struct Texts<'a>([Option<&'a [u8]>; ROLES]);

impl Layout {
    /// `not_null` are the columns that cannot be NULL, as far as known.
    pub(crate) fn of(
        relation: &Relation,
        settings: &OutboxSettings,
        not_null: &HashSet<String>,
    ) -> Result<Self, UnsuitableTable> {
        let table = Table {
            relation,
            name: format!("{}.{}", relation.namespace, relation.name),
            handling: Handling {
                binary: settings.binary,
                decimal: settings.decimal,
            },
            not_null,
        };
        for (option, column) in settings.required_columns() {
            table.need(option, column)?;
        }
        let columns = &settings.columns;
        let find = |column: &Option<String>| column.as_ref().and_then(|name| table.find(name));
        let prefix = match settings.schema_prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}."),
        };
        let id = table.need_slot("id", &columns.id)?;
        let key = table.need_slot("key", &columns.key)?;
        let payload = table.need_slot("payload", &columns.payload)?;
        let timestamp = match &columns.timestamp {
            Some(column) => Some(table.need_type(
                "timestamp",
                column,
                "a timestamp, a date or an integer of milliseconds",
                is_time,
            )?),
            None => None,
        };
        let schema_version = match &columns.schema_version {
            Some(column) => {
                Some(table.need_type("schema_version", column, "an integer", is_integer)?)
            }
            None => None,
        };
        let traceparent = table.trace(columns.traceparent.as_deref(), TRACEPARENT, settings);
        let tracestate = table.trace(columns.tracestate.as_deref(), TRACESTATE, settings);
        let mut roles: Vec<(usize, Role)> = [
            (Some(id.index), Role::Id),
            (table.find(&columns.route_by), Role::Route),
            (Some(key.index), Role::Key),
            (Some(payload.index), Role::Payload),
            (table.find(&columns.event_type), Role::EventType),
            (timestamp.as_ref().map(|slot| slot.index), Role::Timestamp),
            (find(&columns.headers), Role::Headers),
            (traceparent, Role::Traceparent),
            (tracestate, Role::Tracestate),
            (schema_version.map(|slot| slot.index), Role::SchemaVersion),
            (table.partition(settings)?, Role::Partition),
        ]
        .into_iter()
        .filter_map(|(index, role)| Some((index?, role)))
        .collect();
        roles.sort_unstable();
        Ok(Self {
            source: format!("/{}/{}", relation.namespace, relation.name),
            schema_name: format!("{prefix}{}", table.name),
            columns: relation.columns.len(),
            id,
            key,
            payload,
            timestamp,
            roles,
            placed: table.placed(settings)?,
            table: table.name,
        })
    }

    /// The table's schema and name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The contract's columns of one row, and the text of its routing column.
    pub(crate) fn read<'a>(&'a self, tuple: &'a Tuple) -> Result<(Row<'a>, &'a str), InvalidRow> {
        if tuple.len() != self.columns {
            return Err(InvalidRow::ColumnCount {
                expected: self.columns,
                found: tuple.len(),
            });
        }
        let texts = self.texts(tuple)?;
        let route = texts.get(Role::Route).ok_or(InvalidRow::NoRoute)?;
        let route = std::str::from_utf8(route).map_err(|_| InvalidRow::RouteNotText)?;
        let row = Row {
            id: self.id.read(texts.get(Role::Id))?,
            key: self.key.read(texts.get(Role::Key))?,
            payload: self.payload.read(texts.get(Role::Payload))?,
            media: self.payload.media(),
            // Needed by some formats only, so that a text in another encoding is no fault yet.
            event_type: texts
                .get(Role::EventType)
                .and_then(|text| std::str::from_utf8(text).ok())
                .map(Cow::Borrowed),
            time: match (&self.timestamp, texts.get(Role::Timestamp)) {
                (Some(slot), Some(text)) => Some(slot.time(text)?),
                _ => None,
            },
            headers: texts.get(Role::Headers),
            traceparent: texts.get(Role::Traceparent).map(Cow::Borrowed),
            tracestate: texts.get(Role::Tracestate).map(Cow::Borrowed),
            placed: self
                .placed
                .iter()
                .map(|column| column.read(tuple))
                .collect::<Result<_, _>>()?,
            partition: texts.get(Role::Partition).map(partition).transpose()?,
            schema_version: texts.get(Role::SchemaVersion).and_then(number),
            origin: Origin {
                source: &self.source,
                schema_name: Some((&self.schema_name, "Value")),
            },
        };
        Ok((row, route))
    }

    /// One pass over the tuple, up to the last column that is used: looking columns up singly would walk over it for
    /// each.
    fn texts<'a>(&self, tuple: &'a Tuple) -> Result<Texts<'a>, InvalidRow> {
        let mut texts = [None; ROLES];
        let mut values = tuple.iter().enumerate();
        let mut here = None;
        for &(index, role) in &self.roles {
            while here.is_none_or(|(at, _)| at < index) {
                here = Some(values.next().ok_or(InvalidRow::ValueLeftOut)?);
            }
            if let Some((_, value)) = here {
                texts[role as usize] = bytes(value)?;
            }
        }
        Ok(Texts(texts))
    }
}

impl<'a> Texts<'a> {
    const fn get(&self, role: Role) -> Option<&'a [u8]> {
        self.0[role as usize]
    }
}
