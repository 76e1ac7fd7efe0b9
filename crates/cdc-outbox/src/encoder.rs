//! From rows and messages to the parts of records.

use std::borrow::Cow;
use std::collections::HashSet;

use pg_replication::PgTimestamp;
use pg_replication::pgoutput::{Relation, Tuple};

use crate::cloud_events::Attributes;
use crate::event::{Event, Header, Headers, Notices, UnixMillis};
use crate::headers;
use crate::invalid_row::InvalidRow;
use crate::layout::{Layout, UnsuitableTable};
use crate::message::Members;
use crate::payload;
use crate::routing::{Route, Router};
use crate::row::Row;
use crate::settings::{Converter, EnvelopeFormat, InvalidSettings, OutboxSettings, Target};
use crate::trace_context::{TRACEPARENT, TRACESTATE, is_traceparent, is_tracestate};
use crate::value::schema::OPTIONAL_STRING;
use crate::value::{Field, Value, encode, encode_header};

/// Makes records of rows and messages.
///
/// It remembers the topics of routing values, a bounded number of them, and nothing else from one row to the next.
#[derive(Debug)]
pub struct Encoder {
    settings: OutboxSettings,
    router: Router,
}

impl Encoder {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`] if they contradict each other.
    pub fn new(settings: OutboxSettings) -> Result<Self, InvalidSettings> {
        settings.validate()?;
        let router = Router::new(
            settings.route_regex.clone(),
            settings.topic.clone(),
            settings.illegal_topic,
        );
        Ok(Self { settings, router })
    }

    /// What it was made with.
    #[must_use]
    pub const fn settings(&self) -> &OutboxSettings {
        &self.settings
    }

    /// As [`OutboxSettings::required_columns`].
    pub fn required_columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.settings.required_columns()
    }

    /// Whether records carry schemas, which say what may be NULL: see [`layout_with`](Self::layout_with).
    #[must_use]
    pub fn writes_schemas(&self) -> bool {
        let settings = &self.settings;
        [
            settings.key_format,
            settings.value_format,
            settings.header_format,
        ]
        .contains(&Converter::JsonSchema)
    }

    /// The layout of a table, at each of its Relation messages. Columns of its primary key are taken for those that
    /// cannot be NULL: the stream knows of no others.
    ///
    /// # Errors
    ///
    /// [`UnsuitableTable`] if a column is missing or of a type that the settings cannot use.
    pub fn layout(&self, relation: &Relation) -> Result<Layout, UnsuitableTable> {
        self.layout_with(relation, &HashSet::new())
    }

    /// As [`layout`](Self::layout), with the columns that the catalogue has as `NOT NULL`.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn layout_with(
        &self,
        relation: &Relation,
        not_null: &HashSet<String>,
    ) -> Result<Layout, UnsuitableTable> {
        Layout::of(relation, &self.settings, not_null)
    }

    /// The record of a row. With the default settings it costs no allocation.
    ///
    /// # Errors
    ///
    /// [`InvalidRow`] if it is not an event.
    pub fn row<'a>(
        &'a mut self,
        layout: &'a Layout,
        tuple: &'a Tuple,
        committed_at: Option<PgTimestamp>,
    ) -> Result<Event<'a>, InvalidRow> {
        let (row, route) = layout.read(tuple)?;
        let route = self.router.route(route).map_err(InvalidRow::IllegalTopic)?;
        assemble(&self.settings, row, route, committed_at)
    }

    /// The record of a logical message's content: a JSON object with the names of the columns as members.
    ///
    /// # Errors
    ///
    /// [`InvalidRow`] if it is not an event.
    pub fn message<'a>(
        &'a mut self,
        content: &'a [u8],
        committed_at: Option<PgTimestamp>,
    ) -> Result<Event<'a>, InvalidRow> {
        let (row, route) = Members::parse(content)?.read(&self.settings)?;
        let route = self
            .router
            .route(&route)
            .map_err(InvalidRow::IllegalTopic)?;
        assemble(&self.settings, row, route, committed_at)
    }

    /// The text of a logical message's key, in whatever format the record has it; `None` for one without a key, or
    /// that is no event.
    #[must_use]
    pub fn key_of_message<'a>(&self, content: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let key = Members::parse(content).ok()?.key(&self.settings).ok()?;
        encode(key, Converter::Plain)
    }
}

fn assemble<'a>(
    settings: &'a OutboxSettings,
    mut row: Row<'a>,
    route: &'a Route,
    committed_at: Option<PgTimestamp>,
) -> Result<Event<'a>, InvalidRow> {
    let mut notices = Notices::default();
    let value = payload::value(settings, &route.value, &mut row, &mut notices);
    let id = encode(row.id.clone(), Converter::Plain)
        .filter(|id| !id.is_empty())
        .ok_or(InvalidRow::NoId)?;
    let mut headers = Headers::new();
    headers.push(Header {
        name: Cow::Borrowed("id"),
        value: encode_header(row.id, settings.header_format),
    });
    for placed in row.placed {
        if placed.target == Target::Header {
            headers.push(Header {
                name: Cow::Borrowed(placed.alias),
                value: encode_header(placed.field, settings.header_format),
            });
        }
    }
    let mut trace = Trace {
        parent: row.traceparent,
        state: row.tracestate,
    };
    if let Some(text) = row.headers {
        push_column(text, settings.header_format, &mut trace, &mut headers)?;
    }
    notices.invalid_trace_context = trace.push(&mut headers);
    let commit_micros = committed_at.map(PgTimestamp::to_unix_micros);
    if let EnvelopeFormat::CloudEvents(cloud_events) = &settings.format {
        let event_type = row.event_type.filter(|name| !name.is_empty());
        let attributes = Attributes {
            id: id.clone(),
            event_type: event_type.ok_or(InvalidRow::NoType)?,
            source: row.origin.source,
            time: row.time.or(commit_micros),
            subject: match &row.key.value {
                Value::Bytes(_) => None,
                _ => encode(row.key.clone(), Converter::Plain),
            },
            media: value.is_some().then_some(row.media),
        };
        attributes.write(cloud_events, &mut headers);
    }
    Ok(Event {
        id,
        topic: &route.topic,
        route: &route.value,
        partition: row.partition,
        key: encode(row.key, settings.key_format),
        value,
        headers,
        timestamp: row
            .time
            .or(commit_micros)
            .map(|micros| UnixMillis(micros.div_euclid(1000)))
            .filter(|time| time.0 > 0),
        notices,
    })
}

/// Appends the members of the headers column; those of tracing only if nothing else has them.
fn push_column<'a>(
    text: &[u8],
    converter: Converter,
    trace: &mut Trace<'a>,
    headers: &mut Headers<'a>,
) -> Result<(), InvalidRow> {
    for (name, value) in headers::parse(text)? {
        let value = value.map(|text| Cow::Owned(text.into_bytes()));
        match name.as_str() {
            TRACEPARENT => trace.parent = trace.parent.take().or(value),
            TRACESTATE => trace.state = trace.state.take().or(value),
            _ => headers.push(Header {
                name: Cow::Owned(name),
                value: encode_header(
                    Field {
                        value: value.map_or(Value::Null, Value::Text),
                        schema: &OPTIONAL_STRING,
                    },
                    converter,
                ),
            }),
        }
    }
    Ok(())
}

/// The trace context of an event, not checked yet.
struct Trace<'a> {
    parent: Option<Cow<'a, [u8]>>,
    state: Option<Cow<'a, [u8]>>,
}

impl<'a> Trace<'a> {
    /// Appends what is valid; a state without its parent is not. True if something was left out.
    fn push(self, headers: &mut Headers<'a>) -> bool {
        // The placement list has the first word.
        if headers.iter().any(|header| header.name == TRACEPARENT) {
            return false;
        }
        let is_given = self.parent.is_some() || self.state.is_some();
        let Some(parent) = self.parent.filter(|parent| is_traceparent(parent)) else {
            return is_given;
        };
        let mut push = |name, value| {
            headers.push(Header {
                name: Cow::Borrowed(name),
                value: Some(value),
            });
        };
        push(TRACEPARENT, parent);
        match self.state {
            Some(state) if is_tracestate(&state) => push(TRACESTATE, state),
            Some(_) => return true,
            None => {}
        }
        false
    }
}

#[cfg(test)]
mod tests;
