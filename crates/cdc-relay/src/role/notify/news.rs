//! Tells people when the notifier has disabled an endpoint, or is about to.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cdc_event::RetryPolicy;
use dead_letters::WebhookSink;
use notifier::{Alerts, DisabledReason, EndpointId, News, NewsKind, UntoldNews, Warning};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// Amber, where a chat service has a use for it.
const COLOR: &str = "#F9A825";

/// How often to look for news besides those that this process knows of.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long one try may take, and for how long nobody else tries.
const TRY_LIMIT: Duration = Duration::from_secs(20);
const LEASE: Duration = Duration::from_secs(30);

/// Between tries, for as long as it takes.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Hears that there are news.
#[derive(Debug, Default)]
pub(super) struct TellNews(Notify);

/// Tells them, apart from whoever found them: they are in the database, so that no crash loses them, and several
/// notifiers share them out.
#[derive(Debug)]
pub(super) struct Telling {
    untold: UntoldNews,
    heard: Arc<TellNews>,
    sink: Option<WebhookSink>,
    /// The last look failed: said once until one succeeds.
    blind: bool,
}

impl TellNews {
    /// Without a sink, the log has to do.
    pub(super) fn new(untold: UntoldNews, sink: Option<WebhookSink>) -> (Arc<Self>, Telling) {
        let heard = Arc::new(Self::default());
        let telling = Telling {
            untold,
            heard: Arc::clone(&heard),
            sink,
            blind: false,
        };
        (heard, telling)
    }
}

impl Alerts for TellNews {
    fn endpoint_disabled(&self, _: &EndpointId, _: DisabledReason) {
        self.0.notify_one();
    }

    fn endpoint_failing(&self, _: &EndpointId, _: Warning) {
        self.0.notify_one();
    }
}

impl Telling {
    /// Until the notifier has ended. What is being told then is told again by another, or after the next start.
    pub(super) async fn run(mut self, ended: &CancellationToken) {
        let Some(sink) = self.sink.take() else { return };
        let mut looks = interval(INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = ended.cancelled() => return,
                () = self.heard.0.notified() => {}
                _ = looks.tick() => {}
            }
            match self.look(&sink, ended).await {
                Ok(()) => self.blind = false,
                Err(error) if !self.blind => {
                    self.blind = true;
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot look for news of endpoints that are to be told; tried again every {}",
                        humantime::format_duration(INTERVAL)
                    );
                }
                Err(_) => {}
            }
        }
    }

    /// One after the other: they are few, and each is held no longer than it takes to tell it.
    async fn look(
        &mut self,
        sink: &WebhookSink,
        ended: &CancellationToken,
    ) -> Result<(), notifier::Error> {
        let pauses = RetryPolicy::new(FIRST_PAUSE, LONGEST_PAUSE);
        while let Some(news) = self.untold.take(1, LEASE).await?.pop() {
            match ended.run_until_cancelled(tell(sink, &news)).await {
                // Written down in any case, or it is told twice.
                Some(true) => self.untold.told(&news).await?,
                Some(false) => {
                    let pause = pauses.bound(news.tries);
                    self.untold.put_off(&news, pause).await?;
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

/// The type of the event that this is, without its prefix.
const fn kind(what: NewsKind) -> &'static str {
    match what {
        NewsKind::Disabled(_) => "endpoint-disabled",
        NewsKind::Failing(_) => "endpoint-failing",
    }
}

fn data(what: NewsKind, endpoint: &EndpointId) -> Value {
    match what {
        NewsKind::Disabled(reason) => json!({
            "title": format!("The webhook endpoint {endpoint} was disabled: {reason}"),
            "text": format!(
                "It gets nothing until it is enabled again.\ncdc-relay endpoint test {endpoint}\ncdc-relay endpoint enable {endpoint}"
            ),
            "color": COLOR,
            "endpoint": endpoint.as_str(),
            "reason": reason.as_str(),
        }),
        NewsKind::Failing(Warning { percent, left }) => {
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

/// Whether it was told.
async fn tell(sink: &WebhookSink, news: &News) -> bool {
    let News {
        endpoint, what, at, ..
    } = news;
    let micros = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_micros();
    let kind = kind(*what);
    let (id, data) = (format!("{kind}-{endpoint}-{micros}"), data(*what, endpoint));
    let kind = format!("cdc.{kind}");
    let saying = sink.say(&id, &kind, endpoint.as_str(), *at, &data);
    let error: Box<dyn std::error::Error> = match timeout(TRY_LIMIT, saying).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => Box::new(error),
        Err(elapsed) => Box::new(elapsed),
    };
    tracing::warn!(%endpoint, error = &*error, "nobody could be told about an endpoint; tried again");
    false
}
