//! One partition, from its assignment until it is let go.

mod intake;
mod lanes;
mod share;
mod worker;

pub(crate) use self::share::{Share, Shares};
pub(crate) use self::worker::Worker;
