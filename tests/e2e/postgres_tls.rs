//! PostgreSQL that asks for encryption, and certificates that are not what they should be.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::services::{Authority, Cluster, Services, Validity, Version};

use crate::outlet::{SOON, emit, id, ids, ids_until, one_topic, refused};

/// The tests prepare and look as `postgres`; the relay is one of the others.
const RULES: &str = "host all postgres 127.0.0.1/32 trust
hostssl all encrypted 127.0.0.1/32 trust
hostssl all certified 127.0.0.1/32 cert
";

const ROLES: &str =
    "CREATE ROLE encrypted LOGIN REPLICATION; CREATE ROLE certified LOGIN REPLICATION";

/// A server with TLS. Whoever listens knows it as `localhost`: its certificate is for that name alone.
struct Encrypted {
    scenario: Scenario,
    cluster: Cluster,
    authority: Authority,
}

impl Encrypted {
    async fn start(validity: Validity) -> Result<Self> {
        let authority = Authority::create("PostgreSQL's authority")?;
        let server = authority.issue("server", &["localhost"], validity)?;
        let cluster = Cluster::create(Version::Shared)?;
        cluster.encrypt(&server, &authority.certificate(), RULES)?;
        cluster.start()?;
        let scenario = one_topic(
            Scenario::on(Services::with_postgres(&cluster)?)
                .await?
                .showing_log(),
        );
        let session = scenario.database().session().await?;
        session.batch_execute(ROLES).await?;
        Ok(Self {
            scenario,
            cluster,
            authority,
        })
    }

    /// Makes the relay connect as `role` to `host` with `parameters`.
    fn connecting(mut self, role: &str, host: &str, parameters: &str) -> Self {
        let (port, database) = (self.cluster.port(), self.scenario.database().name());
        let url = format!("postgres://{role}@{host}:{port}/{database}?{parameters}");
        self.scenario = self.scenario.with("CDC_POSTGRES__URL", url);
        self
    }

    /// Event `n` passes, and the replication connection is encrypted.
    async fn passes(&self, n: u32) -> Result<()> {
        let relay = self.scenario.relay().await?;
        let session = self.scenario.database().session().await?;
        session.batch_execute(&emit(n)).await?;
        let found = ids_until(&self.scenario, &id(n)).await?;
        ensure!(found == ids(1..=n), "{found:?}");
        let walsender = self.scenario.database().walsender().await?.pid;
        let encrypted = session
            .query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = $1", &[&walsender])
            .await?;
        ensure!(
            encrypted.get::<_, bool>(0),
            "the replication connection is not encrypted"
        );
        let exit = relay.sigterm(SOON).await?;
        ensure!(
            exit.status.success(),
            "the relay ended with {}",
            exit.status
        );
        Ok(())
    }

    /// The relay stops with `code`. What it reported.
    async fn is_refused(&self, code: &str) -> Result<String> {
        refused(&self.scenario, self.scenario.start_relay()?, code).await
    }
}

fn trusting(mode: &str, authority: &Path) -> String {
    format!("sslmode={mode}&sslrootcert={}", authority.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_encrypted_and_checks_the_certificate_as_far_as_sslmode_asks() -> Result<()> {
    let mut server = Encrypted::start(Validity::Current).await?;
    let ours = server.authority.certificate();
    // The certificate is not for this host, and is not asked to be.
    let modes = [
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("127.0.0.1", trusting("verify-ca", &ours)),
        ("localhost", trusting("verify-full", &ours)),
    ];
    for (n, (host, parameters)) in (1..).zip(modes) {
        server = server.connecting("encrypted", host, &parameters);
        server.passes(n).await.context(parameters)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_server_whose_certificate_is_for_another_host_or_from_a_stranger() -> Result<()> {
    let mut server = Encrypted::start(Validity::Current).await?;
    let ours = server.authority.certificate();
    let stranger = Authority::create("somebody else")?;
    let theirs = stranger.certificate();
    let refusals = [
        (
            "127.0.0.1",
            trusting("verify-full", &ours),
            "not valid for name",
        ),
        ("localhost", trusting("verify-ca", &theirs), "UnknownIssuer"),
        (
            "localhost",
            trusting("verify-full", &theirs),
            "UnknownIssuer",
        ),
    ];
    for (host, parameters, reason) in refusals {
        server = server.connecting("encrypted", host, &parameters);
        let report = server.is_refused("CDC0019").await.context(parameters)?;
        ensure!(report.contains(reason), "{report}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_server_whose_certificate_has_expired() -> Result<()> {
    let server = Encrypted::start(Validity::Expired).await?;
    let parameters = trusting("verify-full", &server.authority.certificate());
    let server = server.connecting("encrypted", "localhost", &parameters);
    let report = server.is_refused("CDC0019").await?;
    ensure!(report.contains("expired"), "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_its_certificate_to_a_server_that_asks_for_one() -> Result<()> {
    let server = Encrypted::start(Validity::Current).await?;
    let client = server
        .authority
        .issue("certified", &[], Validity::Current)?;
    let trust = trusting("verify-full", &server.authority.certificate());
    let (certificate, key) = (client.certificate.display(), client.key.display());
    let with_certificate = format!("{trust}&sslcert={certificate}&sslkey={key}");
    let server = server.connecting("certified", "localhost", &with_certificate);
    server.passes(1).await?;

    let server = server.connecting("certified", "localhost", &trust);
    server.is_refused("CDC0011").await?;
    Ok(())
}
