//! Discord's webhooks.

use serde::Serialize;

use super::FormatError;
use super::card::Card;
use super::fit::{AS_IT_IS, fit};
use crate::message::Message;

/// Discord refuses longer messages.
const MAX_MESSAGE: usize = 2000;
const MAX_TITLE: usize = 256;

#[derive(Serialize)]
struct Post {
    content: String,
    allowed_mentions: Mentions,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeds: Option<[Embed; 1]>,
}

/// Nobody is notified by an event's words (`@everyone`).
#[derive(Serialize)]
struct Mentions {
    parse: [(); 0],
}

#[derive(Serialize)]
struct Embed {
    image: Image,
}

#[derive(Serialize)]
struct Image {
    url: String,
}

pub(super) fn write(message: &Message<'_>) -> Result<Vec<u8>, FormatError> {
    let card = Card::of(message)?;
    let mut content = format!("**{}**", fit(&card.title, MAX_TITLE, AS_IT_IS));
    // A link that does not fit whole is left out: a cut one leads elsewhere.
    let link = card
        .link
        .filter(|link| link.len() < MAX_MESSAGE / 2)
        .map(|link| format!("\n{link}"))
        .unwrap_or_default();
    if let Some(text) = card.text {
        let used = content.encode_utf16().count() + link.len() + 1;
        content.push('\n');
        content.push_str(&fit(&text, MAX_MESSAGE.saturating_sub(used), AS_IT_IS));
    }
    content.push_str(&link);
    let embeds = card.image.map(|url| {
        [Embed {
            image: Image { url },
        }]
    });
    Ok(super::data::to_json(&Post {
        content,
        allowed_mentions: Mentions { parse: [] },
        embeds,
    }))
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
    fn says_it_without_notifying_anybody() {
        assert_eq!(
            post(
                r#"{"title":"New","text":"@everyone look","url":"https://example.com/7","image":"https://example.com/7.png"}"#
            ),
            r#"{"content":"**New**\n@everyone look\nhttps://example.com/7","allowed_mentions":{"parse":[]},"embeds":[{"image":{"url":"https://example.com/7.png"}}]}"#
        );
    }

    #[test]
    fn stays_within_what_discord_takes() {
        for (title, text) in [("a", "😀"), ("😀", "a"), ("안", "안")] {
            let (title, text) = (title.repeat(3000), text.repeat(3000));
            let data = format!(
                r#"{{"title":"{title}","text":"{text}","url":"https://example.com/{}"}}"#,
                "x".repeat(900)
            );
            let value: serde_json::Value = serde_json::from_str(&post(&data)).unwrap();
            let units = value["content"].as_str().unwrap().encode_utf16().count();
            assert!((MAX_MESSAGE - 1..=MAX_MESSAGE).contains(&units), "{units}");
        }
    }
}
