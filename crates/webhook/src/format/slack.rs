//! Slack's incoming webhooks.

use serde::Serialize;

use super::FormatError;
use super::card::Card;
use super::fit::{Escape, fit};
use crate::message::Message;

/// Slack cuts messages at this length, in the middle of an entity if need be.
const MAX_MESSAGE: usize = 40_000;
const MAX_TITLE: usize = 3000;

/// The three characters that Slack's markup is made of; with them, nobody can be notified by an event's words
/// (`<!channel>`).
const MARKUP: Escape = |char| match char {
    '&' => Some("&amp;"),
    '<' => Some("&lt;"),
    '>' => Some("&gt;"),
    _ => None,
};

#[derive(Serialize)]
struct Post {
    text: String,
}

pub(super) fn write(message: &Message<'_>) -> Result<Vec<u8>, FormatError> {
    let card = Card::of(message)?;
    let title = fit(&card.title, MAX_TITLE, MARKUP);
    let mut text = match &card.link {
        Some(link) => format!("*<{}|{title}>*", link.replace('&', "&amp;")),
        None => format!("*{title}*"),
    };
    let image = card
        .image
        .map(|image| format!("\n{}", image.replace('&', "&amp;")))
        .unwrap_or_default();
    if let Some(words) = card.text {
        let left = MAX_MESSAGE.saturating_sub(text.len() + image.len() + 1);
        text.push('\n');
        text.push_str(&fit(&words, left, MARKUP));
    }
    text.push_str(&image);
    Ok(super::data::to_json(&Post { text }))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn text(data: &str) -> String {
        let message = Message {
            id: "1",
            kind: "post.created",
            timestamp: SystemTime::now(),
            source: "/",
            subject: None,
            data: data.as_bytes(),
        };
        let value: serde_json::Value = serde_json::from_slice(&write(&message).unwrap()).unwrap();
        value["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn escapes_what_slack_would_take_for_markup() {
        assert_eq!(
            text(
                r#"{"title":"a<b & c>d","text":"<!channel> & co","url":"https://example.com/?a=1&b=<x>","image":"https://example.com/p?a&b"}"#
            ),
            "*<https://example.com/?a=1&amp;b=%3Cx%3E|a&lt;b &amp; c&gt;d>*\n&lt;!channel&gt; &amp; co\nhttps://example.com/p?a&amp;b"
        );
    }

    #[test]
    fn stays_within_what_slack_shows() {
        let long = text(&format!(
            r#"{{"title":"{0}","text":"{0}","image":"https://example.com/x"}}"#,
            "&".repeat(50_000)
        ));
        assert!(long.len() <= MAX_MESSAGE + 6, "{}", long.len());
        assert!(long.ends_with("&amp;…\nhttps://example.com/x"));
    }
}
