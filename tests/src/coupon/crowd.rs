//! Many users who apply at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Answer, User, apply};
use crate::wait::Wait;

/// How long a user goes on trying.
const LIMIT: Duration = Duration::from_secs(90);

/// Sockets that are open at the same time: each is a file here and one in the service.
const AT_ONCE: usize = 400;

/// Whether a user who gets no answer tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// No: that there is none is an error.
    None,
    /// Until there is one: the service or its servers are broken on purpose.
    Endless,
}

/// What each of them was told last, and how often each was told that it had been accepted.
#[derive(Debug, Default, Clone)]
pub struct Crowd {
    numbers: BTreeMap<User, BTreeSet<i64>>,
    accepted: BTreeMap<User, usize>,
    sold_out: BTreeSet<User>,
}

impl Crowd {
    /// Lets all users in `users` apply, one request for each time that they are in it, as many at once as there can be.
    ///
    /// # Errors
    /// Fails if one gets no answer.
    pub async fn apply(
        address: SocketAddr,
        users: impl IntoIterator<Item = User>,
        patience: Patience,
    ) -> Result<Self> {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        for user in users {
            let room = Arc::clone(&room);
            running.spawn(async move {
                let _place = room.acquire().await?;
                let answer = match patience {
                    Patience::None => apply(address, user).await?,
                    Patience::Endless => insist(address, user).await?,
                };
                anyhow::Ok((user, answer))
            });
        }
        let mut crowd = Self::default();
        while let Some(ended) = running.join_next().await {
            let (user, answer) = ended??;
            crowd.told(user, answer);
        }
        Ok(crowd)
    }

    fn told(&mut self, user: User, answer: Answer) {
        match answer {
            Answer::Accepted(number) => {
                *self.accepted.entry(user).or_default() += 1;
                self.numbers.entry(user).or_default().insert(number);
            }
            Answer::AlreadyApplied(number) => {
                self.numbers.entry(user).or_default().insert(number);
            }
            Answer::SoldOut => {
                self.sold_out.insert(user);
            }
        }
    }

    /// The number that each of those got who got one.
    ///
    /// # Errors
    /// Fails if a user was told two, or was accepted more than once.
    pub fn numbers(&self) -> Result<BTreeMap<User, i64>> {
        let twice: Vec<_> = self.accepted.iter().filter(|(_, n)| **n > 1).collect();
        ensure!(twice.is_empty(), "accepted more than once: {twice:?}");
        let mut numbers = BTreeMap::new();
        for (user, told) in &self.numbers {
            let several = || format!("user {user} was told {told:?}");
            ensure!(told.len() == 1, several());
            numbers.extend(told.first().map(|number| (*user, *number)));
        }
        Ok(numbers)
    }

    /// How many were told that nothing is left.
    pub fn sold_out(&self) -> usize {
        self.sold_out.len()
    }
}

async fn insist(address: SocketAddr, user: User) -> Result<Answer> {
    let wait = Wait::new(LIMIT, "an answer to an applicant");
    loop {
        match apply(address, user).await {
            Ok(answer) => return Ok(answer),
            Err(error) => wait.again(format!("user {user}: {error:#}")).await?,
        }
    }
}
