//! `cdc-relay recover replay`: what was stored arrives as it was, in order, and not twice unless a process was killed.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::process::{Pid, Signal};
use cdc_e2e::services::Component;
use cdc_e2e::wait::{Look, until};
use tokio::process::{Child, Command};

use crate::outlet::{SOON, id, ids, ids_until, one_topic, records_until};

/// More than a batch may take with a broker that says nothing: half a minute, and the farewell.
const SILENCE: Duration = Duration::from_secs(90);

/// Stores failed events whose ids are those of `numbers`; each one's number is also its place in the log.
async fn store(scenario: &Scenario, numbers: &str) -> Result<()> {
    let topic = format!("{}.events", scenario.database().name());
    let sql = format!(
        "INSERT INTO cdc.failed_event
             (source, system_id, slot, commit_lsn, change_index, event_id, topic, key, payload, headers,
              error_code, error_message, fingerprint)
         SELECT 'relay', '1', 'slot', '0/0'::pg_lsn + n, 0, id, '{topic}', 'k', 'v',
                jsonb_build_array(jsonb_build_array('id', encode(id::bytea, 'base64'))),
                'CDC0044', 'not allowed', 'f'
           FROM (SELECT n, '00000000-0000-4000-8000-' || lpad(n::text, 12, '0') AS id FROM {numbers} AS n) AS events"
    );
    Ok(scenario
        .database()
        .session()
        .await?
        .batch_execute(&sql)
        .await?)
}

/// How many of the stored events have this status.
async fn count(scenario: &Scenario, status: &str) -> Result<i64> {
    let session = scenario.database().session().await?;
    let sql = "SELECT count(*) FROM cdc.failed_event WHERE status = $1";
    Ok(session.query_one(sql, &[&status]).await?.get(0))
}

/// The ids of the events that were replayed, in the order of the log.
async fn replayed(scenario: &Scenario) -> Result<Vec<String>> {
    let session = scenario.database().session().await?;
    let sql = "SELECT event_id FROM cdc.failed_event WHERE status = 'replayed' ORDER BY commit_lsn";
    let rows = session.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn start(scenario: &Scenario, arguments: &str) -> Result<Child> {
    let mut command = Command::from(scenario.command(arguments)?);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok(command.spawn()?)
}

async fn run(scenario: &Scenario, arguments: &str) -> Result<Output> {
    let ended = start(scenario, arguments)?.wait_with_output();
    Ok(tokio::time::timeout(SOON, ended).await??)
}

async fn succeed(scenario: &Scenario, arguments: &str) -> Result<String> {
    let output = run(scenario, arguments).await?;
    ensure!(output.status.success(), "{arguments}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

async fn until_some_are(scenario: &Scenario, status: &str) -> Result<()> {
    until(SOON, &format!("events that are {status}"), async || {
        let seen = count(scenario, status).await?;
        Ok(Look::when(seen > 0, seen))
    })
    .await
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    Pid(child.id().context("it has ended by itself")?).send(signal)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_record_is_byte_for_byte_the_stored_one() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    store(&scenario, "generate_series(1, 2)").await?;
    let session = scenario.database().session().await?;
    session
        .batch_execute(
            r#"UPDATE cdc.failed_event SET partition = 0, key = '\x00ff', payload = '\xfe00',
                   record_timestamp = 1700000000123,
                   headers = headers || '[["a", "AP8="], ["a", null], ["", ""]]' WHERE commit_lsn = '0/1';
               UPDATE cdc.failed_event SET key = NULL, payload = NULL WHERE commit_lsn = '0/2'"#,
        )
        .await?;
    succeed(&scenario, "recover replay --all").await?;
    let records = records_until(&scenario, &id(2)).await?;
    ensure!(records.len() == 2, "{records:?}");
    let first = &records[0];
    ensure!(first.key.as_deref() == Some(&[0, 0xff]), "{first:?}");
    ensure!(first.value.as_deref() == Some(&[0xfe, 0]), "{first:?}");
    ensure!(first.timestamp_ms == Some(1_700_000_000_123), "{first:?}");
    let headers = [
        ("id", Some(id(1).into_bytes())),
        ("a", Some(vec![0, 0xff])),
        ("a", None),
        ("", Some(Vec::new())),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value));
    ensure!(first.headers == headers, "{first:?}");
    ensure!(
        records[1].key.is_none() && records[1].value.is_none(),
        "{records:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_replayed_in_the_order_of_the_log_and_once() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    // Stored in the reverse order, and more than one batch.
    store(&scenario, "generate_series(250, 1, -1)").await?;
    let told = succeed(&scenario, "recover replay --code CDC0044").await?;
    ensure!(told.contains("250 events replayed"), "{told}");
    let told = succeed(&scenario, "recover replay --all").await?;
    ensure!(told.contains("0 events replayed"), "{told}");
    store(&scenario, "generate_series(251, 251)").await?;
    succeed(&scenario, "recover replay --all").await?;
    let seen = ids_until(&scenario, &id(251)).await?;
    ensure!(seen == ids(1..=251), "{seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replays_at_once_send_each_event_once() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    store(&scenario, "generate_series(1, 1000)").await?;
    let (one, other) = tokio::join!(
        run(&scenario, "recover replay --all"),
        run(&scenario, "recover replay --all"),
    );
    // Either may tell of events that the other one dealt with.
    for ended in [one?, other?] {
        ensure!(matches!(ended.status.code(), Some(0 | 69)), "{ended:?}");
    }
    ensure!(
        count(&scenario, "replayed").await? == 1000,
        "not every event was replayed"
    );
    store(&scenario, "generate_series(1001, 1001)").await?;
    succeed(&scenario, "recover replay --all").await?;
    let mut seen = ids_until(&scenario, &id(1001)).await?;
    seen.sort();
    ensure!(seen == ids(1..=1001), "{} records", seen.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_was_killed_is_taken_up_by_the_next_one() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    store(&scenario, "generate_series(1, 300)").await?;
    let mut child = start(&scenario, "recover replay --all --rate 100/s")?;
    until_some_are(&scenario, "replayed").await?;
    until_some_are(&scenario, "replaying").await?;
    signal(&child, Signal::Kill)?;
    child.wait().await?;
    let held = count(&scenario, "replaying").await?;
    ensure!(held > 0, "nothing was under way");
    // As if two minutes had passed.
    let session = scenario.database().session().await?;
    session
        .batch_execute("UPDATE cdc.failed_event SET lease_until = now() - interval '1 s' WHERE status = 'replaying'")
        .await?;
    succeed(&scenario, "recover replay --all").await?;
    ensure!(
        count(&scenario, "replayed").await? == 300,
        "not every event was replayed"
    );
    let mut seen = ids_until(&scenario, &id(300)).await?;
    let records = seen.len();
    seen.sort();
    seen.dedup();
    ensure!(seen == ids(1..=300), "an event is missing");
    ensure!(
        i64::try_from(records - 300)? <= held,
        "{records} records: more than what was under way came twice"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_replay_records_what_it_sent_and_lets_go_of_the_rest() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    store(&scenario, "generate_series(1, 200)").await?;
    let child = start(&scenario, "recover replay --all --rate 50/s")?;
    until_some_are(&scenario, "replaying").await?;
    signal(&child, Signal::Terminate)?;
    let ended = tokio::time::timeout(SOON, child.wait_with_output()).await??;
    ensure!(ended.status.success(), "{ended:?}");
    let told = String::from_utf8(ended.stdout)?;
    ensure!(
        told.contains("not touched, since it was interrupted"),
        "{told}"
    );
    ensure!(
        count(&scenario, "replaying").await? == 0,
        "it still holds events"
    );
    let mut expected = replayed(&scenario).await?;
    ensure!(expected.len() < 200, "it was not interrupted");
    store(&scenario, "generate_series(201, 201)").await?;
    succeed(
        &scenario,
        "recover replay --newer-than 1h --key k --limit 1000",
    )
    .await?;
    // All others are replayed now, after those of the interrupted one.
    expected.extend(ids(1..=201).into_iter().skip(expected.len()));
    let seen = ids_until(&scenario, &id(201)).await?;
    ensure!(seen == expected, "{seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_kafka_refuses_again_stays_open_and_holds_up_no_other() -> Result<()> {
    let scenario = one_topic(Scenario::shared().await?);
    store(&scenario, "generate_series(1, 3)").await?;
    let session = scenario.database().session().await?;
    session
        .batch_execute("UPDATE cdc.failed_event SET payload = repeat('x', 3000000)::bytea WHERE commit_lsn = '0/2'")
        .await?;
    let ended = run(&scenario, "recover replay --all").await?;
    ensure!(ended.status.code() == Some(69), "{ended:?}");
    let told = String::from_utf8(ended.stdout)?;
    ensure!(
        told.contains("2 events replayed") && told.contains("not replayed: CDC0043"),
        "{told}"
    );
    let open = "SELECT event_id, error_code, attempts FROM cdc.failed_event WHERE status = 'open'";
    let open = session.query(open, &[]).await?;
    ensure!(open.len() == 1, "{open:?}");
    let (event, code, attempts): (String, String, i32) =
        (open[0].get(0), open[0].get(1), open[0].get(2));
    ensure!(
        (event, code.as_str(), attempts) == (id(2), "CDC0043", 2),
        "{open:?}"
    );
    let seen = ids_until(&scenario, &id(3)).await?;
    ensure!(seen == [id(1), id(3)], "{seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_does_not_acknowledge_is_open_again_and_loses_nothing() -> Result<()> {
    let scenario = one_topic(Scenario::private(&[Component::Kafka]).await?);
    scenario.servers()?.be_patient_with_kafka().await?;
    store(&scenario, "generate_series(1, 5)").await?;
    let child = start(&scenario, "recover replay --all --rate 1/s")?;
    ids_until(&scenario, &id(1)).await?;
    scenario.servers()?.freeze(Component::Kafka)?;
    let ended = tokio::time::timeout(SILENCE, child.wait_with_output()).await??;
    let report = String::from_utf8(ended.stderr)?;
    ensure!(
        ended.status.code() == Some(69),
        "{:?}: {report}",
        ended.status
    );
    ensure!(report.contains("error[CDC0040]"), "{report}");
    ensure!(
        count(&scenario, "replaying").await? == 0,
        "it still holds events"
    );

    scenario.servers()?.thaw(Component::Kafka)?;
    store(&scenario, "generate_series(6, 6)").await?;
    until(SOON, "Kafka to take events", async || {
        let told = succeed(&scenario, "recover replay --all").await?;
        Ok(Look::when(count(&scenario, "open").await? == 0, told))
    })
    .await?;
    let mut seen = ids_until(&scenario, &id(6)).await?;
    seen.sort();
    seen.dedup();
    ensure!(seen == ids(1..=6), "{seen:?}");
    Ok(())
}
