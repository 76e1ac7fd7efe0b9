//! How a session ends: by an error, at something that stays, or in order.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{RelaySession, Stepped};
use crate::relay::error::RelayError;
use crate::relay::topic::KnownTopics;

/// The least that PostgreSQL gets to take the last position, however late it is.
const FAREWELL: Duration = Duration::from_millis(200);

impl RelaySession<'_> {
    /// Lets go of both sides after an error, and leaves what is known of topics that take nothing. The old producer must
    /// be gone before a new one sends, or its records could arrive after newer ones.
    pub(in crate::relay) async fn abandon(self, limit: Duration) -> KnownTopics {
        drop(self.stream);
        if !self.outbound.close(limit).await {
            tracing::warn!(
                "the Kafka producer did not end in time; it goes on ending in the background"
            );
        }
        self.pipeline.into_refused_topics()
    }

    /// Stops at something that stays until somebody deals with it. That may mean to move the slot past it, and so past
    /// everything that is not confirmed: what came before is therefore delivered and confirmed first, as far as that
    /// goes within `deadline`.
    pub(in crate::relay) async fn stop_short(mut self, deadline: Instant) {
        let drained = timeout_at(deadline, self.drain_before_the_fault()).await;
        let confirmed = matches!(drained, Ok(Ok(())));
        if !self.close(deadline).await.is_ok_and(|()| confirmed) {
            tracing::warn!(
                "the slot may stand before events that are not to blame; to move it by hand would skip them too"
            );
        }
    }

    /// Stops in order: the open transaction is finished, what is in flight is awaited, the position is
    /// confirmed; all within `deadline`. What could not be confirmed is streamed again by the next start.
    pub(in crate::relay) async fn stop(mut self, deadline: Instant) -> Result<(), RelayError> {
        self.stopping = true;
        let drained = timeout_at(deadline, async {
            // Rows of a table can be read on from any of them.
            while self.backfill.is_none()
                && (self.pipeline.in_transaction() || self.waiting.is_some())
            {
                if let Stepped::Refused(error) = self.step().await? {
                    self.refused(error).await?;
                }
            }
            self.drain().await
        })
        .await;
        if let Ok(result) = drained {
            result?;
        } else {
            tracing::warn!(
                records = self.outbound.in_flight().records,
                "not drained in time; what Kafka has not acknowledged is sent again by the next start"
            );
        }
        self.close(deadline).await
    }

    /// Waits until everything that was sent is in Kafka, with its checkpoint.
    pub(super) async fn drain(&mut self) -> Result<(), RelayError> {
        loop {
            if self.outbound.is_committing() {
                self.finish_commit().await?;
            }
            self.settle()?;
            if self.outbound.is_settled() {
                return Ok(());
            }
            self.go_on_draining().await?;
        }
    }

    /// As far as it goes: that a record was refused is known, or makes no difference any more.
    async fn drain_before_the_fault(&mut self) -> Result<(), RelayError> {
        loop {
            if self.outbound.is_committing() {
                self.finish_commit().await?;
            }
            self.settle().ok();
            if self.outbound.is_settled_before_the_refused()
                || !self.outbound.can_note(self.relay)?
            {
                return Ok(());
            }
            self.go_on_draining().await?;
        }
    }

    async fn go_on_draining(&mut self) -> Result<(), RelayError> {
        let due = self.outbound.due(false, false).is_some();
        if due && self.outbound.advance(self.pipeline.partial())? {
            return Ok(());
        }
        self.delivered().await
    }

    async fn close(self, deadline: Instant) -> Result<(), RelayError> {
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(FAREWELL);
        let confirmed = self.stream.close(left).await;
        if !self.outbound.close(FAREWELL).await {
            tracing::debug!("the Kafka producer goes on ending in the background");
        }
        match confirmed {
            Ok(confirmed) => {
                tracing::info!(%confirmed, "stopped");
                Ok(())
            }
            Err(source) => Err(RelayError::Postgres {
                doing: "confirm the last position",
                source,
            }),
        }
    }
}
