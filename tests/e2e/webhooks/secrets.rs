//! What must not be in a log.

use std::fs::{File, read_to_string, write};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::admin::Admin;
use cdc_e2e::process::{Pid, Signal};
use cdc_e2e::proxy::Proxy;
use cdc_e2e::receiver::Receiver;
use cdc_e2e::wait::{Look, until};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{command, commit, scenario, until_delivered};
use crate::outlet::{SOON, ids};

/// In the URL of the database.
const PASSWORD: &str = "correct-horse-battery";

/// In the URLs of endpoints and of who is alerted: whoever knows it can post to a chat.
const TOKEN: &str = "T0KEN-IN-A-URL";

/// Base64 of 32 bytes each: what an endpoint signs with, and what secrets are sealed with in the database.
const SIGNING_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const SEALING_KEY: &str = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
const OTHER_SEALING_KEY: &str = "YW5vdGhlciBrZXkgdGhhdCBzZWFscywgMzIgYnl0ZXM=";

/// What every signature of a request begins with, whatever the key.
const SIGNATURES: [&str; 2] = ["v1,", "v1a,"];

/// Endpoints that answer so.
const ILL: [(&str, u16); 3] = [("ill", 503), ("strict", 400), ("leaving", 410)];

/// All that get nothing, each for a reason of its own.
const UNREACHED: [&str; 7] = [
    "ill",
    "strict",
    "leaving",
    "refusing",
    "unknown",
    "plain",
    "unreadable",
];

fn add(scenario: &Scenario, endpoint: &str, url: &str, more: &str) -> Result<String> {
    let add = format!("endpoint add {endpoint} --url {url}?token={TOKEN} {more}");
    let secret = command(scenario, &add)?.trim().to_owned();
    let plain = secret.split_once('_').context("a secret has a prefix")?.1;
    Ok(plain.to_owned())
}

/// A notifier that writes all that it can say into a file.
fn start(scenario: &Scenario, log: &File) -> Result<Child> {
    let mut command = scenario.command("notify")?;
    command
        .env("CDC_LOG", "trace")
        .env("CDC_ADMIN__LISTEN", Admin::on_free_port()?.0.to_string())
        .stdout(Stdio::null())
        .stderr(log.try_clone()?);
    Ok(Command::from(command).kill_on_drop(true).spawn()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_logs_no_secret_of_an_endpoint_and_no_password_whatever_goes_wrong() -> Result<()>
{
    let receiver = Receiver::start().await?;
    let nobody = Admin::on_free_port()?.0;
    let scenario = scenario("['200ms']").await?;
    let server = scenario.database().url().clone();
    let proxy = Proxy::in_front_of(server.address()).await?;
    let through = server.through(proxy.address()).to_string();
    let with_password = through.replacen("postgres@", &format!("postgres:{PASSWORD}@"), 1);
    ensure!(with_password != through, "no user in {through}");
    let alert = format!("{}?token={TOKEN}", receiver.url("alert"));
    let scenario = scenario
        .with(
            "CDC_NOTIFY__SECRET_KEYS",
            format!("['{OTHER_SEALING_KEY}']"),
        )
        .with("CDC_NOTIFY__CACHE_EXPIRY", "0s")
        .with("CDC_NOTIFY__ATTEMPT_LOG", "all")
        .with("CDC_RECOVER__ALERT__WEBHOOK", alert);
    let unreadable = add(&scenario, "unreadable", &receiver.url("unreadable"), "")?;
    let scenario = scenario.with("CDC_NOTIFY__SECRET_KEYS", format!("['{SEALING_KEY}']"));

    let well = add(&scenario, "well", &receiver.url("well"), "")?;
    let rotated = command(&scenario, "endpoint rotate-secret well")?;
    let rotated = rotated.trim().trim_start_matches("whsec_").to_owned();
    let directory = tempfile::tempdir()?;
    let key = directory.path().join("key");
    write(&key, format!("whsk_{SIGNING_KEY}"))?;
    let with_key = format!("--secret-file {}", key.display());
    add(&scenario, "private", &receiver.url("private"), &with_key)?;
    let mut secrets = vec![unreadable, well, rotated];
    for (endpoint, status) in ILL {
        secrets.push(add(&scenario, endpoint, &receiver.url(endpoint), "")?);
        receiver.answer(endpoint, status);
    }
    let plain = receiver.url("plain").replacen("http", "https", 1);
    for (endpoint, url) in [
        ("refusing", format!("http://{nobody}/")),
        ("unknown", "http://nobody.invalid/".to_owned()),
        ("plain", plain),
    ] {
        secrets.push(add(&scenario, endpoint, &url, "")?);
    }

    let _relay = scenario.relay().await?;
    let file = directory.path().join("log");
    let log = File::create(&file)?;
    let scenario = scenario.with("CDC_POSTGRES__URL", with_password);
    let mut notifier = start(&scenario, &log)?;
    commit(&scenario, 1..=3).await?;
    for endpoint in ["well", "private"] {
        until_delivered(&receiver, endpoint, &ids(1..=3), SOON).await?;
    }
    until(SOON, "a dead letter for each that fails", async || {
        let said = read_to_string(&file)?;
        let missing: Vec<_> = UNREACHED
            .iter()
            .filter(|endpoint| !said.contains(&format!("part={endpoint} ")))
            .collect();
        Ok(Look::when(missing.is_empty(), format!("{missing:?}")))
    })
    .await?;
    until(SOON, "somebody to be told", async || {
        Ok(Look::when(receiver.count("alert") > 0, "nobody"))
    })
    .await?;

    let address = proxy.address();
    drop(proxy);
    commit(&scenario, 4..=5).await?;
    until(SOON, "a word about the database", async || {
        let said = read_to_string(&file)?;
        let told = said.contains("the store of deliveries is away");
        Ok(Look::when(told, "nothing"))
    })
    .await?;
    let _server = Proxy::at(address, server.address()).await?;
    until_delivered(&receiver, "well", &ids(1..=5), SOON).await?;
    Pid(notifier.id().context("it runs")?).send(Signal::Terminate)?;
    let status = timeout(SOON, notifier.wait()).await??;
    ensure!(status.success(), "{status}");

    let log = read_to_string(&file)?;
    for level in ["TRACE", "DEBUG"] {
        ensure!(log.contains(level), "no {level} in the log:\n{log}");
    }
    let known = [PASSWORD, TOKEN, SIGNING_KEY, SEALING_KEY, OTHER_SEALING_KEY];
    let known = known.into_iter().chain(SIGNATURES);
    for secret in known.chain(secrets.iter().map(String::as_str)) {
        let shown: Vec<_> = log.lines().filter(|line| line.contains(secret)).collect();
        ensure!(shown.is_empty(), "{secret} is in the log: {shown:#?}");
    }
    Ok(())
}
