//! Where users apply: a ticket from Redis, then the application in PostgreSQL, then its event, if that is not made there.
//!
//! Between any two anything may happen. A user who comes again holds the same ticket still, and goes on where it
//! stopped; for those who do not come again there is `coupon-service reconcile`.

use anyhow::{Result, bail};
use tokio::sync::Semaphore;

use crate::announcing::Announcing;
use crate::applications::{Applications, Recorded};
use crate::database::Database;
use crate::numbers::{Sequence, UserId};
use crate::settings::{Settings, Step};
use crate::tickets::{Claim, Release, Restored, Tickets};

/// A ticket that turns out to be another's costs a round. Only those that were under way when Redis forgot them do.
const ROUNDS: u32 = 1_000;

/// Takes applications.
#[derive(Debug)]
pub(crate) struct Desk {
    database: Database,
    tickets: Tickets,
    announcing: Announcing,
    coupons: i32,
    crash_after: Option<Step>,
    /// Whoever has it may restore the tickets; the others look again after that.
    restoring: Semaphore,
}

/// What an applicant is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A coupon with this number will be issued.
    Accepted(Sequence),
    /// That was said before.
    AlreadyApplied(Sequence),
    /// All coupons are gone.
    SoldOut,
}

impl Desk {
    /// Opens the campaign, and makes Redis know what PostgreSQL knows.
    ///
    /// # Errors
    ///
    /// One of them cannot be reached; a setting cannot be used.
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        let desk = Self {
            database: Database::open(&settings.database_url).await?,
            tickets: Tickets::open(&settings.redis_url, &settings.redis_prefix).await?,
            announcing: Announcing::start(settings)?,
            coupons: settings.coupon_limit,
            crash_after: settings.crash_after,
            restoring: Semaphore::new(1),
        };
        desk.applications()
            .open(settings.coupon_limit, settings.discount)
            .await?;
        desk.restore().await?;
        Ok(desk)
    }

    /// The database behind it.
    pub(crate) const fn database(&self) -> &Database {
        &self.database
    }

    /// The tickets that it gives.
    pub(crate) const fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// The applications that it has taken.
    pub(crate) const fn applications(&self) -> Applications<'_> {
        Applications {
            database: &self.database,
            announcing: &self.announcing,
        }
    }

    /// How its applications become events.
    pub(crate) const fn announcing(&self) -> &Announcing {
        &self.announcing
    }

    /// Takes an application. May be repeated, also after an error or a crash: the number stays the same.
    ///
    /// # Errors
    ///
    /// Redis or PostgreSQL cannot be reached. The application may count all the same.
    pub(crate) async fn apply(&self, user: UserId) -> Result<Answer> {
        for _ in 0..ROUNDS {
            let (ticket, is_new) = match self.tickets.claim(user).await? {
                Claim::New(ticket) => (ticket, true),
                Claim::Held(ticket) => (ticket, false),
                Claim::None => return Ok(Answer::SoldOut),
                Claim::Forgotten => {
                    self.restore_if_forgotten(user).await?;
                    continue;
                }
            };
            if is_new {
                self.crash_if_told_to(Step::Redis);
            }
            let applications = self.applications();
            match applications.record(user, ticket).await? {
                Recorded::New => {
                    self.crash_if_told_to(Step::Commit);
                    applications.announce(Some(user)).await?;
                    return Ok(Answer::Accepted(ticket));
                }
                Recorded::Already(number) => {
                    // The first time may have ended before the event was sent.
                    applications.announce(Some(user)).await?;
                    if number != ticket {
                        let why = Release::Instead(number);
                        self.tickets.release(user, ticket, why).await?;
                    }
                    return Ok(Answer::AlreadyApplied(number));
                }
                Recorded::Taken | Recorded::BeyondLimit => {
                    self.tickets.release(user, ticket, Release::Invalid).await?;
                }
            }
        }
        bail!("{ROUNDS} tickets for user {user} were not valid");
    }

    /// Makes Redis know what PostgreSQL knows.
    ///
    /// # Errors
    ///
    /// One of them cannot be reached.
    pub(crate) async fn restore(&self) -> Result<Restored> {
        let applications = self.applications().all().await?;
        self.tickets.restore(self.coupons, &applications).await
    }

    fn crash_if_told_to(&self, after: Step) {
        if self.crash_after == Some(after) {
            // As a kill would: nothing is told, nothing is cleaned up.
            std::process::abort();
        }
    }

    async fn restore_if_forgotten(&self, user: UserId) -> Result<()> {
        let _turn = self.restoring.acquire().await?;
        if self.tickets.claim(user).await? == Claim::Forgotten {
            let Restored { corrected, free } = self.restore().await?;
            tracing::warn!(
                applications = corrected,
                tickets = free,
                "Redis had forgotten the tickets; they are restored"
            );
        }
        Ok(())
    }
}
