//! What to scan.

use std::fmt;

use pg_replication::pgoutput::Xid;

use crate::position::ScanPosition;
use crate::snapshot::Snapshot;

/// Which rows of which tables a scan reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanPlan {
    /// The tables, partitioned or not. In what order they are read does not depend on their order here.
    pub tables: Vec<TableName>,
    /// Which moment's rows.
    pub view: View,
    /// Only rows of this transaction and younger ones; at most 2³² transactions back.
    ///
    /// Young means having begun late: give the oldest transaction that was still running at the moment from which on
    /// rows are missing, not the newest that was finished.
    pub since: Option<Xid>,
    /// Only rows behind this one.
    pub after: Option<ScanPosition>,
}

/// The moment whose rows a scan sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// The exported snapshot of this name, for as long as the session that exported it keeps it.
    Exported(String),
    /// That of an earlier scan: [`TableScan::snapshot`](crate::TableScan::snapshot). Of its rows those that are still
    /// there.
    AsOf(Snapshot),
}

/// The name of a table, as in the catalogs: not quoted, not folded to lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema.
    pub schema: String,
    /// The name in the schema.
    pub name: String,
}

impl TableName {
    /// From both parts.
    #[must_use]
    pub fn new(schema: &str, name: &str) -> Self {
        Self {
            schema: schema.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}
