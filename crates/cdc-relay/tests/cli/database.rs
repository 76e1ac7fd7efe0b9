//! A database of its own for each test, and its slot; both go with it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use pg_replication::{Client, ConnectOptions, connect_client};

use crate::binary::{Ended, run};
use crate::services;

/// An empty database. Its slots are dropped with it.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    /// Also the name for the slot.
    pub(crate) name: String,
    server: String,
}

impl TestDatabase {
    /// Makes one on the shared server.
    pub(crate) async fn create() -> Self {
        Self::create_on(services::database_url()).await
    }

    /// Makes one on the server of a superuser's `server` URL.
    pub(crate) async fn create_on(server: &str) -> Self {
        let database = Self {
            name: unique("cli"),
            server: server.to_owned(),
        };
        let admin = connect_client(&options(server)).await.unwrap();
        admin
            .batch_execute(&format!("CREATE DATABASE {}", database.name))
            .await
            .unwrap();
        database
    }

    /// The URL of a superuser.
    pub(crate) fn url(&self) -> String {
        self.url_at(&self.server)
    }

    /// The URL at another address or of another role, given with any database.
    pub(crate) fn url_at(&self, server: &str) -> String {
        let (address, _) = server.rsplit_once('/').unwrap();
        format!("{address}/{}", self.name)
    }

    /// A session.
    pub(crate) async fn connect(&self) -> Client {
        connect_client(&options(&self.url())).await.unwrap()
    }

    /// Runs statements.
    pub(crate) async fn execute(&self, sql: &str) {
        self.connect().await.batch_execute(sql).await.unwrap();
    }

    /// The first column of the first row as text.
    pub(crate) async fn text(&self, sql: &str) -> Option<String> {
        let row = self
            .connect()
            .await
            .query_one(&format!("SELECT ({sql})::text"), &[])
            .await
            .unwrap();
        row.get(0)
    }

    /// Runs the binary with this database, the shared Kafka, a slot of the database's name and no admin server.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[]).await
    }

    /// The same with more settings, which win.
    pub(crate) async fn run_with(&self, arguments: &[&str], more: &[(&str, &str)]) -> Ended {
        let url = self.url();
        let mut environment = vec![
            ("CDC_POSTGRES__URL", url.as_str()),
            ("CDC_KAFKA__BROKERS", services::kafka_brokers()),
            ("CDC_RELAY__SLOT", self.name.as_str()),
            ("CDC_ADMIN__LISTEN", ""),
        ];
        environment.extend_from_slice(more);
        run(arguments, &environment).await
    }

    /// Everything in the database that `init` could make.
    pub(crate) async fn objects(&self) -> String {
        let name = &self.name;
        let sql = format!(
            "SELECT coalesce(string_agg(object, ' ' ORDER BY object), '') FROM (
                 SELECT 'schema:' || nspname AS object FROM pg_namespace WHERE nspname = 'cdc'
                 UNION ALL SELECT 'table:' || relname FROM pg_class WHERE relnamespace = to_regnamespace('cdc')
                 UNION ALL SELECT 'publication:' || pubname FROM pg_publication
                 UNION ALL SELECT 'slot:' || slot_name FROM pg_replication_slots WHERE slot_name = '{name}'
             ) objects"
        );
        self.text(&sql).await.unwrap()
    }
}

impl Drop for TestDatabase {
    /// On a thread of its own, since a runtime cannot be entered twice.
    fn drop(&mut self) {
        let (name, server) = (self.name.clone(), self.server.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let admin = connect_client(&options(&server)).await.unwrap();
                let end = format!(
                    "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots
                      WHERE database = '{name}' AND active_pid IS NOT NULL"
                );
                admin.batch_execute(&end).await.unwrap();
                let drop_slot = format!(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '{name}'"
                );
                admin.batch_execute(&drop_slot).await.unwrap();
                admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
            });
        })
        .join();
        // A second panic would hide the first.
        if dropped.is_err() && !std::thread::panicking() {
            panic!("the database {} could not be dropped", self.name);
        }
    }
}

/// A name that no other test and no other run uses.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_micros();
    format!("{prefix}_{}_{time:x}_{number}", std::process::id())
}

/// A connection string that is known to be good.
pub(crate) fn options(url: &str) -> ConnectOptions {
    url.parse().unwrap()
}
