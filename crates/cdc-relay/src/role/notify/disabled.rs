//! Tells people when the notifier has disabled an endpoint.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dead_letters::WebhookSink;
use notifier::{Alerts, DisabledReason, EndpointId};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The type of the event that this is.
const KIND: &str = "cdc.endpoint-disabled";

/// Amber, where a chat service has a use for it.
const COLOR: &str = "#F9A825";

/// News that wait to be told; more than that are in the log only.
const WAITING: usize = 64;

/// How often one is tried, and what lies between.
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// Takes news without waiting.
#[derive(Debug)]
pub(super) struct TellDisabled(mpsc::Sender<News>);

/// Tells them.
#[derive(Debug)]
pub(super) struct Telling {
    news: mpsc::Receiver<News>,
    sink: Option<WebhookSink>,
}

#[derive(Debug)]
struct News {
    endpoint: EndpointId,
    reason: DisabledReason,
    at: SystemTime,
}

impl TellDisabled {
    /// Without a sink, the log has to do.
    pub(super) fn new(sink: Option<WebhookSink>) -> (Arc<Self>, Telling) {
        let (sender, news) = mpsc::channel(WAITING);
        (Arc::new(Self(sender)), Telling { news, sink })
    }
}

impl Alerts for TellDisabled {
    fn endpoint_disabled(&self, endpoint: &EndpointId, reason: DisabledReason) {
        let news = News {
            endpoint: endpoint.clone(),
            reason,
            at: SystemTime::now(),
        };
        if let Err(error) = self.0.try_send(news) {
            tracing::warn!(%endpoint, %error, "nobody could be told that an endpoint was disabled");
        }
    }
}

impl Telling {
    /// Until the notifier has ended.
    pub(super) async fn run(mut self, ended: &CancellationToken) {
        loop {
            let news = tokio::select! {
                news = self.news.recv() => news,
                () = ended.cancelled() => return,
            };
            let Some(news) = news else { return };
            if let Some(sink) = &self.sink {
                tell(sink, &news, ended).await;
            }
        }
    }
}

async fn tell(sink: &WebhookSink, news: &News, ended: &CancellationToken) {
    let News {
        endpoint,
        reason,
        at,
    } = news;
    let micros = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_micros();
    let id = format!("endpoint-disabled-{micros}");
    let data = json!({
        "title": format!("The webhook endpoint {endpoint} was disabled: {reason}"),
        "text": format!(
            "It gets nothing until it is enabled again.\ncdc-relay endpoint test {endpoint}\ncdc-relay endpoint enable {endpoint}"
        ),
        "color": COLOR,
        "endpoint": endpoint.as_str(),
        "reason": reason.as_str(),
    });
    for attempt in 1..=TRIES {
        let told = tokio::select! {
            told = sink.say(&id, KIND, endpoint.as_str(), *at, &data) => told,
            () = ended.cancelled() => return,
        };
        match told {
            Ok(()) => return,
            Err(error) if attempt == TRIES => {
                tracing::warn!(%endpoint, error = &error as &dyn std::error::Error, "nobody could be told that an endpoint was disabled");
            }
            Err(_) => tokio::select! {
                () = tokio::time::sleep(BETWEEN_TRIES) => {}
                () = ended.cancelled() => return,
            },
        }
    }
}
