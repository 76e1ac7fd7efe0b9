//! The example `sns` with all its processes, as a user runs it.

mod heard;
mod mode;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::app::App;
use crate::process::Signal;
use crate::relay::Relay;
use crate::scenario::Scenario;
use crate::wait::{Look, until};
pub use heard::{Heard, Webhook};
pub use mode::Mode;

/// One SNS: its services, `cdc-relay run` and a receiver of webhooks, with a database and topics of its own.
#[derive(Debug)]
pub struct Sns {
    post_service: App,
    subscriber_service: App,
    receiver: App,
    relay: Relay,
    mode: Mode,
    scenario: Scenario,
}

/// A post that was answered with success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The event, which is the `webhook-id` of its notifications.
    pub event_id: String,
    /// When the request was sent, in milliseconds since 1970.
    pub at_ms: u64,
}

/// How a subscriber wants its webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `json`, at least once.
    Json,
    /// `jandi`, at most once.
    Jandi,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Jandi => "jandi",
        }
    }
}

impl Sns {
    /// Starts all of it, and waits until events flow.
    ///
    /// # Errors
    /// Fails if a process does not come up.
    pub async fn start(scenario: Scenario, mode: Mode) -> Result<Self> {
        let scenario = configured(scenario);
        let log = scenario.log();
        let receiver = App::start("webhook-receiver", &[], log);
        let mut relay = scenario.start("run")?;
        let (receiver, streaming) = tokio::join!(receiver, relay.until_phase("streaming"));
        streaming?;
        let receiver = receiver?;
        let subscriber = subscriber_settings(&scenario, &receiver);
        let post = post_settings(&scenario, mode);
        let (subscriber_service, post_service) = tokio::join!(
            App::start("subscriber-service", &subscriber, log),
            App::start("post-service", &post, log)
        );
        Ok(Self {
            post_service: post_service?,
            subscriber_service: subscriber_service?,
            receiver,
            relay,
            mode,
            scenario,
        })
    }

    /// The database, the topics and the log.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// How its events get to Kafka.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The service that has the page.
    pub fn subscriber_service(&self) -> &App {
        &self.subscriber_service
    }

    /// The topic with the posts.
    pub fn post_topic(&self) -> String {
        post_topic(&self.scenario)
    }

    /// Where the subscriber-service puts posts aside that fail, for the first time.
    pub fn retry_topic(&self) -> String {
        format!("{}.{}.retry-1", self.post_topic(), group(&self.scenario))
    }

    /// A member more; its number.
    ///
    /// # Errors
    /// Fails if it is refused.
    pub async fn join(&self, nickname: &str) -> Result<i64> {
        let body = json!({ "nickname": nickname });
        let member = self.subscriber_service.post("/members", &body).await?;
        member["id"].as_i64().context("a member has an id")
    }

    /// From now on, the hook hears of the author's posts.
    ///
    /// # Errors
    /// Fails if it is refused.
    pub async fn subscribe(&self, author: i64, hook: &str, format: Format) -> Result<()> {
        let url = format!("http://{}/hook/{hook}", self.receiver.address());
        let body = json!({ "authorId": author, "webhookUrl": url, "format": format.name() });
        self.subscriber_service
            .post("/subscriptions", &body)
            .await?;
        Ok(())
    }

    /// Posts.
    ///
    /// # Errors
    /// Fails if it is refused, or the service dies of it.
    pub async fn post(&self, author: i64, title: &str) -> Result<Posted> {
        let at_ms = now_ms();
        let body = json!({ "authorId": author, "title": title, "content": "More to follow." });
        let post = self.post_service.post("/posts", &body).await?;
        let event_id = post["eventId"].as_str().context("a post has an event")?;
        Ok(Posted {
            event_id: event_id.to_owned(),
            at_ms,
        })
    }

    /// From now on, the hook answers `ok`, `fail` or `hang`.
    ///
    /// # Errors
    /// Fails if the receiver does not take it.
    pub async fn answer(&self, hook: &str, answer: &str) -> Result<()> {
        let (path, body) = (format!("/hook/{hook}"), json!({ "answer": answer }));
        let told = self.receiver.request("PUT", &path, Some(&body)).await?;
        ensure!(told.status == 204, "{told:?}");
        Ok(())
    }

    /// What came so far.
    ///
    /// # Errors
    /// Fails if the receiver does not tell.
    pub async fn heard(&self) -> Result<Heard> {
        Heard::of(&self.receiver.get("/received").await?)
    }

    /// Waits until each hook has heard of each event; what came until then.
    ///
    /// # Errors
    /// Fails after `limit`, with what is missing.
    pub async fn until_heard(
        &self,
        events: &[String],
        hooks: &[&str],
        limit: Duration,
    ) -> Result<Heard> {
        let what = format!("webhooks ({})", self.mode);
        until(limit, &what, async || {
            let heard = self.heard().await?;
            let missing = heard.missing(events, hooks);
            Ok(if missing.is_empty() {
                Look::Ready(heard)
            } else {
                let some = missing.iter().take(3).collect::<Vec<_>>();
                Look::NotYet(format!("{} are missing, as {some:?}", missing.len()))
            })
        })
        .await
    }

    /// Has the post-service die between commit and send: the post is saved, and nobody was answered. Then it is started
    /// again. The event of the post.
    ///
    /// # Errors
    /// Fails if it does not die.
    pub async fn post_and_crash(&mut self, author: i64, title: &str) -> Result<String> {
        let log = self.scenario.log();
        let mut settings = post_settings(&self.scenario, self.mode);
        let healthy = settings.clone();
        settings.push(("CRASH_AFTER_COMMIT", "1".into()));
        self.post_service = App::start("post-service", &settings, log).await?;
        let answered = self.post(author, title).await;
        ensure!(answered.is_err(), "it was to crash: {answered:?}");
        let again = App::start("post-service", &healthy, log).await?;
        let crashed = std::mem::replace(&mut self.post_service, again);
        crashed.until_ended().await?;
        let posts = self.post_service.get("/posts").await?;
        let posts = posts.as_array().context("a list of posts")?;
        let found = posts.iter().find(|post| post["title"] == title);
        let event = found.and_then(|post| post["eventId"].as_str());
        Ok(event.context("the post was not saved")?.to_owned())
    }

    /// Kills `cdc-relay` and the subscriber-service without warning, and starts them again.
    ///
    /// # Errors
    /// Fails if one of them had ended by itself, or does not come up.
    pub async fn kill_consumers(&mut self) -> Result<()> {
        self.relay.pid().send(Signal::Kill)?;
        self.subscriber_service.pid().send(Signal::Kill)?;
        self.relay = self.scenario.start("run")?;
        let settings = subscriber_settings(&self.scenario, &self.receiver);
        let log = self.scenario.log();
        self.subscriber_service = App::start("subscriber-service", &settings, log).await?;
        self.relay.until_phase("streaming").await
    }

    /// Stops all of it in good order.
    ///
    /// # Errors
    /// Fails if a process had ended by itself, does not stop, or says that it went wrong.
    pub async fn stop(self) -> Result<()> {
        let limit = Duration::from_secs(30);
        self.post_service.sigterm().await?;
        self.subscriber_service.sigterm().await?;
        let exit = self.relay.sigterm(limit).await?;
        ensure!(
            exit.status.success(),
            "cdc-relay ended with {}",
            exit.status
        );
        self.receiver.sigterm().await?;
        Ok(())
    }
}

/// Tells cdc-relay what `examples/sns/cdc-relay.toml` does, with names of this scenario's own.
fn configured(scenario: Scenario) -> Scenario {
    let (name, group) = (scenario.database().name().to_owned(), group(&scenario));
    let topic = post_topic(&scenario);
    let consumers = format!(
        "[{{ group = '{name}', instance_id = 'notify-1', retry = {{ tiers = ['1s', '2s', '5s', '15s', '30s'] }} }}, \
         {{ group = '{group}', topics = ['{topic}'] }}]"
    );
    scenario
        .with("CDC_NOTIFY__TOPICS", format!("{name}.post-notification"))
        .with("CDC_NOTIFY__GROUP", name)
        .with("CDC_NOTIFY__ALLOW_PRIVATE_NETWORKS", "127.0.0.0/8")
        .with("CDC_KAFKA__CLIENT__RECONNECT_BACKOFF_MAX_MS", "250")
        .with(
            "CDC_KAFKA__CONSUMER__TOPIC_METADATA_REFRESH_INTERVAL_MS",
            "1000",
        )
        .with("CDC_RECOVER__CONSUMER", consumers)
}

fn post_topic(scenario: &Scenario) -> String {
    format!("{}.post-create", scenario.database().name())
}

fn group(scenario: &Scenario) -> String {
    format!("{}-subscriber", scenario.database().name())
}

fn servers(scenario: &Scenario) -> Vec<(&'static str, String)> {
    vec![
        ("DATABASE_URL", scenario.database().url().to_string()),
        ("KAFKA_BROKERS", scenario.kafka_brokers().to_owned()),
        ("POST_TOPIC", post_topic(scenario)),
    ]
}

fn post_settings(scenario: &Scenario, mode: Mode) -> Vec<(&'static str, String)> {
    let mut settings = servers(scenario);
    settings.push(("MODE", mode.to_string()));
    settings
}

fn subscriber_settings(scenario: &Scenario, receiver: &App) -> Vec<(&'static str, String)> {
    let mut settings = servers(scenario);
    settings.push(("GROUP", group(scenario)));
    settings.push(("INSTANCE_ID", "subscriber-1".into()));
    settings.push(("RETRY_AFTER", "1s,2s".into()));
    settings.push(("RECEIVER_URL", format!("http://{}", receiver.address())));
    settings
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_that_never_came_is_missing() {
        let heard = Heard::of(&json!({ "webhooks": [
            { "hook": "anna", "webhookId": "1", "body": "{}", "acceptedAtMs": 7, "accepted": 2, "refused": 0 },
            { "hook": "ben", "webhookId": "1", "body": "{}", "acceptedAtMs": null, "accepted": 0, "refused": 3 },
        ] }))
        .unwrap();
        let missing = heard.missing(&["1".into()], &["anna", "ben"]);
        assert_eq!(missing, [("1".to_owned(), "ben".to_owned())]);
        assert_eq!(heard.repeated(), 1);
    }
}
