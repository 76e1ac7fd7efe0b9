//! What the subscribers heard.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

/// What the webhook-receiver remembers.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    webhooks: BTreeMap<(String, String), Webhook>,
}

/// An event at one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The body of the first request.
    pub body: String,
    /// When it was accepted first, in milliseconds since 1970.
    pub accepted_at_ms: Option<u64>,
    /// How often it was accepted.
    pub accepted: u64,
    /// How often it was refused.
    pub refused: u64,
}

impl Heard {
    pub(super) fn of(received: &Value) -> Result<Self> {
        let list = received["webhooks"].as_array().context("no list")?;
        let webhooks = list.iter().map(|one| {
            let text = |name: &str| one[name].as_str().map(str::to_owned).context("no text");
            let count = |name: &str| one[name].as_u64().context("no number");
            let webhook = Webhook {
                body: text("body")?,
                accepted_at_ms: one["acceptedAtMs"].as_u64(),
                accepted: count("accepted")?,
                refused: count("refused")?,
            };
            Ok(((text("webhookId")?, text("hook")?), webhook))
        });
        Ok(Self {
            webhooks: webhooks.collect::<Result<_>>()?,
        })
    }

    /// An event at a hook, if it ever came there.
    pub fn at(&self, event: &str, hook: &str) -> Option<&Webhook> {
        self.webhooks.get(&(event.to_owned(), hook.to_owned()))
    }

    /// Which of these events were not accepted at which of these hooks.
    pub fn missing(&self, events: &[String], hooks: &[&str]) -> Vec<(String, String)> {
        let all = events
            .iter()
            .flat_map(|event| hooks.iter().map(|hook| (event.clone(), (*hook).to_owned())));
        all.filter(|key| self.webhooks.get(key).is_none_or(|one| one.accepted == 0))
            .collect()
    }

    /// How many were accepted, each counted once.
    pub fn accepted(&self) -> usize {
        let accepted = self.webhooks.values().filter(|one| one.accepted > 0);
        accepted.count()
    }

    /// How many times something was accepted that had been accepted before.
    pub fn repeated(&self) -> u64 {
        let again = |one: &Webhook| one.accepted.saturating_sub(1);
        self.webhooks.values().map(again).sum()
    }
}
