//! What chat services are told: a title, a text, a link, an image.

use std::borrow::Cow;

use serde_json::value::RawValue;
use url::Url;

use super::FormatError;
use super::data::{Data, member, text};
use crate::message::Message;

const TEXTS: [&str; 5] = ["text", "body", "content", "description", "message"];
const LINKS: [&str; 2] = ["url", "link"];
const IMAGES: [&str; 3] = ["imageUrl", "image_url", "image"];

const MAX_LINK_BYTES: usize = 2000;

/// An event as a person would read it.
pub(super) struct Card<'a> {
    /// `title` of the data, or the event's type. On one line.
    pub(super) title: String,
    /// `text`, `body`, `content`, `description` or `message` of the data; the data itself if it has no title either.
    pub(super) text: Option<Cow<'a, str>>,
    /// `url` or `link` of the data, if it is an `http` or `https` one.
    pub(super) link: Option<String>,
    /// `imageUrl`, `image_url` or `image` of the data, likewise.
    pub(super) image: Option<String>,
    /// `color` of the data, if it is `#` and six hexadecimal digits.
    pub(super) color: Option<Cow<'a, str>>,
}

impl<'a> Card<'a> {
    pub(super) fn of(message: &Message<'a>) -> Result<Self, FormatError> {
        let Data::Json(json) = Data::of(message.data) else {
            return Err(FormatError::NotJson);
        };
        let title = first(json, &["title"]);
        let words = first(json, &TEXTS).or_else(|| if title.is_none() { text(json) } else { None });
        Ok(Self {
            title: title
                .unwrap_or(message.kind.into())
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            text: words,
            link: first(json, &LINKS).and_then(|url| web(&url)),
            image: first(json, &IMAGES).and_then(|url| web(&url)),
            color: first(json, &["color"]).filter(|color| is_color(color)),
        })
    }
}

/// The first of the members that is there and not empty.
fn first<'a>(json: &'a RawValue, names: &[&str]) -> Option<Cow<'a, str>> {
    names
        .iter()
        .find_map(|name| text(member(json, name)?).filter(|text| !text.trim().is_empty()))
}

/// A link of the web, without the characters that chat services end a link at.
fn web(text: &str) -> Option<String> {
    let url = Url::parse(text.trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))?;
    if url.as_str().len() > MAX_LINK_BYTES {
        return None;
    }
    Some(
        url.as_str()
            .replace('|', "%7C")
            .replace('(', "%28")
            .replace(')', "%29")
            .replace('>', "%3E"),
    )
}

fn is_color(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|digits| {
        digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn card(data: &str) -> Card<'_> {
        let message = Message {
            id: "1",
            kind: "post.created",
            timestamp: SystemTime::now(),
            source: "/",
            subject: None,
            data: data.as_bytes(),
        };
        Card::of(&message).unwrap()
    }

    #[test]
    fn takes_the_fields_that_people_use() {
        let card = card(
            r##"{"title":" A\n new  post ","content":"Words","link":"https://example.com/a b|(c)","image":"http://example.com/x.png","color":"#00ff7F"}"##,
        );
        assert_eq!(card.title, "A new post");
        assert_eq!(card.text.unwrap(), "Words");
        assert_eq!(card.link.unwrap(), "https://example.com/a%20b%7C%28c%29");
        assert_eq!(card.image.unwrap(), "http://example.com/x.png");
        assert_eq!(card.color.unwrap(), "#00ff7F");
    }

    #[test]
    fn is_never_empty() {
        let of_fields = card(r#"{"post_id":7}"#);
        assert_eq!(
            (&*of_fields.title, &*of_fields.text.unwrap()),
            ("post.created", r#"{"post_id":7}"#)
        );
        let of_a_string = card(r#""it is late""#);
        assert_eq!(
            (&*of_a_string.title, &*of_a_string.text.unwrap()),
            ("post.created", "it is late")
        );
        assert!(card(r#"{"title":"only that"}"#).text.is_none());
    }

    #[test]
    fn passes_over_links_and_colours_that_are_none() {
        let card =
            card(r#"{"title":"x","url":"javascript:alert(1)","image":"x.png","color":"red"}"#);
        assert!(card.link.is_none() && card.image.is_none() && card.color.is_none());
    }

    #[test]
    fn refuses_data_that_is_no_json() {
        for data in [&b""[..], b"{", b"\xff"] {
            let message = Message {
                id: "1",
                kind: "x",
                timestamp: SystemTime::now(),
                source: "/",
                subject: None,
                data,
            };
            assert_eq!(Card::of(&message).err(), Some(FormatError::NotJson));
        }
    }
}
