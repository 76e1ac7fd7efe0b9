//! One webhook to one endpoint: made, signed, guarded, sent, judged. Knows no database and no Kafka.
//!
//! * [`Format`] makes a [`Body`] of a [`Message`].
//! * [`Secrets`] sign it, as Standard Webhooks has it.
//! * [`Guard`] says which URLs and addresses may be asked (SSRF).
//! * [`Client`] sends a [`Request`] once and says in an [`Attempt`] what came of it.
//! * [`Attempt::class`] decides what that means; nothing else does.
//!
//! ```no_run
//! use std::time::SystemTime;
//!
//! use webhook::{Client, ExtraHeaders, Format, Guard, Message, Request, Secret, Secrets, Settings, WebhookId};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(Settings { guard: Guard::default(), ..Settings::default() })?;
//! let target = client.guard().check_url("https://example.com/hook")?; // once for each endpoint
//! let secrets = Secrets::new(Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?);
//!
//! let message = Message {
//!     id: "0198c2f4-5d1e-7c39-9d2e-3a1f6b7c8d9e",
//!     kind: "order.paid",
//!     timestamp: SystemTime::now(),
//!     source: "/shop",
//!     subject: Some("42"),
//!     data: br#"{"total":12}"#,
//! };
//! let attempt = client
//!     .send(&Request {
//!         target: &target,
//!         id: &WebhookId::new(message.id)?,
//!         at: SystemTime::now(),
//!         secrets: Some(&secrets),
//!         body: &Format::Json.body(&message)?,
//!         headers: &ExtraHeaders::default(),
//!     })
//!     .await;
//! println!("{:?}: {}", attempt.class(), attempt.code());
//! # Ok(())
//! # }
//! ```

mod attempt;
mod classify;
mod client;
mod error;
mod excerpt;
mod format;
mod guard;
mod headers;
mod message;
mod request;
mod resolve;
mod retry_after;
mod secret;
mod signature;
mod webhook_id;

pub use attempt::{Answer, Attempt, Connection, Receipt};
pub use classify::{Class, Code};
pub use client::{Client, InvalidSettings, Settings};
pub use error::{SendError, Stage};
pub use format::{
    Body, Format, FormatError, InvalidFormat, InvalidPlaceholder, InvalidTemplate, Template,
};
pub use guard::{
    Guard, GuardSettings, InvalidNetwork, InvalidPorts, Nat64, Network, Ports, Refusal, Target,
};
pub use headers::{ExtraHeaders, InvalidHeader};
pub use message::Message;
pub use request::Request;
pub use resolve::{Lookup, LookupError, Resolve, SystemResolver};
pub use secret::{InvalidSecret, Secret};
pub use signature::Secrets;
pub use webhook_id::{InvalidWebhookId, WebhookId};

#[cfg(doctest)]
#[doc = include_str!("../../../docs/webhooks.md")]
struct Page;
