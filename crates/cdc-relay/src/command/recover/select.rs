//! Which events a change is for.

use std::collections::BTreeSet;

use cdc_store::{FailedEventId, FailedEvents, Filter, Fingerprint, Status};

use super::told;
use crate::cli::{FilterArguments, Selection};
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// The events that were chosen.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Open ones with a record, in the order of their origins.
    pub(super) replayable: Vec<FailedEventId>,
    /// Open ones of which no record could be made.
    pub(super) without_record: Vec<FailedEventId>,
    /// Those that were named and are not open, each with why.
    pub(super) unavailable: Vec<(FailedEventId, String)>,
}

/// What the arguments say, for any status.
pub(super) fn filter(arguments: &FilterArguments) -> Filter {
    Filter {
        topic: arguments.topic.clone(),
        group: arguments.group.clone(),
        part: arguments.endpoint.clone(),
        key: arguments.key.clone().map(String::into_bytes),
        code: arguments.code.clone(),
        fingerprint: arguments.fingerprint.clone().map(Fingerprint::from_text),
        older_than: arguments.older_than,
        newer_than: arguments.newer_than,
        ..Filter::default()
    }
}

/// Looks up which events are meant, and changes nothing.
pub(super) async fn choose(
    selection: &Selection,
    store: &mut FailedEvents,
    config: &Config,
) -> Result<Chosen, Failure> {
    let wanted = Filter {
        ids: selection.ids.clone(),
        ..filter(&selection.filter)
    };
    if wanted == Filter::default() && !selection.all {
        return Err(Failure::new(
            ErrorCode::Argument,
            "it was not said which events are meant",
            "give their numbers, a filter such as --code, or --all for every open event",
        ));
    }
    let limit = selection.limit.map_or(u32::MAX, Into::into);
    let selected = store.select(&wanted, limit).await.map_err(told(config))?;
    let found: BTreeSet<FailedEventId> = selected.iter().map(|selected| selected.id).collect();
    let of = |replayable| {
        let matching = selected
            .iter()
            .filter(|selected| selected.replayable == replayable);
        matching.map(|selected| selected.id).collect()
    };
    // What a limit cuts off is not missing.
    let missing: Vec<FailedEventId> = match selection.limit {
        None => selection
            .ids
            .iter()
            .copied()
            .filter(|id| !found.contains(id))
            .collect(),
        Some(_) => Vec::new(),
    };
    Ok(Chosen {
        replayable: of(true),
        without_record: of(false),
        unavailable: why(&missing, &wanted, store, config).await?,
    })
}

/// Why events that were named were not selected.
async fn why(
    missing: &[FailedEventId],
    wanted: &Filter,
    store: &mut FailedEvents,
    config: &Config,
) -> Result<Vec<(FailedEventId, String)>, Failure> {
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let named = Filter {
        ids: missing.to_vec(),
        ..Filter::default()
    };
    let limited = u32::try_from(missing.len()).unwrap_or(u32::MAX);
    let there = store.list(&named, limited).await.map_err(told(config))?;
    let matching = store
        .list(
            &Filter {
                ids: missing.to_vec(),
                ..wanted.clone()
            },
            limited,
        )
        .await
        .map_err(told(config))?;
    let reason = |id: FailedEventId| {
        let Some(event) = there.iter().find(|event| event.id == id) else {
            return "there is no such event".to_owned();
        };
        if !matching.iter().any(|event| event.id == id) {
            return "it is not one of those that the filter means".to_owned();
        }
        let by = event.status_changed_by.as_deref().unwrap_or("somebody");
        match event.status {
            Status::Replaying => format!("it is being replayed by {by}"),
            status => format!("it is {status}, by {by}"),
        }
    };
    Ok(missing.iter().map(|id| (*id, reason(*id))).collect())
}
