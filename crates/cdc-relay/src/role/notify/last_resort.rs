//! The store of failed events as the last resort of dead letters.

use std::sync::Arc;

use dead_letters::{Ingest, Writer};
use pg_replication::ConnectOptions;
use recovery::{Kept, LastResort, Names, RefusedLetter};

use crate::role::collect::Entries;

/// Keeps what the dead-letter topic does not take.
#[derive(Debug)]
pub(super) struct Keeper(Arc<Ingest<Entries>>);

impl Keeper {
    pub(super) fn new(store: ConnectOptions, names: &Names) -> (Self, Writer) {
        let (ingest, writer) = Ingest::new(
            store,
            names.group(),
            std::iter::once(names.clone()).collect(),
        );
        (Self(Arc::new(ingest)), writer)
    }
}

impl LastResort for Keeper {
    fn keep<'a>(&'a self, refused: RefusedLetter<'a>) -> Kept<'a> {
        Box::pin(async move { self.0.keep(refused.record, &refused.failed).await })
    }
}
