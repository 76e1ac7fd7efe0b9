//! `cdc-relay recover stats`.

use bytesize::ByteSize;
use cdc_store::{FailedEvents, Stats};

use super::{json, say_json, text, told};
use crate::cli::RecoverStats;
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal::say;

/// Reasons that are shown; the rest is the long tail.
const GROUPS: u32 = 50;

pub(super) async fn run(
    arguments: &RecoverStats,
    mut store: FailedEvents,
    config: &Config,
) -> Result<(), Failure> {
    let stats = store.stats(GROUPS).await.map_err(told(config))?;
    if arguments.json {
        return say_json(&json::stats(&stats));
    }
    say(rendered(&stats));
    Ok(())
}

fn rendered(stats: &Stats) -> String {
    let mut statuses = vec![["STATUS", "EVENTS", "PAYLOAD", "OLDEST"].map(str::to_owned)];
    statuses.extend(stats.statuses.iter().map(|count| {
        [
            count.status.to_string(),
            count.events.to_string(),
            ByteSize(count.payload_bytes).to_string(),
            count.oldest.map_or("-".to_owned(), text::time),
        ]
    }));
    if stats.groups.is_empty() {
        return text::aligned(&statuses);
    }
    let mut groups = vec![
        [
            "OPEN",
            "CODE",
            "SLOT OR GROUP",
            "TOPIC",
            "LAST FAILURE",
            "REASON",
        ]
        .map(str::to_owned),
    ];
    groups.extend(stats.groups.iter().map(|group| {
        [
            group.events.to_string(),
            group.code.clone(),
            group.scope.clone(),
            group.topic.clone().unwrap_or_else(|| "-".to_owned()),
            text::time(group.last_failed_at),
            group.fingerprint.to_string(),
        ]
    }));
    format!("{}\n\n{}", text::aligned(&statuses), text::aligned(&groups))
}
