//! An event, as an endpoint gets to know it.

use std::time::SystemTime;

use webhook::{Attempt, Body, Client, FormatError, Message, Request};

use crate::directory::Destination;
use crate::event::Event;

impl Event {
    /// What is said to an endpoint.
    pub(crate) fn body(&self, destination: &Destination) -> Result<Body, FormatError> {
        destination.format.body(&Message {
            id: &self.given_id,
            kind: &self.kind,
            timestamp: self.timestamp,
            source: &self.source,
            subject: self.subject.as_deref(),
            data: &self.data,
        })
    }

    /// Says it, once. Dropping the future breaks the request off.
    pub(crate) async fn send(
        &self,
        client: &Client,
        destination: &Destination,
        body: &Body,
    ) -> Attempt {
        client
            .send(&Request {
                target: &destination.target,
                id: &self.id,
                at: SystemTime::now(),
                secrets: destination.secrets.as_ref(),
                body,
                headers: &self.trace,
            })
            .await
    }
}
