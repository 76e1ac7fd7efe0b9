//! A Kafka that asks who one is.

use std::process::Stdio;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::certificates::{Authority, Credentials, Validity};
use super::instance::Instance;
use super::settings::Settings;
use super::{Component, Services};

/// Who may use it: by SCRAM with this name and password, or by a client certificate with this common name.
#[derive(Debug, Clone, Copy)]
pub struct User {
    /// Neither `:` nor a space in it.
    pub name: &'static str,
    /// Neither `:` nor a space in it.
    pub password: &'static str,
}

/// A broker with TLS, SCRAM, client certificates and access control. Destroyed when dropped.
#[derive(Debug)]
pub struct SecuredKafka {
    _instance: Instance,
    settings: Settings,
    authority: Authority,
}

impl SecuredKafka {
    /// Starts it. Nobody may do anything yet, except through the plain listener.
    ///
    /// # Errors
    /// Fails if it does not come up; the error has what `scripts/services` said.
    pub async fn start(users: &[User]) -> Result<Self> {
        let authority = Authority::create("Kafka's authority")?;
        authority.issue("server", &["localhost"], Validity::Current)?;
        let users: Vec<_> = users
            .iter()
            .map(|User { name, password }| format!("{name}:{password}"))
            .collect();
        let environment = vec![
            ("KAFKA_TLS", authority.dir().display().to_string()),
            ("KAFKA_USERS", users.join(" ")),
        ];
        let dir = TempDir::with_prefix("cdc-e2e.")?.keep();
        let instance = Instance::start_with(dir, &[Component::Kafka], environment, false).await?;
        let settings = instance.settings()?;
        Ok(Self {
            _instance: instance,
            settings,
            authority,
        })
    }

    /// The shared PostgreSQL, and this broker's plain listener, through which one may do everything. They must not be
    /// used after this broker is gone.
    ///
    /// # Errors
    /// Fails if there is no shared PostgreSQL.
    pub fn services(&self) -> Result<Services> {
        let database_url = Settings::shared_value("DATABASE_URL")?;
        Ok(Services::at(
            database_url,
            self.settings.require("KAFKA_BROKERS")?,
        ))
    }

    /// The listener with TLS and SCRAM: `localhost:port`, the name in the broker's certificate.
    ///
    /// # Errors
    /// Fails if `scripts/services` did not name it.
    pub fn sasl_ssl_brokers(&self) -> Result<String> {
        self.settings.require("KAFKA_SASL_SSL_BROKERS")
    }

    /// The listener with TLS and client certificates: `localhost:port`.
    ///
    /// # Errors
    /// Fails if `scripts/services` did not name it.
    pub fn ssl_brokers(&self) -> Result<String> {
        self.settings.require("KAFKA_SSL_BROKERS")
    }

    /// Who issued the broker's certificate and whose client certificates it takes.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A client certificate with the common name `name`: the principal `User:CN=name`.
    ///
    /// # Errors
    /// Fails if its files cannot be written.
    pub fn client(&self, name: &str) -> Result<Credentials> {
        self.authority.issue(name, &[], Validity::Current)
    }

    /// Adds rules, with the arguments of Kafka's `kafka-acls --add`, which are split at spaces.
    ///
    /// # Errors
    /// Fails if the tool does; the error has what it said.
    pub async fn add_acl(&self, arguments: &str) -> Result<()> {
        let said = self.acls(&["--add"], arguments).await?;
        // It reports a refusal on stdout and ends with 0.
        ensure!(
            said.contains("permissionType="),
            "kafka-acls --add {arguments}: {said}"
        );
        Ok(())
    }

    /// Removes rules, with the arguments that added them.
    ///
    /// # Errors
    /// As [`add_acl`](Self::add_acl).
    pub async fn remove_acl(&self, arguments: &str) -> Result<()> {
        let said = self.acls(&["--remove", "--force"], arguments).await?;
        ensure!(
            !said.contains("Error"),
            "kafka-acls --remove {arguments}: {said}"
        );
        Ok(())
    }

    async fn acls(&self, command: &[&str], arguments: &str) -> Result<String> {
        let output = tokio::process::Command::new(self.settings.require("JAVA")?)
            // Half the time to start.
            .arg("-XX:TieredStopAtLevel=1")
            .args([
                "-cp",
                &self.settings.require("KAFKA_CLASSPATH")?,
                "org.apache.kafka.tools.AclCommand",
            ])
            .args([
                "--bootstrap-server",
                &self.settings.require("KAFKA_BROKERS")?,
            ])
            .args(command)
            .args(arguments.split_whitespace())
            .stdin(Stdio::null())
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "kafka-acls {arguments}: {}\n{said}{failed}",
            output.status
        );
        Ok(format!("{said}{failed}"))
    }
}
