//! Alerts as webhooks.

use std::fmt;
use std::time::SystemTime;

use serde_json::Value;
use webhook::{Class, Client, ExtraHeaders, Format, Message, Refusal, Request, Target, WebhookId};

use super::{Alert, AlertError, AlertSink};

/// The type of the event that an alert is.
const KIND: &str = "cdc.failed-events";

/// Sends alerts to one URL, as JSON or in the words of a chat service.
pub struct WebhookSink {
    client: Client,
    target: Target,
    format: Format,
}

impl WebhookSink {
    /// A sink for `url`, which the operator chose: `client` has to let it through.
    ///
    /// # Errors
    ///
    /// Why the URL cannot be asked.
    pub fn new(client: Client, url: &str, format: Format) -> Result<Self, Refusal> {
        let target = client.guard().check_url(url)?;
        Ok(Self {
            client,
            target,
            format,
        })
    }

    /// Says something once. `id` is the same each time that it is tried; `data` has the `title`, `text` and `color` that
    /// chat services show.
    ///
    /// # Errors
    ///
    /// It is not known to have arrived.
    pub async fn say(
        &self,
        id: &str,
        kind: &str,
        subject: &str,
        at: SystemTime,
        data: &Value,
    ) -> Result<(), AlertError> {
        let data = data.to_string();
        let message = Message {
            id,
            kind,
            timestamp: at,
            source: "/cdc-relay",
            subject: Some(subject),
            data: data.as_bytes(),
        };
        let unsayable = "the alert cannot be said in this format";
        let body = self.format.body(&message);
        let body = body.map_err(|error| AlertError::new(unsayable).caused_by(error))?;
        let id = WebhookId::new(id);
        let id = id.map_err(|error| AlertError::new(unsayable).caused_by(error))?;
        let attempt = self
            .client
            .send(&Request {
                target: &self.target,
                id: &id,
                at: SystemTime::now(),
                secrets: None,
                body: &body,
                headers: &ExtraHeaders::default(),
            })
            .await;
        match (attempt.class(), attempt.code(), attempt.result) {
            (Class::Delivered, ..) => Ok(()),
            (_, code, Ok(answer)) => Err(AlertError::new(format!(
                "{code}: the receiver answered {}",
                answer.status
            ))),
            (_, code, Err(error)) => Err(AlertError::new(code.as_str()).caused_by(error)),
        }
    }
}

impl AlertSink for WebhookSink {
    async fn send(&self, alert: &Alert) -> Result<(), AlertError> {
        let (id, at) = (alert.id(), alert.last_failed_at);
        self.say(&id, KIND, &alert.scope, at, &alert.json()).await
    }
}

/// Without the URL: whoever has it can write to the chat.
impl fmt::Debug for WebhookSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSink")
            .field("format", &self.format.name())
            .finish_non_exhaustive()
    }
}
