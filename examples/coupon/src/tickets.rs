//! The tickets in Redis: who is first is decided here, in a script that nothing can come between.
//!
//! Redis may forget everything at any time. What it forgot is restored from PostgreSQL, whose unique keys have the last
//! word: a ticket that was given twice is found out there.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, RedisResult, Script};

use crate::numbers::{Sequence, UserId};
use crate::settings::SecretUrl;

/// How long Redis may take to answer, or a connection to be there.
const LIMIT: Duration = Duration::from_secs(5);

/// The tickets that are left, and who holds one.
pub(crate) struct Tickets {
    connection: ConnectionManager,
    keys: Keys,
    claim: Script,
    release: Script,
    restore: Script,
}

/// Keys of Redis. The braces put them on the same node of a cluster.
#[derive(Debug)]
struct Keys {
    /// A hash: the user's ticket.
    claims: String,
    /// A list: tickets that nobody holds, the lowest first.
    tickets: String,
    /// There if the other two are as they should be.
    ready: String,
}

/// The answer to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The user holds this one from now on.
    New(Sequence),
    /// The user has held this one since an earlier claim.
    Held(Sequence),
    /// None is left.
    None,
    /// Redis has forgotten everything: [`Tickets::restore`] first.
    Forgotten,
}

/// Why a ticket is taken away from a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// Another user has it, or there is no such coupon.
    Invalid,
    /// The user has another one.
    Instead(Sequence),
}

/// What it took to restore the tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restored {
    /// Users whose ticket Redis did not know.
    pub(crate) corrected: usize,
    /// Tickets that are left.
    pub(crate) free: usize,
}

impl Tickets {
    /// Connects; later the connection is made anew whenever it was lost.
    ///
    /// # Errors
    ///
    /// The URL cannot be read, or Redis cannot be reached.
    pub(crate) async fn open(url: &SecretUrl, prefix: &str) -> Result<Self> {
        // The error would repeat what it could not read.
        let client = redis::Client::open(url.reveal())
            .map_err(|_| anyhow::anyhow!("REDIS_URL is no URL of a Redis server"))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(LIMIT))
            .set_response_timeout(Some(LIMIT))
            .set_max_delay(Duration::from_millis(500));
        let connection = ConnectionManager::new_with_config(client, config)
            .await
            .context("connect to Redis")?;
        Ok(Self {
            connection,
            keys: Keys {
                claims: format!("{{{prefix}}}:claims"),
                tickets: format!("{{{prefix}}}:tickets"),
                ready: format!("{{{prefix}}}:ready"),
            },
            claim: Script::new(include_str!("tickets/claim.lua")),
            release: Script::new(include_str!("tickets/release.lua")),
            restore: Script::new(include_str!("tickets/restore.lua")),
        })
    }

    /// Gives the user a ticket, or says which one it is already.
    ///
    /// # Errors
    ///
    /// Redis cannot be reached; the user may have got a ticket all the same, which the next claim finds.
    pub(crate) async fn claim(&self, user: UserId) -> Result<Claim> {
        let answer = match self.ask_for_ticket(user).await {
            // It may have broken long ago, while nobody asked for anything. Asking again is harmless.
            Err(error) if error.is_connection_dropped() => self.ask_for_ticket(user).await,
            answer => answer,
        };
        let (answer, ticket) = answer.context("could not claim a ticket")?;
        let sequence = || Ok::<_, anyhow::Error>(Sequence(ticket.parse()?));
        Ok(match answer.as_str() {
            "new" => Claim::New(sequence()?),
            "held" => Claim::Held(sequence()?),
            "none" => Claim::None,
            "forgotten" => Claim::Forgotten,
            other => bail!("the script for claims said {other:?}"),
        })
    }

    async fn ask_for_ticket(&self, user: UserId) -> RedisResult<(String, String)> {
        let mut connection = self.connection.clone();
        self.claim
            .key(&self.keys.claims)
            .key(&self.keys.tickets)
            .key(&self.keys.ready)
            .arg(user.0)
            .invoke_async(&mut connection)
            .await
    }

    /// Takes a ticket away from a user, unless the user has another one by now.
    ///
    /// # Errors
    ///
    /// Redis cannot be reached; the next claim of the user finds out the same again.
    pub(crate) async fn release(&self, user: UserId, ticket: Sequence, why: Release) -> Result<()> {
        let (instead, reusable) = match why {
            Release::Invalid => (String::new(), 0),
            Release::Instead(other) => (other.to_string(), 1),
        };
        let mut connection = self.connection.clone();
        self.release
            .key(&self.keys.claims)
            .key(&self.keys.tickets)
            .arg(user.0)
            .arg(ticket.0)
            .arg(instead)
            .arg(reusable)
            .invoke_async::<i64>(&mut connection)
            .await
            .context("could not release a ticket")?;
        Ok(())
    }

    /// Makes Redis know what PostgreSQL knows; claims that are not there yet are kept. May run while others claim.
    ///
    /// # Errors
    ///
    /// Redis cannot be reached.
    pub(crate) async fn restore(
        &self,
        coupons: i32,
        applications: &HashMap<UserId, Sequence>,
    ) -> Result<Restored> {
        let mut restore = self.restore.key(&self.keys.claims);
        restore.key(&self.keys.tickets).key(&self.keys.ready);
        restore.arg(coupons);
        for (user, ticket) in applications {
            restore.arg(user.0).arg(ticket.0);
        }
        let mut connection = self.connection.clone();
        let (corrected, free) = restore
            .invoke_async(&mut connection)
            .await
            .context("could not restore the tickets")?;
        Ok(Restored { corrected, free })
    }

    /// Who holds which ticket.
    ///
    /// # Errors
    ///
    /// Redis cannot be reached.
    pub(crate) async fn claims(&self) -> Result<HashMap<UserId, Sequence>> {
        let mut connection = self.connection.clone();
        let claims: HashMap<i64, i32> = connection
            .hgetall(&self.keys.claims)
            .await
            .context("could not read the claims")?;
        let claims = claims.into_iter();
        Ok(claims
            .map(|(user, ticket)| (UserId(user), Sequence(ticket)))
            .collect())
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
