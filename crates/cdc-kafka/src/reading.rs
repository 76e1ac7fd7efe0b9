//! Reading topics from their beginning or their tail to their end.

mod latest;
mod partition;
mod reader;
mod scan;

pub use latest::{Latest, latest};
pub use partition::PartitionLog;
pub use scan::{ScanSummary, ScannedRecord, scan};
