//! A corrected payload for an event that is replayed.

use std::path::Path;

use cdc_store::{FailedEventId, FailedEvents};

use crate::cli::Selection;
use crate::command::recover::select::Chosen;
use crate::command::recover::told;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// The payload that an event is to have.
#[derive(Debug)]
pub(super) struct Corrected {
    id: FailedEventId,
    payload: Vec<u8>,
    note: String,
}

impl Corrected {
    /// Reads it, for the one event that was chosen.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Argument`] when several were chosen, or none, and when the file cannot be read.
    pub(super) async fn read(file: &Path, chosen: &Chosen) -> Result<Self, Failure> {
        let &[id] = chosen.replayable.as_slice() else {
            return Err(Failure::new(
                ErrorCode::Argument,
                format!(
                    "a payload is for one event, but {} can be replayed",
                    chosen.replayable.len()
                ),
                "give the number of one open event; `cdc-relay recover list` shows them",
            ));
        };
        let name = file.display();
        let payload = tokio::fs::read(file).await.map_err(|error| {
            Failure::new(
                ErrorCode::Argument,
                format!("the file {name} cannot be read"),
                "give a file with the payload, byte for byte",
            )
            .caused_by(error)
        })?;
        Ok(Self {
            id,
            payload,
            note: format!("payload replaced by {name}"),
        })
    }

    /// Gives it to the event, for good.
    ///
    /// # Errors
    ///
    /// The store's; or somebody else dealt with the event meanwhile, and nothing was changed.
    pub(super) async fn store(
        self,
        store: &mut FailedEvents,
        selection: &Selection,
        config: &Config,
    ) -> Result<(), Failure> {
        let Self { id, payload, note } = self;
        let done = store
            .correct(id, &payload, &selection.by, Some(&note))
            .await
            .map_err(told(config))?;
        if done {
            return Ok(());
        }
        Err(Failure::new(
            ErrorCode::RecoveryIncomplete,
            format!("the payload of {id} was not replaced: somebody else dealt with it meanwhile"),
            "look at it with `cdc-relay recover show`",
        ))
    }
}
