//! Tells people when the notifier has disabled an endpoint, or is about to.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dead_letters::WebhookSink;
use notifier::{Alerts, DisabledReason, EndpointId, Warning};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Amber, where a chat service has a use for it.
const COLOR: &str = "#F9A825";

/// News that wait to be told; more than that are in the log only.
const WAITING: usize = 64;

/// How often one is tried, and what lies between.
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// Takes news without waiting.
#[derive(Debug)]
pub(super) struct TellNews(mpsc::Sender<News>);

/// Tells them.
#[derive(Debug)]
pub(super) struct Telling {
    news: mpsc::Receiver<News>,
    sink: Option<WebhookSink>,
}

#[derive(Debug)]
struct News {
    endpoint: EndpointId,
    what: What,
    at: SystemTime,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Disabled(DisabledReason),
    Failing(Warning),
}

impl TellNews {
    /// Without a sink, the log has to do.
    pub(super) fn new(sink: Option<WebhookSink>) -> (Arc<Self>, Telling) {
        let (sender, news) = mpsc::channel(WAITING);
        (Arc::new(Self(sender)), Telling { news, sink })
    }

    fn tell(&self, endpoint: &EndpointId, what: What) {
        let news = News {
            endpoint: endpoint.clone(),
            what,
            at: SystemTime::now(),
        };
        if let Err(error) = self.0.try_send(news) {
            tracing::warn!(%endpoint, %error, "nobody could be told about an endpoint");
        }
    }
}

impl Alerts for TellNews {
    fn endpoint_disabled(&self, endpoint: &EndpointId, reason: DisabledReason) {
        self.tell(endpoint, What::Disabled(reason));
    }

    fn endpoint_failing(&self, endpoint: &EndpointId, warning: Warning) {
        self.tell(endpoint, What::Failing(warning));
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

impl What {
    /// The type of the event that this is, without its prefix.
    const fn kind(self) -> &'static str {
        match self {
            Self::Disabled(_) => "endpoint-disabled",
            Self::Failing(_) => "endpoint-failing",
        }
    }

    fn data(self, endpoint: &EndpointId) -> Value {
        match self {
            Self::Disabled(reason) => json!({
                "title": format!("The webhook endpoint {endpoint} was disabled: {reason}"),
                "text": format!(
                    "It gets nothing until it is enabled again.\ncdc-relay endpoint test {endpoint}\ncdc-relay endpoint enable {endpoint}"
                ),
                "color": COLOR,
                "endpoint": endpoint.as_str(),
                "reason": reason.as_str(),
            }),
            Self::Failing(Warning { percent, left }) => {
                let left = Duration::from_secs(left.as_secs());
                let shown = humantime::format_duration(left);
                json!({
                    "title": format!("The webhook endpoint {endpoint} does nothing but fail"),
                    "text": format!(
                        "If that goes on, it is disabled in {shown}: {percent} % of `notify.disable_after` are over.\n\
                         cdc-relay endpoint attempts --endpoint {endpoint}\ncdc-relay endpoint test {endpoint}"
                    ),
                    "color": COLOR,
                    "endpoint": endpoint.as_str(),
                    "percent": percent,
                    "secondsLeft": left.as_secs(),
                })
            }
        }
    }
}

async fn tell(sink: &WebhookSink, news: &News, ended: &CancellationToken) {
    let News { endpoint, what, at } = news;
    let micros = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_micros();
    let id = format!("{}-{micros}", what.kind());
    let (kind, data) = (format!("cdc.{}", what.kind()), what.data(endpoint));
    for attempt in 1..=TRIES {
        let told = tokio::select! {
            told = sink.say(&id, &kind, endpoint.as_str(), *at, &data) => told,
            () = ended.cancelled() => return,
        };
        match told {
            Ok(()) => return,
            Err(error) if attempt == TRIES => {
                tracing::warn!(%endpoint, error = &error as &dyn std::error::Error, "nobody could be told about an endpoint");
            }
            Err(_) => tokio::select! {
                () = tokio::time::sleep(BETWEEN_TRIES) => {}
                () = ended.cancelled() => return,
            },
        }
    }
}
