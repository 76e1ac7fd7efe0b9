//! How a member takes part in its group.

use std::time::Duration;

use crate::error::Error;

/// How a member takes part in its group. Records of transactions that were not committed are never seen, whatever is
/// set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// The consumer group.
    pub group: String,
    /// The topics, by their names. One that does not exist is waited for.
    pub topics: Vec<String>,
    /// Static membership: who starts again under this id within the session timeout gets its partitions back, without
    /// the others noticing. Two members must never have the same; the older one fails then.
    pub instance_id: Option<String>,
    /// How partitions move between members; the same for all members of the group.
    pub assignment: Assignment,
    /// Where a partition starts that the group has committed nothing for.
    pub start: Start,
    /// How long a [`Revocation`](super::Revocation) is waited for.
    pub revoke_deadline: Duration,
    /// How long a stored offset may wait to be committed; about twice that until it is.
    pub commit_interval: Duration,
    /// After this long without a poll, or in a rebalance, the group goes on without this member. Polling goes on
    /// whatever the application does, so that this bounds rebalances. Longer than the revoke deadline, and at least
    /// `session.timeout.ms` if that is set.
    pub max_poll_interval: Duration,
}

/// How partitions move between the members of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Assignment {
    /// Only those partitions are given up that move. librdkafka fetches nothing for this member until they are, so that
    /// the others wait too.
    #[default]
    CooperativeSticky,
    /// Every member gives up all its partitions at each rebalance.
    Eager,
}

/// Where a partition starts that the group has committed nothing for.
///
/// A committed offset whose record is gone (by retention, or because the topic was made anew) starts at the earliest
/// record in any case, with a warning of librdkafka in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// At the first record that is kept.
    #[default]
    Earliest,
    /// At the end. It is committed as soon as the partition is assigned, so that nothing is skipped a second time.
    Latest,
}

/// Bounds of what goes to librdkafka as milliseconds.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The session timeout where none is set; less if the poll interval is shorter. The partitions of a process that was killed
/// wait for that long. Kafka's 45 s are for processes that may stop to collect garbage; these do not.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// The same for a static member, whose partitions wait for it and no other: Kafka's default. A session that ends while
/// Kafka is away can end the member too: librdkafka rejoins at once, and a commit of before is answered by
/// `FencedInstanceId`, which it takes for the end.
const STATIC_SESSION_TIMEOUT: Duration = Duration::from_secs(45);

impl ConsumerSettings {
    /// Settings with the defaults: cooperative, from the earliest record; 30 s to finish, commits each second, a poll
    /// interval of a minute. Kafka's own five minutes are for those who poll between records; here they would only make
    /// rebalances wait longer for a member that is gone.
    #[must_use]
    pub fn new(group: impl Into<String>, topics: Vec<String>) -> Self {
        Self {
            group: group.into(),
            topics,
            instance_id: None,
            assignment: Assignment::default(),
            start: Start::default(),
            revoke_deadline: Duration::from_secs(30),
            commit_interval: Duration::from_secs(1),
            max_poll_interval: Duration::from_secs(60),
        }
    }

    /// Finds what cannot be meant.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let refused = |reason| {
            Err(Error::InvalidConsumer {
                group: self.group.clone(),
                reason,
            })
        };
        if self.group.is_empty() || self.group.contains('\0') {
            return refused("the name of the group must not be empty and has no NUL");
        }
        if self.instance_id.as_deref().is_some_and(|id| !is_name(id)) {
            return refused(
                "an instance id has 1 to 249 letters, digits, dots, underscores and hyphens",
            );
        }
        if self.topics.is_empty() {
            return refused("there is no topic to read");
        }
        // librdkafka would take a name that begins with `^` for a pattern.
        if !self.topics.iter().all(|topic| is_name(topic)) {
            return refused(
                "the name of a topic has 1 to 249 letters, digits, dots, underscores and hyphens",
            );
        }
        if self.commit_interval.is_zero() || self.commit_interval > LONGEST {
            return refused("the commit interval must be above zero, and a day at most");
        }
        if self.max_poll_interval > LONGEST {
            return refused("the poll interval must be a day at most");
        }
        if self.revoke_deadline >= self.max_poll_interval {
            return refused(
                "the revoke deadline must be shorter than the poll interval: a rebalance does not wait longer",
            );
        }
        Ok(())
    }

    /// What goes to librdkafka, whatever a user says.
    pub(crate) fn properties(&self) -> Vec<(&'static str, String)> {
        let milliseconds = |duration: Duration| duration.as_millis().max(1).to_string();
        let strategy = match self.assignment {
            Assignment::CooperativeSticky => "cooperative-sticky",
            Assignment::Eager => "range",
        };
        let mut properties = vec![
            ("group.id", self.group.clone()),
            ("partition.assignment.strategy", strategy.to_owned()),
            (
                "auto.commit.interval.ms",
                milliseconds(self.commit_interval),
            ),
            ("max.poll.interval.ms", milliseconds(self.max_poll_interval)),
        ];
        if let Some(id) = &self.instance_id {
            properties.push(("group.instance.id", id.clone()));
        }
        properties
    }

    /// `session.timeout.ms` unless a user sets it: librdkafka takes none that is longer than the poll interval.
    pub(crate) fn session_timeout(&self) -> String {
        let wanted = match self.instance_id {
            Some(_) => STATIC_SESSION_TIMEOUT,
            None => SESSION_TIMEOUT,
        };
        wanted.min(self.max_poll_interval).as_millis().to_string()
    }
}

fn is_name(name: &str) -> bool {
    (1..=249).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Disposition;

    fn settings() -> ConsumerSettings {
        ConsumerSettings::new("g", vec!["a.b_c-1".into()])
    }

    #[test]
    fn a_static_member_is_missed_later_and_never_after_the_poll_interval() {
        let mut settings = settings();
        assert_eq!(settings.session_timeout(), "10000");
        settings.instance_id = Some("one".into());
        assert_eq!(settings.session_timeout(), "45000");
        settings.max_poll_interval = Duration::from_secs(20);
        assert_eq!(settings.session_timeout(), "20000");
    }

    #[test]
    fn refuses_what_cannot_be_meant() {
        settings().validate().unwrap();
        let wrong: [fn(&mut ConsumerSettings); 9] = [
            |settings| settings.group.clear(),
            |settings| settings.instance_id = Some("a b".into()),
            |settings| settings.topics.clear(),
            |settings| settings.topics.push("^outbox.*".into()),
            |settings| settings.topics.push("x".repeat(250)),
            |settings| settings.commit_interval = Duration::ZERO,
            |settings| settings.commit_interval = LONGEST * 2,
            |settings| settings.max_poll_interval = LONGEST * 2,
            |settings| settings.revoke_deadline = settings.max_poll_interval,
        ];
        for (number, change) in wrong.into_iter().enumerate() {
            let mut settings = settings();
            change(&mut settings);
            let error = settings.validate().expect_err(&number.to_string());
            assert_eq!(error.disposition(), Disposition::Permanent);
        }
    }
}
