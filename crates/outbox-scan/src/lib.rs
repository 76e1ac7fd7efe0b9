//! Reads the rows that outbox tables had at a snapshot, in the form in which `pgoutput` streams them.
//!
//! Two uses: the rows that were there before a slot, and those that were lost with one. A scan goes through each
//! table in the order in which its rows were written, as far as rows tell, and can be taken up again at any row. It
//! holds one row at a time beyond its chunk, however large the table is; the server sorts, on its disk if need be.
//!
//! ```no_run
//! use outbox_scan::{ScanPlan, TableName, TableScan, View};
//! use pg_replication::ConnectOptions;
//!
//! # async fn example(exported: String) -> Result<(), Box<dyn std::error::Error>> {
//! let options = ConnectOptions::parse("postgres://relay@localhost/app")?;
//! let plan = ScanPlan {
//!     tables: vec![TableName::new("cdc", "outbox")],
//!     view: View::Exported(exported),
//!     since: None,
//!     after: None,
//! };
//! let mut scan = TableScan::open(&options, plan).await?;
//! // To take up the scan again after a restart, keep this and the position of the last row:
//! println!("{}", scan.snapshot());
//! while let Some(chunk) = scan.next_chunk().await? {
//!     for row in &chunk.rows {
//!         println!("{} {:?}", row.position, row.tuple);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it cannot see
//!
//! PostgreSQL's snapshots speak of row versions. A row that was updated or deleted after the snapshot is found by the
//! scan that imported the snapshot, but not by one that was taken up later: its version is gone. An update makes a
//! row young: `since` then finds it. The same goes for all rows of a table that `ALTER TABLE` wrote anew. Outbox
//! rows are only inserted and removed, so none of this concerns them.

mod catalog;
mod error;
mod plan;
mod position;
mod query;
mod scan;
mod session;
mod snapshot;

pub use error::Error;
pub use plan::{ScanPlan, TableName, View};
pub use position::{InvalidPosition, ScanPosition};
pub use scan::{Chunk, ScannedRow, TableScan};
pub use snapshot::{InvalidSnapshot, Snapshot, take_snapshot};
