//! A database for each test, on the shared server.

use std::path::Path;
use std::time::Duration;

use pg_replication::{Client, ConnectOptions, Error, Session, SlotName, connect_client};
use tokio::time::Instant;

/// An empty database that goes away with this value, its slots too.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    options: ConnectOptions,
}

/// The shared server's connection string.
pub(crate) fn shared_url() -> String {
    const VARIABLE: &str = "DATABASE_URL";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.services/env");
    let from_file = || {
        let text = std::fs::read_to_string(file).ok()?;
        text.lines()
            .find_map(|line| Some(line.strip_prefix(VARIABLE)?.strip_prefix('=')?.to_owned()))
    };
    std::env::var(VARIABLE)
        .ok()
        .or_else(from_file)
        .unwrap_or_else(|| panic!("no {VARIABLE}: run `make services-up`"))
}

impl Database {
    pub(crate) async fn create(test: &str) -> Self {
        let name = format!("cdc_outbox_{test}_{}", std::process::id());
        let shared = ConnectOptions::parse(&shared_url()).unwrap();
        let admin = connect_client(&shared).await.unwrap();
        admin
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        Self {
            options: shared.with_database(&name),
            name,
        }
    }

    /// A name of a slot that no other test uses.
    pub(crate) fn slot(&self, suffix: &str) -> SlotName {
        SlotName::new(&format!("{}_{suffix}", self.name)).unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        connect_client(&self.options).await.unwrap()
    }

    pub(crate) async fn session(&self) -> Session {
        Session::connect(&self.options).await.unwrap()
    }

    async fn clean_up(name: &str) -> Result<(), Error> {
        let shared = ConnectOptions::parse(&shared_url())?;
        let admin = connect_client(&shared).await?;
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let left = admin
                .query(
                    "SELECT slot_name::text, active_pid FROM pg_replication_slots WHERE database = $1",
                    &[&name],
                )
                .await?;
            if left.is_empty() {
                break;
            }
            for slot in left {
                let (slot_name, holder): (String, Option<i32>) = (slot.get(0), slot.get(1));
                match holder {
                    Some(pid) => drop(
                        admin
                            .execute("SELECT pg_terminate_backend($1, 1000)", &[&pid])
                            .await,
                    ),
                    None => drop(
                        admin
                            .execute("SELECT pg_drop_replication_slot($1)", &[&slot_name])
                            .await,
                    ),
                }
            }
        }
        admin
            .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await?;
        Ok(())
    }
}

impl Drop for Database {
    /// On a thread of its own, as the test's runtime can't be waited on here; so it works after a panic too.
    fn drop(&mut self) {
        let name = self.name.clone();
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(Self::clean_up(&name))
        });
        let outcome = cleaner.join();
        assert!(
            std::thread::panicking() || matches!(outcome, Ok(Ok(()))),
            "{} is left over: {outcome:?}",
            self.name
        );
    }
}
