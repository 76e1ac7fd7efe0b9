//! The attributes of a `CloudEvents` event in binary mode, as headers.

use std::borrow::Cow;

use crate::event::{Header, Headers};
use crate::settings::CloudEvents;
use crate::value::{UnixMicros, iso_timestamp};

const SPECVERSION: &str = "ce_specversion";
const ID: &str = "ce_id";
const SOURCE: &str = "ce_source";
const TYPE: &str = "ce_type";
const TIME: &str = "ce_time";
const SUBJECT: &str = "ce_subject";
const CONTENT_TYPE: &str = "content-type";

/// Whether a header of this name is written by this module.
pub(crate) fn is_own(name: &str) -> bool {
    [SPECVERSION, ID, SOURCE, TYPE, TIME, SUBJECT, CONTENT_TYPE].contains(&name)
}

/// What the payload is, for `content-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Text,
    Bytes,
}

/// What an event has to say about itself.
pub(crate) struct Attributes<'a> {
    pub(crate) id: Cow<'a, [u8]>,
    pub(crate) event_type: Cow<'a, str>,
    /// Where it comes from, if the settings do not say it.
    pub(crate) source: &'a str,
    pub(crate) time: Option<UnixMicros>,
    /// The key as text.
    pub(crate) subject: Option<Cow<'a, [u8]>>,
    /// `None` if there is no value.
    pub(crate) media: Option<Media>,
}

impl<'a> Attributes<'a> {
    /// Appends the headers. They are UTF-8 as they are, whatever the format of other headers.
    pub(crate) fn write(self, settings: &'a CloudEvents, headers: &mut Headers<'a>) {
        let mut push = |name, value| {
            headers.push(Header {
                name: Cow::Borrowed(name),
                value: Some(value),
            });
        };
        let source = settings.source.as_deref().unwrap_or(self.source);
        push(SPECVERSION, Cow::Borrowed(&b"1.0"[..]));
        push(ID, self.id);
        push(SOURCE, Cow::Borrowed(source.as_bytes()));
        push(
            TYPE,
            match self.event_type {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            },
        );
        if let Some(time) = self.time {
            push(TIME, Cow::Owned(iso_timestamp(time, 6).into_bytes()));
        }
        if let Some(subject) = self.subject.filter(|subject| !subject.is_empty()) {
            push(SUBJECT, subject);
        }
        if let Some(media) = self.media {
            let content_type = settings.content_type.as_deref().unwrap_or(match media {
                Media::Json => "application/json",
                Media::Text => "text/plain; charset=utf-8",
                Media::Bytes => "application/octet-stream",
            });
            push(CONTENT_TYPE, Cow::Borrowed(content_type.as_bytes()));
        }
    }
}
