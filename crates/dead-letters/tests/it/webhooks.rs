//! Alerts arrive at a real receiver, in the words of its service.

use std::time::{Duration, SystemTime};

use dead_letters::{Alert, AlertSink, WebhookSink};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use webhook::{Client, Format, Guard, GuardSettings, Settings};

fn alert() -> Alert {
    Alert {
        fingerprint: "0123456789abcdef".into(),
        scope: "billing".into(),
        topic: Some("orders".into()),
        code: "webhook-status".into(),
        message: "the endpoint answered <500>".into(),
        causes: vec!["the answer was late\nby a minute".into()],
        backtrace: Some("0: somewhere".into()),
        failures: 3,
        open: 5,
        last_event: 17,
        last_failed_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        window: Duration::from_secs(900),
    }
}

fn sink(url: &str, format: Format) -> WebhookSink {
    let guard = Guard::new(GuardSettings {
        allow: vec!["127.0.0.1".parse().unwrap()],
        ..GuardSettings::default()
    });
    let client = Client::new(Settings {
        guard,
        ..Settings::default()
    });
    WebhookSink::new(client.unwrap(), url, format).unwrap()
}

/// Sends to a receiver that answers with `status`; what came of it, and what the receiver read.
async fn sent(format: Format, status: u16) -> (Result<(), String>, String, Value) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/T000/secret", listener.local_addr().unwrap());
    let mut receiver = JoinSet::new();
    receiver.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = request(&mut stream).await;
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    });
    let sink = sink(&url, format);
    assert!(!format!("{sink:?}").contains("secret"), "{sink:?}");
    let result = sink.send(&alert()).await.map_err(|error| {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("secret"), "{text}");
        error.to_string()
    });
    let request = receiver.join_next().await.unwrap().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    (result, head.to_owned(), serde_json::from_str(body).unwrap())
}

async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "cut off");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let matches = name.eq_ignore_ascii_case("content-length");
            matches.then(|| value.parse::<usize>().unwrap())
        });
        if body.len() >= length.unwrap() {
            return text;
        }
    }
}

#[tokio::test]
async fn as_json_with_everything_that_a_program_needs() {
    let (result, head, body) = sent(Format::Json, 204).await;
    result.unwrap();
    assert!(head.starts_with("POST /T000/secret "), "{head}");
    assert_eq!(body["type"], "cdc.failed-events");
    let data = &body["data"];
    assert_eq!((&data["failures"], &data["open"]), (&3.into(), &5.into()));
    assert_eq!(data["code"], "webhook-status");
    assert_eq!(data["causes"][0], "the answer was late\nby a minute");
    assert_eq!(data["backtrace"], "0: somewhere");
    let replay = "cdc-relay recover replay --fingerprint 0123456789abcdef";
    assert_eq!(data["replay"], replay);
}

#[tokio::test]
async fn in_the_words_of_chat_services() {
    let title = "3 events of orders failed in billing with webhook-status";
    let (result, _, slack) = sent(Format::Slack, 200).await;
    result.unwrap();
    let text = slack["text"].as_str().unwrap();
    assert!(
        text.contains(title)
            && text.contains("&lt;500&gt;")
            && text.contains("caused by: the answer was late\n"),
        "{text}"
    );
    let (result, _, discord) = sent(Format::Discord, 204).await;
    result.unwrap();
    assert!(discord.to_string().contains("recover replay"), "{discord}");
    let (result, head, jandi) = sent(Format::Jandi, 200).await;
    result.unwrap();
    assert!(
        head.to_lowercase().contains("tosslab.jandi-v2+json"),
        "{head}"
    );
    assert_eq!(jandi["body"], title);
    let description = jandi["connectInfo"][0]["description"].as_str().unwrap();
    assert!(description.contains("recover show 17"), "{description}");
}

#[tokio::test]
async fn a_refusal_is_no_arrival_and_tells_no_secret() {
    for status in [400, 404, 410, 429, 500] {
        let (result, ..) = sent(Format::Slack, status).await;
        let error = result.unwrap_err();
        assert!(error.contains(&status.to_string()), "{error}");
    }
}

#[tokio::test]
async fn an_url_that_may_not_be_asked_is_refused_at_once() {
    let client = Client::new(Settings::default()).unwrap();
    assert!(WebhookSink::new(client, "http://127.0.0.1:80/x", Format::Json).is_err());
}
