//! The faults.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::process::Signal;
use crate::random::Random;
use crate::relay::Relay;
use crate::scenario::Scenario;
use crate::services::Component;

/// How long the relay may take to stop in good order.
pub(super) const STOP: Duration = Duration::from_secs(30);

/// For how long things are frozen.
const FREEZE: Range<Duration> = Duration::from_millis(200)..Duration::from_secs(6);

/// Something that goes wrong, and is put right from the outside: what is down is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL to the relay.
    KillRelay,
    /// SIGTERM to the relay, as in a deployment.
    StopRelay,
    /// SIGSTOP to the relay for a while.
    FreezeRelay,
    /// SIGKILL to the broker.
    KillKafka,
    /// SIGSTOP to the broker for a while.
    FreezeKafka,
    /// SIGKILL to PostgreSQL with all its processes.
    KillPostgres,
    /// A fast shutdown of PostgreSQL.
    RestartPostgres,
    /// An immediate shutdown of PostgreSQL: connections are cut, recovery follows.
    StopPostgresImmediately,
    /// SIGSTOP to all processes of PostgreSQL for a while.
    FreezePostgres,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::KillRelay,
        Self::StopRelay,
        Self::FreezeRelay,
        Self::KillKafka,
        Self::FreezeKafka,
        Self::KillPostgres,
        Self::RestartPostgres,
        Self::StopPostgresImmediately,
        Self::FreezePostgres,
    ];

    /// Does it. Gives back the relay that runs afterwards, and a moment at which the way through was shut or, if something
    /// was frozen, was opened again: an event that was committed after it and arrives proves the recovery.
    pub(super) async fn strike(
        self,
        scenario: &Scenario,
        relay: Relay,
        random: &mut Random,
    ) -> Result<(Relay, Instant)> {
        let moment = match self {
            Self::KillRelay => {
                relay.kill_9().await?;
                let ended = Instant::now();
                return Ok((scenario.start_relay()?, ended));
            }
            Self::StopRelay => {
                let exit = relay.sigterm(STOP).await?;
                let ended = Instant::now();
                ensure!(
                    exit.status.success(),
                    "the relay ended with {}",
                    exit.status
                );
                return Ok((scenario.start_relay()?, ended));
            }
            Self::FreezeRelay => {
                relay.pid().send(Signal::Stop)?;
                tokio::time::sleep(random.duration(FREEZE)).await;
                relay.pid().send(Signal::Continue)?;
                Instant::now()
            }
            Self::KillKafka => kill(scenario, Component::Kafka).await?,
            Self::FreezeKafka => freeze(scenario, Component::Kafka, random).await?,
            Self::KillPostgres => kill(scenario, Component::Postgres).await?,
            Self::RestartPostgres => {
                scenario.servers()?.stop(Component::Postgres).await?;
                start_again(scenario, Component::Postgres).await?
            }
            Self::StopPostgresImmediately => {
                scenario.servers()?.stop_postgres_immediately().await?;
                start_again(scenario, Component::Postgres).await?
            }
            Self::FreezePostgres => freeze(scenario, Component::Postgres, random).await?,
        };
        Ok((relay, moment))
    }
}

async fn kill(scenario: &Scenario, component: Component) -> Result<Instant> {
    scenario.servers()?.kill(component).await?;
    start_again(scenario, component).await
}

async fn start_again(scenario: &Scenario, component: Component) -> Result<Instant> {
    let down = Instant::now();
    scenario.servers()?.start_again(component).await?;
    Ok(down)
}

async fn freeze(scenario: &Scenario, component: Component, random: &mut Random) -> Result<Instant> {
    let servers = scenario.servers()?;
    servers.freeze(component)?;
    tokio::time::sleep(random.duration(FREEZE)).await;
    servers.thaw(component)?;
    Ok(Instant::now())
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KillRelay => "relay killed (-9)",
            Self::StopRelay => "relay stopped (SIGTERM)",
            Self::FreezeRelay => "relay frozen",
            Self::KillKafka => "Kafka killed (-9)",
            Self::FreezeKafka => "Kafka frozen",
            Self::KillPostgres => "PostgreSQL killed (-9)",
            Self::RestartPostgres => "PostgreSQL restarted",
            Self::StopPostgresImmediately => "PostgreSQL stopped (immediate)",
            Self::FreezePostgres => "PostgreSQL frozen",
        })
    }
}
