//! One SNS of the story, and what it was given to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;
use tokio::time::interval;

use super::SOON;
use super::comparison::Seen;
use crate::database::Database;
use crate::scenario::Scenario;
use crate::services::Services;
use crate::sns::{Format, Mode, Posted, Sns};

/// The subscribers.
const HOOKS: [&str; 3] = ["anna", "ben", "cho"];

/// Time between two posts while the latency is measured; it shares no factor with a second, so that polling is met at all
/// times of its round.
const PACE: Duration = Duration::from_millis(170);

/// An SNS with one author and three subscribers.
pub(super) struct World {
    sns: Sns,
    author: i64,
    posts: u32,
    calm: Vec<Posted>,
    /// Events that must arrive, and those that need not.
    safe: Vec<String>,
    at_risk: Vec<String>,
    recovery: Option<Duration>,
}

impl World {
    pub(super) async fn start(services: &Arc<Services>, mode: Mode) -> Result<Self> {
        let scenario = Scenario::on(Arc::clone(services)).await?;
        let sns = Sns::start(scenario, mode).await?;
        let author = sns.join("mina").await?;
        for (hook, format) in HOOKS
            .into_iter()
            .zip([Format::Json, Format::Jandi, Format::Json])
        {
            sns.subscribe(author, hook, format).await?;
        }
        Ok(Self {
            sns,
            author,
            posts: 0,
            calm: Vec::new(),
            safe: Vec::new(),
            at_risk: Vec::new(),
            recovery: None,
        })
    }

    pub(super) fn mode(&self) -> Mode {
        self.sns.mode()
    }

    pub(super) fn database(&self) -> &Database {
        self.sns.scenario().database()
    }

    /// The last lines of all its processes.
    pub(super) fn log(&self, lines: usize) -> String {
        self.sns.scenario().log().tail(lines)
    }

    /// Posts that must arrive, all at once.
    pub(super) async fn post(&mut self, count: u32) -> Result<()> {
        let events = self.post_at_once(count).await?;
        self.safe.extend(events);
        Ok(())
    }

    /// Posts of which nobody knows whether they arrive.
    pub(super) async fn post_at_risk(&mut self, count: u32) -> Result<()> {
        let events = self.post_at_once(count).await?;
        self.at_risk.extend(events);
        Ok(())
    }

    /// Posts one by one, of which the latency counts.
    pub(super) async fn post_calmly(&mut self, count: u32) -> Result<()> {
        let mut ticks = interval(PACE);
        for _ in 0..count {
            ticks.tick().await;
            let title = self.next_title();
            let posted = self.sns.post(self.author, &title).await?;
            self.safe.push(posted.event_id.clone());
            self.calm.push(posted);
        }
        Ok(())
    }

    /// A post whose service dies between commit and send; it must arrive.
    pub(super) async fn post_and_crash(&mut self) -> Result<()> {
        let title = self.next_title();
        let event = self.sns.post_and_crash(self.author, &title).await?;
        self.safe.push(event);
        Ok(())
    }

    /// The same; nobody knows whether it arrives.
    pub(super) async fn crash_at_risk(&mut self) -> Result<()> {
        let title = self.next_title();
        let event = self.sns.post_and_crash(self.author, &title).await?;
        self.at_risk.push(event);
        Ok(())
    }

    /// Waits until everybody has heard of what must arrive.
    pub(super) async fn until_heard(&self) -> Result<()> {
        self.sns.until_heard(&self.safe, &HOOKS, SOON).await?;
        Ok(())
    }

    /// The same, and notes how long after `back` that was.
    pub(super) async fn until_recovered(&mut self, back: Instant) -> Result<()> {
        self.until_heard().await?;
        self.recovery = Some(back.elapsed());
        Ok(())
    }

    /// What became of its posts.
    pub(super) async fn seen(&self) -> Result<Seen> {
        let heard = self.sns.heard().await?;
        let mut lost: Vec<_> = [&self.safe[..], &self.at_risk[..]]
            .iter()
            .flat_map(|events| heard.missing(events, &HOOKS))
            .map(|(event, _)| event)
            .collect();
        lost.dedup();
        let mut latencies: Vec<_> = self
            .calm
            .iter()
            .flat_map(|posted| HOOKS.map(|hook| (posted, heard.at(&posted.event_id, hook))))
            .filter_map(|(posted, webhook)| Some((posted, webhook?.accepted_at_ms?)))
            .map(|(posted, accepted)| Duration::from_millis(accepted.saturating_sub(posted.at_ms)))
            .collect();
        latencies.sort_unstable();
        Ok(Seen {
            mode: self.mode(),
            posted: self.safe.len() + self.at_risk.len(),
            lost: lost.len(),
            repeated: heard.repeated(),
            latencies,
            recovery: self.recovery,
        })
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.sns.stop().await
    }

    async fn post_at_once(&mut self, count: u32) -> Result<Vec<String>> {
        let titles: Vec<_> = (0..count).map(|_| self.next_title()).collect();
        let posts = titles.iter().map(|title| self.sns.post(self.author, title));
        let posted = try_join_all(posts).await?;
        Ok(posted.into_iter().map(|posted| posted.event_id).collect())
    }

    fn next_title(&mut self) -> String {
        self.posts += 1;
        format!("Post no. {}", self.posts)
    }
}
