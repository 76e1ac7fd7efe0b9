//! What came, in bounded memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

/// The most webhooks that are remembered; the oldest are forgotten.
const MAX_WEBHOOKS: usize = 5_000;

/// The most hooks that can be told how to answer.
const MAX_HOOKS: usize = 256;

/// How far a listener may fall behind before it misses something.
const MAX_BEHIND: usize = 256;

/// What a hook does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// Says 200.
    #[default]
    Ok,
    /// Says 503.
    Fail,
    /// Says nothing.
    Hang,
}

/// One event at one hook, however often it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Webhook {
    pub(crate) hook: String,
    /// The header `webhook-id`.
    pub(crate) webhook_id: String,
    pub(crate) body: String,
    /// When it was accepted first, in milliseconds since 1970; `null` until then.
    pub(crate) accepted_at_ms: Option<u64>,
    /// How often it was answered 200. More than once is a repetition.
    pub(crate) accepted: u32,
    /// How often it was not.
    pub(crate) refused: u32,
}

/// What came. Clones share it.
#[derive(Clone)]
pub(crate) struct Received {
    state: Arc<Mutex<State>>,
    news: broadcast::Sender<Webhook>,
}

#[derive(Default)]
struct State {
    webhooks: VecDeque<Webhook>,
    answers: BTreeMap<String, Answer>,
}

impl Default for Received {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            news: broadcast::channel(MAX_BEHIND).0,
        }
    }
}

impl Received {
    /// A request has come; what it is answered.
    pub(crate) fn take(
        &self,
        hook: String,
        webhook_id: String,
        body: String,
        now_ms: u64,
    ) -> Answer {
        let mut state = self.state();
        let answer = state.answers.get(&hook).copied().unwrap_or_default();
        let State { webhooks, .. } = &mut *state;
        let known = webhooks
            .iter()
            .rposition(|known| known.webhook_id == webhook_id && known.hook == hook);
        let index = known.unwrap_or_else(|| {
            if webhooks.len() == MAX_WEBHOOKS {
                webhooks.pop_front();
            }
            webhooks.push_back(Webhook {
                hook,
                webhook_id,
                body,
                accepted_at_ms: None,
                accepted: 0,
                refused: 0,
            });
            webhooks.len() - 1
        });
        if let Some(webhook) = webhooks.get_mut(index) {
            match answer {
                Answer::Ok => {
                    webhook.accepted += 1;
                    webhook.accepted_at_ms.get_or_insert(now_ms);
                }
                Answer::Fail | Answer::Hang => webhook.refused += 1,
            }
            // Nobody may be listening.
            drop(self.news.send(webhook.clone()));
        }
        answer
    }

    /// From now on, `hook` answers this. False when there are too many hooks.
    pub(crate) fn answer(&self, hook: String, answer: Answer) -> bool {
        let mut state = self.state();
        let room = state.answers.len() < MAX_HOOKS || state.answers.contains_key(&hook);
        if room {
            state.answers.insert(hook, answer);
        }
        room
    }

    /// All that is remembered, the oldest first.
    pub(crate) fn all(&self) -> Vec<Webhook> {
        self.state().webhooks.iter().cloned().collect()
    }

    /// What comes from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Webhook> {
        self.news.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_repetitions_by_hook_and_id() {
        let received = Received::default();
        let take = |hook: &str, id: &str| received.take(hook.into(), id.into(), "{}".into(), 7);
        assert_eq!(take("anna", "1"), Answer::Ok);
        take("anna", "1");
        take("ben", "1");
        assert!(received.answer("anna".into(), Answer::Fail));
        assert_eq!(take("anna", "1"), Answer::Fail);
        let seen: Vec<_> = received
            .all()
            .into_iter()
            .map(|webhook| (webhook.hook, webhook.accepted, webhook.refused))
            .collect();
        assert_eq!(seen, [("anna".into(), 2, 1), ("ben".into(), 1, 0)]);
    }

    #[test]
    fn forgets_the_oldest() {
        let received = Received::default();
        for n in 0..=MAX_WEBHOOKS {
            received.take("anna".into(), n.to_string(), String::new(), 7);
        }
        let all = received.all();
        assert_eq!((all.len(), all[0].webhook_id.as_str()), (MAX_WEBHOOKS, "1"));
    }
}
