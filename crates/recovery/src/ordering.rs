//! Whether the records of a key wait for one of them that failed.

mod assign;

use std::sync::Arc;

use cdc_event::KeyOrder;

pub(crate) use self::assign::{Assigned, assign, keeping};

/// Whether the records of a key wait for one of them that failed.
#[derive(Debug, Clone, Default)]
pub enum Ordering {
    /// They go on while it is in a retry topic.
    #[default]
    None,
    /// They wait until it is dealt with; this keeps them meanwhile. In place of the retry topics the first of them has
    /// the delays of the plan. Replays still come in by the first retry topic, and go back to where the record waited.
    Key(Arc<dyn KeyOrder>),
}

impl PartialEq for Ordering {
    /// The same only if it is the same keeper, not another one that is equal.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Key(one), Self::Key(other)) => Arc::ptr_eq(one, other),
            (Self::None, Self::Key(_)) | (Self::Key(_), Self::None) => false,
        }
    }
}
