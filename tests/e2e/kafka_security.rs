//! Kafka that asks who one is: TLS, SCRAM, client certificates, access control.
//!
//! The broker is shared by the tests here: the first makes it, and it goes with the last.

mod dead_letters;

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::services::{Authority, SecuredKafka, User};
use cdc_e2e::wait::{Look, until};
use tokio::sync::Mutex;

use crate::heavy;
use crate::outlet::{SOON, emit, id, ids, ids_until, one_topic, records_of, refused};

const USER: User = User {
    name: "relay",
    password: "correct-horse",
};

const WRONG_PASSWORD: &str = "battery-staple";

/// Topics that the user may create and describe, but not write to.
const READ_ONLY: &str = "archive.";

static BROKER: Mutex<Weak<SecuredKafka>> = Mutex::const_new(Weak::new());

async fn broker() -> Result<Arc<SecuredKafka>> {
    let mut shared = BROKER.lock().await;
    if let Some(broker) = shared.upgrade() {
        return Ok(broker);
    }
    let _turn = heavy::turn().await;
    let broker = Arc::new(SecuredKafka::start(&[USER]).await?);
    let name = USER.name;
    let may = format!(
        "--allow-principal User:{name} --allow-principal User:CN={name} --producer --consumer --topic * --group * \
         --transactional-id *"
    );
    let may_not = format!(
        "--deny-principal User:{name} --operation Write --topic {READ_ONLY} --resource-pattern-type prefixed"
    );
    tokio::try_join!(broker.add_acl(&may), broker.add_acl(&may_not))?;
    *shared = Arc::downgrade(&broker);
    Ok(broker)
}

async fn scenario_with_event_1(broker: &SecuredKafka) -> Result<Scenario> {
    let scenario = one_topic(Scenario::on(broker.services()?).await?.showing_log());
    let session = scenario.database().session().await?;
    session.batch_execute(&emit(1)).await?;
    Ok(scenario)
}

/// Event 1 is written; the relay comes as [`USER`] with this password.
async fn by_password(broker: &SecuredKafka, mechanism: &str, password: &str) -> Result<Scenario> {
    Ok(scenario_with_event_1(broker)
        .await?
        .with("CDC_KAFKA__BROKERS", broker.sasl_ssl_brokers()?)
        .with("CDC_KAFKA__CLIENT__SECURITY_PROTOCOL", "SASL_SSL")
        .with(
            "CDC_KAFKA__CLIENT__SSL_CA_LOCATION",
            text(&broker.authority().certificate()),
        )
        .with("CDC_KAFKA__CLIENT__SASL_MECHANISM", mechanism)
        .with("CDC_KAFKA__CLIENT__SASL_USERNAME", USER.name)
        .with("CDC_KAFKA__CLIENT__SASL_PASSWORD", password))
}

/// Event 1 is written; the relay comes with TLS, and without a certificate of its own.
async fn by_certificate(broker: &SecuredKafka) -> Result<Scenario> {
    Ok(scenario_with_event_1(broker)
        .await?
        .with("CDC_KAFKA__BROKERS", broker.ssl_brokers()?)
        .with("CDC_KAFKA__CLIENT__SECURITY_PROTOCOL", "SSL")
        .with(
            "CDC_KAFKA__CLIENT__SSL_CA_LOCATION",
            text(&broker.authority().certificate()),
        ))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Event 1, which has been written, comes through.
async fn delivers(scenario: &Scenario) -> Result<()> {
    let _relay = scenario.relay().await?;
    let found = ids_until(scenario, &id(1)).await?;
    ensure!(found == ids([1]), "{found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn delivers_through_tls_with_scram() -> Result<()> {
    let broker = broker().await?;
    for mechanism in ["SCRAM-SHA-512", "SCRAM-SHA-256"] {
        delivers(&by_password(&broker, mechanism, USER.password).await?).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn delivers_through_tls_with_a_client_certificate() -> Result<()> {
    let broker = broker().await?;
    let client = broker.client(USER.name)?;
    let scenario = by_certificate(&broker)
        .await?
        .with(
            "CDC_KAFKA__CLIENT__SSL_CERTIFICATE_LOCATION",
            text(&client.certificate),
        )
        .with("CDC_KAFKA__CLIENT__SSL_KEY_LOCATION", text(&client.key));
    delivers(&scenario).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_at_a_wrong_password_and_shows_neither_it_nor_the_right_one() -> Result<()> {
    let broker = broker().await?;
    let scenario = by_password(&broker, "SCRAM-SHA-512", WRONG_PASSWORD)
        .await?
        .with("CDC_LOG", "debug");
    let started = Instant::now();
    let relay = async {
        let refused = refused(&scenario, scenario.start_relay()?, "CDC0041").await;
        refused.map(|_| started.elapsed())
    };
    let (init, relay) = tokio::join!(scenario.init(), relay);
    let init = init
        .err()
        .context("init let a wrong password pass")?
        .to_string();
    ensure!(
        init.contains("exit status: 69") && init.contains("error[CDC0041]"),
        "{init}"
    );
    let took = relay?;
    ensure!(took < Duration::from_secs(10), "it took {took:?} to stop");
    for secret in [WRONG_PASSWORD, USER.password] {
        ensure!(!init.contains(secret), "init shows a password:\n{init}");
        ensure!(
            !scenario.log().contains(secret),
            "the relay's log shows a password"
        );
    }
    // What was written meanwhile waits for the right password.
    let scenario = scenario.with("CDC_KAFKA__CLIENT__SASL_PASSWORD", USER.password);
    delivers(&scenario).await
}

#[tokio::test(flavor = "multi_thread")]
async fn says_which_side_s_certificate_is_refused() -> Result<()> {
    let broker = broker().await?;
    let stranger = Authority::create("somebody else")?;
    let theirs = by_certificate(&broker).await?.with(
        "CDC_KAFKA__CLIENT__SSL_CA_LOCATION",
        text(&stranger.certificate()),
    );
    let brokers = broker.ssl_brokers()?.replace("localhost", "127.0.0.1");
    let other_host = by_certificate(&broker)
        .await?
        .with("CDC_KAFKA__BROKERS", brokers);
    let anonymous = by_certificate(&broker).await?;
    let (theirs, other_host, anonymous) =
        tokio::join!(theirs.init(), other_host.init(), anonymous.init());
    // librdkafka's words or, of an attempt after the first, OpenSSL's.
    let of_the_broker = [
        "broker certificate could not be verified",
        "certificate verify failed",
    ];
    let refusals = [
        (theirs, of_the_broker.as_slice()),
        (other_host, of_the_broker.as_slice()),
        (anonymous, &["alert bad certificate"]),
    ];
    for (init, reasons) in refusals {
        let init = init
            .err()
            .with_context(|| format!("{reasons:?}"))?
            .to_string();
        ensure!(
            init.contains("exit status: 69") && init.contains("error[CDC0040]"),
            "{init}"
        );
        ensure!(reasons.iter().any(|reason| init.contains(reason)), "{init}");
    }
    Ok(())
}

/// In both guarantees, and so that a refusal comes before and after the checkpoint of its transaction is sent.
const WAYS: [(&str, &str); 3] = [
    ("at_least_once", "5ms"),
    ("exactly_once", "5ms"),
    ("exactly_once", "1s"),
];

#[tokio::test(flavor = "multi_thread")]
async fn stops_at_a_topic_that_it_may_not_write_to_and_loses_nothing() -> Result<()> {
    let broker = broker().await?;
    for (delivery, transaction) in WAYS {
        let scenario = by_password(&broker, "SCRAM-SHA-512", USER.password).await?;
        let name = scenario.database().name().to_owned();
        let scenario = scenario
            .with("CDC_RELAY__DELIVERY", delivery)
            .with("CDC_RELAY__TRANSACTION_INTERVAL", transaction)
            .with("CDC_OUTBOX__TOPIC", format!("{READ_ONLY}{name}"));
        let report = refused(&scenario, scenario.start_relay()?, "CDC0044").await;
        let report = report.with_context(|| format!("{delivery}, {transaction}"))?;
        ensure!(
            report.contains("\"archive."),
            "the topic is not named:\n{report}"
        );
        delivers(&one_topic(scenario)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn parks_events_of_a_topic_that_it_may_not_write_to_and_sends_the_others() -> Result<()> {
    let broker = broker().await?;
    for (delivery, transaction) in WAYS {
        let scenario = by_password(&broker, "SCRAM-SHA-512", USER.password).await?;
        let topic = format!("{}.open", scenario.database().name());
        let refused = format!("{READ_ONLY}{topic}");
        let scenario = scenario
            .with("CDC_RELAY__DELIVERY", delivery)
            .with("CDC_RELAY__TRANSACTION_INTERVAL", transaction)
            .with("CDC_RELAY__POISON", "park")
            .with("CDC_OUTBOX__TOPIC", "${routedByValue}");
        let session = scenario.database().session().await?;
        let _relay = scenario.relay().await?;
        for n in 2..=5 {
            let to = if n % 2 == 0 { &topic } else { &refused };
            let emit = format!(
                "SELECT cdc.emit('{to}', 'k', 'Happened', '{{}}', NULL, '{}')",
                id(n)
            );
            session.batch_execute(&emit).await?;
        }
        let found = records_of(&scenario, &topic, &id(4)).await?;
        let found: Vec<_> = found.iter().map(|record| record.id().to_owned()).collect();
        ensure!(found == [id(2), id(4)], "{delivery}: {found:?}");
        until(SOON, "both others to be parked", async || {
            let rows = session
                .query(
                    "SELECT event_id, error_code FROM cdc.failed_event ORDER BY id",
                    &[],
                )
                .await?;
            let parked: Vec<(String, String)> =
                rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            let wanted = [3, 5].map(|n| (id(n), "CDC0044".to_owned()));
            let seen = format!("{delivery}, {transaction}: {parked:?}");
            Ok(Look::when(parked == wanted, seen))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_topic_of_checkpoints_is_no_fault_of_an_event() -> Result<()> {
    let broker = broker().await?;
    for (delivery, transaction) in WAYS {
        let scenario = by_password(&broker, "SCRAM-SHA-512", USER.password).await?;
        let checkpoints = format!("{READ_ONLY}{}.checkpoints", scenario.database().name());
        let scenario = scenario
            .with("CDC_RELAY__DELIVERY", delivery)
            .with("CDC_RELAY__TRANSACTION_INTERVAL", transaction)
            .with("CDC_RELAY__POISON", "park")
            .with("CDC_RELAY__CHECKPOINT_TOPIC", &checkpoints);
        let report = refused(&scenario, scenario.start_relay()?, "CDC0044").await;
        let report = report.with_context(|| format!("{delivery}, {transaction}"))?;
        ensure!(
            report.contains(&format!("the topic of the checkpoints, {checkpoints:?}")),
            "{report}"
        );
        let parked = scenario.database().session().await?;
        let parked = parked
            .query_one("SELECT count(*) FROM cdc.failed_event", &[])
            .await?;
        ensure!(parked.get::<_, i64>(0) == 0, "an event was parked");
        let own = format!("{}.checkpoint", scenario.database().name());
        delivers(&one_topic(
            scenario.with("CDC_RELAY__CHECKPOINT_TOPIC", own),
        ))
        .await?;
    }
    Ok(())
}
