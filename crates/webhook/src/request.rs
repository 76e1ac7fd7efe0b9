//! One attempt, before it is made.

use std::time::SystemTime;

use crate::format::Body;
use crate::guard::Target;
use crate::headers::ExtraHeaders;
use crate::signature::Secrets;
use crate::webhook_id::WebhookId;

/// A request for [`Client::send`](crate::Client::send).
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Where to.
    pub target: &'a Target,
    /// `webhook-id`: the same at every attempt.
    pub id: &'a WebhookId,
    /// `webhook-timestamp`: when this attempt is made; receivers refuse old ones.
    pub at: SystemTime,
    /// What to sign with; without, the request has no `webhook-signature`.
    pub secrets: Option<&'a Secrets>,
    /// What to say.
    pub body: &'a Body,
    /// Headers besides ours.
    pub headers: &'a ExtraHeaders,
}
