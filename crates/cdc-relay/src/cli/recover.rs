//! The arguments of `recover`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cdc_store::{FailedEventId, ListPlace, Status};
use clap::{Args, Subcommand};

use super::After;

/// Arguments of `recover`.
#[derive(Debug, Args)]
pub(crate) struct Recover {
    #[command(subcommand)]
    pub(crate) action: RecoverAction,
}

/// What to do with failed events.
#[derive(Debug, Subcommand)]
pub(crate) enum RecoverAction {
    /// Collects dead letters into the store, and tells people, until it is told to stop.
    #[command(
        after_help = "It collects those of the notifier's group and of every group in [[recover.consumer]], and \
                            tells each reason once in a while to `recover.alert.webhook`.\n\n\
                            Example:\n  cdc-relay --config relay.toml recover run"
    )]
    Run,
    /// Lists failed events, the last failure first.
    #[command(after_help = "Examples:\n  cdc-relay recover list\n  \
                            cdc-relay recover list --code CDC0043 --newer-than 1h\n  \
                            cdc-relay recover list --status replayed --json | jq '.events[].id'")]
    List(Box<RecoverList>),
    /// Shows one failed event with its record, its error and what was done about it.
    #[command(after_help = "Examples:\n  cdc-relay recover show 17\n  \
                            cdc-relay recover show 17 --json | jq -r .payload")]
    Show(RecoverShow),
    /// Sends failed events again, in the order of their origin, and waits until Kafka has acknowledged them.
    #[command(
        after_help = "What the relay could not send goes where it would have gone. What a consumer group failed at \
                            goes to that group alone, as one more retry. Key, value, headers and event id are those of \
                            the first attempt. An event is held while it is sent, so that two operators don't send it \
                            twice; one whose replay was killed can be replayed again after two minutes, and may then \
                            arrive twice.\n\n\
                            With --missed it sends what an endpoint missed while it was disabled, as long as Kafka has \
                            it: once, in the order of its topics, to this endpoint alone. What was interrupted goes on \
                            when it is run again. What follows is not waited for: the endpoint may hear of later \
                            events before.\
                            \n\nExit status: 69 when some were not sent.\n\n\
                            Examples:\n  cdc-relay recover replay --code CDC0044 --dry-run\n  \
                            cdc-relay recover replay 17 18\n  \
                            cdc-relay recover replay --endpoint billing --newer-than 2d\n  \
                            cdc-relay recover replay --topic outbox.event.order --group billing --rate 100/s\n  \
                            cdc-relay recover replay 17 --payload-file corrected.json\n  \
                            cdc-relay recover replay --missed --endpoint billing --rate 100/s"
    )]
    Replay(Box<RecoverReplay>),
    /// Gives failed events up. They stay in the store, and are not sent again.
    #[command(
        after_help = "Examples:\n  cdc-relay recover discard 17 --note 'test data'\n  \
                            cdc-relay recover discard --older-than 90d --dry-run"
    )]
    Discard(Box<RecoverDiscard>),
    /// Counts failed events by status, and the open ones by reason.
    #[command(after_help = "Example:\n  cdc-relay recover stats --json | jq '.groups[0]'")]
    Stats(RecoverStats),
}

/// Arguments of `recover list`.
#[derive(Debug, Args)]
pub(crate) struct RecoverList {
    #[command(flatten)]
    pub(crate) filter: FilterArguments,
    /// Only events of this status: open, replaying, replayed or discarded; may be repeated. Default: those that
    /// somebody has to deal with, open and replaying.
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Vec<Status>,
    /// At most this many.
    #[arg(long, value_name = "N", default_value = "100")]
    pub(crate) limit: NonZeroU32,
    /// Goes on behind a list that was cut off, with what it said at its end.
    #[arg(long, value_name = "PLACE")]
    pub(crate) after: Option<After<ListPlace>>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `recover show`.
#[derive(Debug, Args)]
pub(crate) struct RecoverShow {
    /// The number of the event, as `recover list` shows it.
    pub(crate) id: FailedEventId,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `recover replay`.
#[derive(Debug, Args)]
pub(crate) struct RecoverReplay {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Sends, in place of failed events, what the endpoint missed while it was disabled; chosen by --topic, and by when
    /// it was missed.
    #[arg(long, requires = "endpoint", conflicts_with_all = [
        "ids", "all", "group", "key", "code", "fingerprint", "payload_file",
    ])]
    pub(crate) missed: bool,
    /// Sends at most N events a second.
    #[arg(long, value_name = "N/s")]
    pub(crate) rate: Option<Rate>,
    /// Gives the one event that is meant this payload first, for good; the one that it had stays in its history.
    #[arg(long, value_name = "FILE")]
    pub(crate) payload_file: Option<PathBuf>,
}

/// Arguments of `recover discard`.
#[derive(Debug, Args)]
pub(crate) struct RecoverDiscard {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Why, for those who look later.
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
}

/// Arguments of `recover stats`.
#[derive(Debug, Args)]
pub(crate) struct RecoverStats {
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which open events to change, and how to tell of it.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Numbers of events, as `recover list` shows them. With filters too, both must hold.
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<FailedEventId>,
    #[command(flatten)]
    pub(crate) filter: FilterArguments,
    /// Every open event.
    #[arg(long)]
    pub(crate) all: bool,
    /// At most this many, the first ones by their origin.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZeroU32>,
    /// Only says what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Who does it, for those who look later.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(crate) by: String,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which events are meant: those for which everything that is given holds.
#[derive(Debug, Args)]
pub(crate) struct FilterArguments {
    /// Only events for this topic, or read from it.
    #[arg(long)]
    pub(crate) topic: Option<String>,
    /// Only events that this consumer group failed at.
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// Only events that did not reach this webhook endpoint.
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
    /// Only events with this key.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Only events that failed with this error code, such as CDC0043.
    #[arg(long)]
    pub(crate) code: Option<String>,
    /// Only events that failed for this reason, as `recover stats` shows it.
    #[arg(long)]
    pub(crate) fingerprint: Option<String>,
    /// Only events that failed last longer ago than this, such as 90m or 7d.
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    pub(crate) older_than: Option<Duration>,
    /// Only events that failed last since this long ago.
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    pub(crate) newer_than: Option<Duration>,
}

/// Events a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate(NonZeroU32);

impl Rate {
    /// Events a second, at least one.
    pub(crate) fn per_second(self) -> u32 {
        self.0.get()
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        number
            .parse()
            .map(Self)
            .map_err(|_| "expected a whole number a second, from 1, such as 100/s".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_a_second() {
        assert_eq!("100/s".parse::<Rate>().unwrap().per_second(), 100);
        assert_eq!("1".parse::<Rate>().unwrap().per_second(), 1);
        for text in ["", "0/s", "-1", "1/m", "0.5/s", "/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text:?} was taken");
        }
    }
}
