//! A database for each test, on the server of `make services-up`. A step that fails is a panic.
#![expect(
    clippy::unwrap_used,
    reason = "for tests, in which a failed step is a panic"
)]

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pg_replication::{Client, ConnectOptions, Error, Session, SlotName, connect_client};
use tokio::time::Instant;

/// How long the slots may take to be free.
const CLEAN_UP: Duration = Duration::from_secs(20);

/// An empty database that goes away with this value, its slots too.
#[derive(Debug)]
pub struct Database {
    name: String,
    options: ConnectOptions,
}

/// The shared server's connection string: `DATABASE_URL`, else that of the instance in the checkout.
///
/// # Panics
///
/// There is neither.
#[must_use]
pub fn shared_url() -> String {
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
    /// Makes one whose name has that of the test in it: lower-case letters, digits and underscores, 24 at most.
    ///
    /// # Panics
    ///
    /// The server is down, or does not make it.
    pub async fn create(test: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{test}_{}_{number}", std::process::id());
        let shared = ConnectOptions::parse(&shared_url()).unwrap();
        let admin = connect_client(&shared).await.unwrap();
        let sql = format!("CREATE DATABASE {name}");
        admin.batch_execute(&sql).await.unwrap();
        Self {
            options: shared.with_database(&name),
            name,
        }
    }

    /// Its name, which is fit for a slot too.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to connect to it, as a superuser.
    #[must_use]
    pub fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// A name of a slot that no other test uses.
    ///
    /// # Panics
    ///
    /// It is none with this suffix.
    #[must_use]
    pub fn slot(&self, suffix: &str) -> SlotName {
        SlotName::new(&format!("{}_{suffix}", self.name)).unwrap()
    }

    /// An ordinary session.
    ///
    /// # Panics
    ///
    /// It cannot be had.
    pub async fn client(&self) -> Client {
        connect_client(&self.options).await.unwrap()
    }

    /// Runs statements.
    ///
    /// # Panics
    ///
    /// One of them fails.
    pub async fn execute(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.unwrap();
    }

    /// The value of an expression, or of a query of one, as text.
    ///
    /// # Panics
    ///
    /// It fails.
    pub async fn text(&self, sql: &str) -> Option<String> {
        let sql = format!("SELECT ({sql})::text");
        let row = self.client().await.query_one(&sql, &[]).await.unwrap();
        row.get(0)
    }

    /// A replication session.
    ///
    /// # Panics
    ///
    /// It cannot be had.
    pub async fn session(&self) -> Session {
        Session::connect(&self.options).await.unwrap()
    }

    async fn clean_up(name: &str) -> Result<(), Error> {
        let admin = connect_client(&ConnectOptions::parse(&shared_url())?).await?;
        let slots =
            "SELECT slot_name::text, active_pid FROM pg_replication_slots WHERE database = $1";
        let deadline = Instant::now() + CLEAN_UP;
        while Instant::now() < deadline {
            let left = admin.query(slots, &[&name]).await?;
            if left.is_empty() {
                break;
            }
            for slot in left {
                let (slot_name, holder): (String, Option<i32>) = (slot.get(0), slot.get(1));
                // Either may have gone since; the next look tells.
                match holder {
                    Some(pid) => {
                        let sql = "SELECT pg_terminate_backend($1, 1000)";
                        drop(admin.execute(sql, &[&pid]).await);
                    }
                    None => {
                        let sql = "SELECT pg_drop_replication_slot($1)";
                        drop(admin.execute(sql, &[&slot_name]).await);
                    }
                }
            }
        }
        let sql = format!("DROP DATABASE {name} WITH (FORCE)");
        admin.batch_execute(&sql).await?;
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
