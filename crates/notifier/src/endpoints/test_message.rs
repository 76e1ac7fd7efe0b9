//! Tries endpoints out.

use std::time::{Duration, SystemTime};

use webhook::{Class, ExtraHeaders, Message, Request, WebhookId};

use super::Endpoints;
use crate::directory::Destination;
use crate::endpoint::EndpointId;
use crate::error::Error;
use cdc_event::random_number;

/// The type of a test message.
const KIND: &str = "cdc-relay.test";

/// Says what it is in every format: chats show the title and the text.
const DATA: &[u8] =
    br#"{"test":true,"title":"Test","text":"A test of cdc-relay. Nothing has happened."}"#;

/// What came of a test message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// The message's id.
    pub id: String,
    /// Whether the endpoint took it.
    pub delivered: bool,
    /// The answer's status.
    pub status: Option<u16>,
    /// What happened, in a word.
    pub code: &'static str,
    /// Why there was no answer, or the beginning of it.
    pub text: String,
    /// How long it took.
    pub duration: Duration,
}

impl Endpoints {
    /// Sends a message of the type `cdc-relay.test` to an endpoint, also to a disabled one, and says what came of it.
    /// It is not written down.
    ///
    /// # Errors
    ///
    /// [`Error::NoEndpoint`]; [`Error::Invalid`] and [`Error::Secret`] when it cannot be sent to as it is configured;
    /// [`Error::Postgres`].
    pub async fn test(&mut self, id: &EndpointId) -> Result<TestResult, Error> {
        let invalid = |what| move |source| Error::Invalid { what, source };
        let row = self.row(id).await?;
        let now = SystemTime::now();
        let destination = Destination::new(&row, &self.keys, self.client.guard(), now)?;
        let message_id = format!("test-{:016x}", random_number());
        let message = Message {
            id: &message_id,
            kind: KIND,
            timestamp: now,
            source: "/cdc-relay/test",
            subject: None,
            data: DATA,
        };
        let body = destination
            .format
            .body(&message)
            .map_err(|error| invalid("format")(error.into()))?;
        let attempt = self
            .client
            .send(&Request {
                target: &destination.target,
                id: &WebhookId::new(&message_id).map_err(|error| invalid("id")(error.into()))?,
                at: now,
                secrets: destination.secrets.as_ref(),
                body: &body,
                headers: &ExtraHeaders::default(),
            })
            .await;
        Ok(TestResult {
            delivered: attempt.class() == Class::Delivered,
            status: attempt.status().map(|status| status.as_u16()),
            code: attempt.code().as_str(),
            text: match &attempt.result {
                Ok(answer) => answer.excerpt.clone(),
                Err(error) => error.to_string(),
            },
            duration: attempt.duration,
            id: message_id,
        })
    }
}
