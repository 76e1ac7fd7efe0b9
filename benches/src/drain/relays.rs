//! Relays that drain a backlog together, each from a slot of its own.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cdc_e2e::database::Session;
use cdc_e2e::process::Kibibytes;
use cdc_e2e::relay::Relay;

use crate::outbox::{Outbox, Stream};
use crate::walsender::WalsenderClock;

/// How long one may take to stop.
const STOP: Duration = Duration::from_secs(30);

/// Running relays with their walsenders.
pub(super) struct Relays(Vec<Running>);

struct Running {
    relay: Relay,
    walsender: WalsenderClock,
}

/// CPU time of all together.
#[derive(Debug, Clone, Copy)]
pub(super) struct CpuTime {
    pub(super) relays: Duration,
    /// When it was [looked at](Relays::look_at_walsenders) last.
    pub(super) walsenders: Duration,
}

impl Relays {
    /// Starts one for each stream.
    pub(super) fn start(outbox: &Outbox, streams: &[Stream]) -> Result<Self> {
        let start = |stream: &Stream| {
            Ok(Running {
                relay: outbox.start_relay(stream)?,
                walsender: WalsenderClock::new(stream.slot()),
            })
        };
        streams.iter().map(start).collect::<Result<_>>().map(Self)
    }

    /// Fails if one has ended by itself.
    pub(super) fn all_run(&mut self) -> Result<()> {
        let run = self.0.iter_mut().all(|running| running.relay.is_running());
        ensure!(run, "a relay has ended by itself");
        Ok(())
    }

    /// Reads the walsenders' clocks. Call it often.
    pub(super) async fn look_at_walsenders(&mut self, session: &Session) -> Result<()> {
        for running in &mut self.0 {
            running.walsender.look(session).await?;
        }
        Ok(())
    }

    /// How many events they have delivered, as they say themselves: in transactions, those that are committed.
    pub(super) async fn delivered(&self) -> Result<u64> {
        let mut events = 0;
        for running in &self.0 {
            let status = running.relay.admin().status().await?;
            let total = status["events_total"].as_u64();
            events += total.with_context(|| format!("no number of events: {status}"))?;
        }
        Ok(events)
    }

    /// What they have used so far.
    pub(super) fn cpu_time(&self) -> Result<CpuTime> {
        let relays = self.0.iter().map(|running| running.relay.pid().cpu_time());
        Ok(CpuTime {
            relays: relays.sum::<Result<_>>()?,
            walsenders: self.0.iter().map(|running| running.walsender.used()).sum(),
        })
    }

    /// Has them stop in good order. The most memory that one of them had resident.
    pub(super) async fn stop(self) -> Result<Kibibytes> {
        let mut peak = Kibibytes::default();
        for running in self.0 {
            let exit = running.relay.sigterm(STOP).await?;
            ensure!(exit.status.success(), "a relay: {}", exit.status);
            peak = peak.max(exit.peak);
        }
        Ok(peak)
    }
}
