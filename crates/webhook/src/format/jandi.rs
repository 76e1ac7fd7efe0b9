//! JANDI's incoming webhooks: `body` with a link in its own markup, and attachments.

use serde::Serialize;

use super::FormatError;
use super::card::Card;
use super::fit::{AS_IT_IS, Escape, fit};
use crate::message::Message;

/// JANDI takes nothing without it.
pub(super) const ACCEPT: &str = "application/vnd.tosslab.jandi-v2+json";

const COLOR: &str = "#FAC11B";

// JANDI publishes no limits; these are what a person reads in a chat.
const MAX_TITLE: usize = 500;
const MAX_TEXT: usize = 4000;

/// Brackets would end the text of a link.
const BRACKETS: Escape = |char| match char {
    '[' => Some("("),
    ']' => Some(")"),
    _ => None,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Post<'a> {
    body: String,
    connect_color: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_info: Option<[Info<'a>; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_url: Option<String>,
}

pub(super) fn write(message: &Message<'_>) -> Result<Vec<u8>, FormatError> {
    let card = Card::of(message)?;
    let body = match card.link {
        Some(link) => format!("[[{}]]({link})", fit(&card.title, MAX_TITLE, BRACKETS)),
        None => fit(&card.title, MAX_TITLE, AS_IT_IS),
    };
    let info = Info {
        title: message.kind,
        description: card.text.map(|text| fit(&text, MAX_TEXT, AS_IT_IS)),
        image_url: card.image,
    };
    let post = Post {
        body,
        connect_color: card.color.as_deref().unwrap_or(COLOR),
        connect_info: (info.description.is_some() || info.image_url.is_some()).then_some([info]),
    };
    Ok(super::data::to_json(&post))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn post(data: &str) -> String {
        let message = Message {
            id: "1",
            kind: "post.created",
            timestamp: SystemTime::now(),
            source: "/",
            subject: None,
            data: data.as_bytes(),
        };
        String::from_utf8(write(&message).unwrap()).unwrap()
    }

    #[test]
    fn is_what_jandi_documents() {
        assert_eq!(
            post(
                r#"{"title":"Pizza [new]","text":"Pepperoni","url":"http://example.com/7","imageUrl":"http://example.com/7.png"}"#
            ),
            r##"{"body":"[[Pizza (new)]](http://example.com/7)","connectColor":"#FAC11B","connectInfo":[{"title":"post.created","description":"Pepperoni","imageUrl":"http://example.com/7.png"}]}"##
        );
        assert_eq!(
            post(r##"{"title":"[x]","color":"#123456"}"##),
            r##"{"body":"[x]","connectColor":"#123456"}"##
        );
    }

    #[test]
    fn cuts_what_is_too_long_to_read() {
        let text = post(&format!(
            r#"{{"title":"{0}","text":"{0}"}}"#,
            "안".repeat(9000)
        ));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let count = |text: &serde_json::Value| text.as_str().unwrap().chars().count();
        assert_eq!(count(&value["body"]), MAX_TITLE);
        assert_eq!(count(&value["connectInfo"][0]["description"]), MAX_TEXT);
    }
}
