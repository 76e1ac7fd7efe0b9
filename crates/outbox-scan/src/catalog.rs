//! Which files the tables of a plan are made of, and what columns they have.

use std::collections::BTreeMap;

use pg_replication::pgoutput::{Column, Relation, RelationId, ReplicaIdentity, TypeOid};
use pg_replication::{Client, Error as PostgresError, SqlState};
use tokio_postgres::types::ToSql;

use crate::error::Error;
use crate::plan::TableName;

/// A table that has rows of its own: an ordinary one, or a partition without partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) relation: u32,
    /// The table of the plan: itself, or the partitioned one at the top.
    pub(crate) root: TableName,
}

/// A leaf that can be read, and stays as it is until it is [unlocked](unlock).
#[derive(Debug)]
pub(crate) struct LockedLeaf {
    /// Its name in SQL.
    pub(crate) sql_name: String,
    pub(crate) file: u32,
    pub(crate) relation: Relation,
}

const KIND: &str = "SELECT c.oid, c.relkind::text FROM pg_catalog.pg_class AS c \
     JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";

/// `pg_partition_tree` says the same, but locks them all until the end of the transaction.
const PARTITIONS: &str = "WITH RECURSIVE tree AS ( \
     SELECT oid, relkind FROM pg_catalog.pg_class WHERE oid = $1 \
     UNION ALL SELECT c.oid, c.relkind FROM tree \
     JOIN pg_catalog.pg_inherits AS i ON i.inhparent = tree.oid \
     JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid WHERE tree.relkind = 'p') \
     SELECT oid FROM tree WHERE relkind = 'r'";

/// Not by the catalogs as the transaction sees them, but as they were when the server last looked.
const PRESENT: &str =
    "SELECT $1::oid::regclass::text, pg_catalog.pg_relation_filenode($1::oid::regclass)";

/// Generated columns are not streamed.
const COLUMNS: &str = "SELECT attname::text, atttypid, atttypmod FROM pg_catalog.pg_attribute \
     WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum";

/// All leaves of the tables, each once, in the order in which they are scanned: by OID, which no change of names or
/// partitions alters.
pub(crate) async fn leaves(client: &Client, tables: &[TableName]) -> Result<Vec<Leaf>, Error> {
    let mut found = BTreeMap::new();
    for table in tables {
        let missing = || Error::TableMissing {
            table: table.clone(),
        };
        let rows = query(client, KIND, &[&table.schema, &table.name]).await?;
        let row = rows.first().ok_or_else(missing)?;
        let (oid, kind): (u32, String) = (get(row, 0)?, get(row, 1)?);
        match kind.as_str() {
            "r" => {
                found.entry(oid).or_insert_with(|| table.clone());
            }
            "p" => {
                for row in query(client, PARTITIONS, &[&oid]).await? {
                    found.entry(get(&row, 0)?).or_insert_with(|| table.clone());
                }
            }
            _ => {
                return Err(Error::NotATable {
                    table: table.clone(),
                });
            }
        }
    }
    let leaves = found
        .into_iter()
        .map(|(relation, root)| Leaf { relation, root });
    Ok(leaves.collect())
}

/// Locks the leaf against changes of its columns and describes it; `None` when it was dropped.
pub(crate) async fn lock(client: &Client, leaf: &Leaf) -> Result<Option<LockedLeaf>, Error> {
    let mut attempts = 0;
    loop {
        let Some((sql_name, _)) = present(client, leaf).await? else {
            return Ok(None);
        };
        attempts += 1;
        match run(
            client,
            &format!("LOCK TABLE ONLY {sql_name} IN ACCESS SHARE MODE"),
        )
        .await
        {
            Ok(()) => match present(client, leaf).await? {
                // Of now: the lock may have waited for somebody who wrote the table anew.
                Some((same, file)) if same == sql_name => {
                    return describe(client, leaf, sql_name, file).await.map(Some);
                }
                _ => unlock(client).await?,
            },
            // Dropped or renamed. The server has noticed with this, and now looks anew.
            Err(error) if is_undefined(&error) && attempts < 3 => unlock(client).await?,
            Err(error) => return Err(error),
        }
    }
}

/// A table, or a schema, of that name.
fn is_undefined(error: &Error) -> bool {
    let state = error.sql_state();
    state == SqlState::parse("42P01") || state == SqlState::parse("3F000")
}

async fn describe(
    client: &Client,
    leaf: &Leaf,
    sql_name: String,
    file: u32,
) -> Result<LockedLeaf, Error> {
    let mut columns = Vec::new();
    for row in query(client, COLUMNS, &[&leaf.relation]).await? {
        columns.push(Column {
            is_key: false,
            name: get(&row, 0)?,
            type_oid: TypeOid(get(&row, 1)?),
            type_modifier: get(&row, 2)?,
        });
    }
    Ok(LockedLeaf {
        sql_name,
        file,
        relation: Relation {
            id: RelationId(leaf.relation),
            namespace: leaf.root.schema.clone(),
            name: leaf.root.name.clone(),
            replica_identity: ReplicaIdentity::Nothing,
            columns,
        },
    })
}

/// Makes [`unlock`] possible; once, before the first [`lock`].
pub(crate) async fn prepare_locks(client: &Client) -> Result<(), Error> {
    run(client, "SAVEPOINT leaf").await
}

/// Lets go of a leaf that was read: who wants to drop it, and who wants to insert behind that, need not wait for the end
/// of the scan.
pub(crate) async fn unlock(client: &Client) -> Result<(), Error> {
    run(client, "ROLLBACK TO SAVEPOINT leaf").await
}

async fn present(client: &Client, leaf: &Leaf) -> Result<Option<(String, u32)>, Error> {
    let rows = query(client, PRESENT, &[&leaf.relation]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let file: Option<u32> = get(row, 1)?;
    let name: String = get(row, 0)?;
    Ok(file.map(|file| (name, file)))
}

async fn run(client: &Client, sql: &str) -> Result<(), Error> {
    client
        .batch_execute(sql)
        .await
        .map_err(|error| failed(error.into()))
}

async fn query(
    client: &Client,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<tokio_postgres::Row>, Error> {
    client
        .query(sql, parameters)
        .await
        .map_err(|error| failed(error.into()))
}

fn get<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a tokio_postgres::Row,
    index: usize,
) -> Result<T, Error> {
    row.try_get(index).map_err(|error| failed(error.into()))
}

fn failed(source: PostgresError) -> Error {
    Error::Postgres {
        doing: "look up the tables to scan",
        source,
    }
}
