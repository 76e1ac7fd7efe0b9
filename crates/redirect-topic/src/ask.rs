//! What is asked of the owner of a partition.

use std::sync::Arc;
use std::time::SystemTime;

use cdc_event::{Admission, DeadHead, Record};
use tokio::sync::oneshot;

use crate::entry_id::{EntryKey, Origin};
use crate::error::Error;
use crate::index::Index;
use crate::lane::LaneKey;
use crate::plan::{Given, Left, Operated, Planned, Returning, Write};

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What is asked of the owner of a partition.
#[derive(Debug)]
pub(crate) enum Ask {
    Admit(Arc<Record>, Reply<Admission>),
    Park(Arc<Record>, Vec<Left>, Reply<()>),
    Settle(Given, Arc<Record>, Vec<Left>, Reply<()>),
    Begin(Given, Reply<u32>),
    LetGo(Given, Reply<()>),
    /// With the key under which it was wanted, if it was.
    Replay(Box<Returning>, Option<EntryKey>, Reply<Operated>),
    Discard(Origin, EntryKey, Reply<()>),
    Forget(i64, Reply<bool>),
}

/// What is written for one thing that is asked, and who is told.
pub(crate) struct Step {
    pub(crate) writes: Vec<Write>,
    pub(crate) tell: Tell,
}

/// Tells whoever asked what came of it.
pub(crate) type Tell = Box<dyn FnOnce(Result<(), Error>) + Send>;

impl Ask {
    /// The lane that it changes: nothing else may change it at the same time. `None` changes none.
    pub(crate) fn lane(&self, index: &Index) -> Option<LaneKey> {
        match self {
            Self::Admit(record, _) | Self::Park(record, ..) => {
                Some(LaneKey::of(record, index.generation()))
            }
            Self::Settle(given, ..) | Self::Begin(given, _) | Self::LetGo(given, _) => {
                Some(given.lane.clone())
            }
            Self::Replay(returning, ..) => Some(LaneKey::of(&returning.record, index.generation())),
            Self::Discard(origin, ..) => index.lane_of_origin(origin).cloned(),
            Self::Forget(..) => None,
        }
    }

    /// Whether nobody waits for it any more, and it comes again if it has to.
    pub(crate) fn is_given_up(&self) -> bool {
        match self {
            Self::Admit(_, reply) => reply.is_closed(),
            Self::Park(.., reply) => reply.is_closed(),
            Self::Replay(.., reply) => reply.is_closed(),
            Self::Forget(_, reply) => reply.is_closed(),
            // What was done is written down, whoever waits for it.
            Self::Settle(..) | Self::Begin(..) | Self::LetGo(..) | Self::Discard(..) => false,
        }
    }

    /// What is to be written for it.
    pub(crate) fn plan(self, index: &Index, policy: DeadHead, now: SystemTime) -> Step {
        match self {
            Self::Admit(record, reply) => step(index.admit(&record, now), reply),
            Self::Park(record, left, reply) => step(index.park(&record, &left, policy, now), reply),
            Self::Settle(given, record, left, reply) => {
                step(Ok(index.settle(&given, &record, &left, policy, now)), reply)
            }
            Self::Begin(given, reply) => step(Ok(index.begin(&given)), reply),
            Self::LetGo(given, reply) => step(Ok(index.let_go(&given)), reply),
            Self::Replay(returning, wanted, reply) => {
                let mut planned = index.replay(&returning, now);
                if planned.answer != Operated::Busy {
                    planned.writes.extend(wanted.map(|key| (key, None)));
                }
                step(Ok(planned), reply)
            }
            Self::Discard(origin, wanted, reply) => {
                let mut planned = index.discard(&origin);
                planned.writes.push((wanted, None));
                step(Ok(planned), reply)
            }
            Self::Forget(committed, reply) => step(Ok(index.forget(committed)), reply),
        }
    }

    /// It cannot be done.
    pub(crate) fn refuse(self, error: Error) {
        // Whoever does not wait for the answer does not need it.
        match self {
            Self::Admit(_, reply) => drop(reply.send(Err(error))),
            Self::Park(.., reply) | Self::Settle(.., reply) | Self::Discard(.., reply) => {
                drop(reply.send(Err(error)));
            }
            Self::LetGo(_, reply) => drop(reply.send(Err(error))),
            Self::Begin(_, reply) => drop(reply.send(Err(error))),
            Self::Replay(.., reply) => drop(reply.send(Err(error))),
            Self::Forget(_, reply) => drop(reply.send(Err(error))),
        }
    }
}

fn step<T: Send + 'static>(planned: Result<Planned<T>, Error>, reply: Reply<T>) -> Step {
    let (writes, answer) = match planned {
        Ok(Planned { writes, answer }) => (writes, Ok(answer)),
        Err(error) => (Vec::new(), Err(error)),
    };
    Step {
        writes,
        tell: Box::new(move |written| drop(reply.send(written.and(answer)))),
    }
}
