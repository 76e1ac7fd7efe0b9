//! The coupon: a rush for too few of them, many of it fail, and in the end each who was accepted has one.

mod outcome;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Scenario;
use crate::coupon::{CouponOptions, CouponService, Crowd, Patience, Switch, User};
use crate::progress::Progress;
use crate::receiver::Receiver;
use crate::services::Services;
use crate::wait::{Look, Wait, until};
use outcome::Outcome;

/// Users who apply.
const APPLICANTS: User = 2_000;

/// How many of them can have one.
const COUPONS: i64 = 100;

/// How long one step of the story may take.
const STEP: Duration = Duration::from_secs(60);

/// Looks between two lines about how far it is.
const LOOKS: u32 = 50;

/// Plays it on the given servers and says on stdout what was promised and seen; false if a promise was broken.
///
/// # Errors
/// Fails if a step takes more than a minute or a program ends by itself.
pub async fn play(services: &Arc<Services>) -> Result<bool> {
    let progress = Progress::on_stdout();
    progress.now("the coupon: creating the database, the publication and the slot");
    let scenario = Scenario::on(Arc::clone(services)).await?;
    let log = scenario.log().clone();
    let outcome = tell(scenario, &progress).await;
    if !outcome.as_ref().is_ok_and(Outcome::is_as_promised) {
        progress.note(&log.tail(50));
    }
    let outcome = outcome?;
    progress.note(&format!("\n{outcome}"));
    Ok(outcome.is_as_promised())
}

async fn tell(scenario: Scenario, progress: &Progress) -> Result<Outcome> {
    let options = CouponOptions::of(&scenario)?
        .with("COUPON_LIMIT", COUPONS.to_string())
        // As they are by default: two more attempts, a second apart.
        .with("RETRY_DELAY", "1s")
        .with("RETRIES", "2")
        .with("DLT_CONCURRENCY", "16")
        .with("FAIL_ODD", "true")
        .with("FAIL_DLT", "true");
    let receiver = Receiver::start().await?;
    let scenario = scenario
        .with("CDC_RECOVER__CONSUMER", options.recover_consumer())
        .with("CDC_RECOVER__ALERT__WEBHOOK", receiver.url("alert"));
    let _relay = scenario.relay().await?;
    let _collector = scenario.start("recover run")?;
    let service = options.start(scenario.log()).await?;

    progress.now(format!(
        "{APPLICANTS} users apply for {COUPONS} coupons at once"
    ));
    let mut outcome = Outcome::new(APPLICANTS, COUPONS);
    outcome.crowd = Crowd::apply(service.address(), 1..=APPLICANTS, Patience::None).await?;
    let accepted = outcome.crowd.numbers()?;
    outcome.odd = accepted.keys().filter(|user| *user % 2 != 0).count();
    let odd = i64::try_from(outcome.odd)?;

    progress.now(
        "users with an odd id fail: two more attempts, then dead letters, whose handler fails too",
    );
    let open = "SELECT count(*) FROM cdc.failed_event WHERE status = 'open'";
    watch(progress, &service, async |coupons| {
        let open = count(&scenario, open).await?;
        let line = format!("{coupons} coupons, {open} of {odd} failures in the store");
        Ok((coupons == COUPONS - odd && open == odd, line))
    })
    .await?;
    outcome.stored = count(&scenario, open).await?;
    outcome.before_fix = coupons(&service).await?;

    let replay = until(STEP, "the alert", async || {
        let alerts = receiver.requests("alert");
        let alert = alerts.last().context("none yet")?;
        let body: Value = serde_json::from_slice(&alert.body)?;
        let data = &body["data"];
        let replay = data["replay"].as_str().context("no command in it")?;
        Ok(Look::Ready((
            data["title"].to_string(),
            data["causes"].to_string(),
            replay.to_owned(),
        )))
    })
    .await?;
    let (title, causes, replay) = replay;
    outcome.alerts = receiver.requests("alert").len();
    progress.note(&format!(
        "  alert: {title}\n  because: {causes}\n  it says: {replay}"
    ));

    progress.now("the fix, and the command that the alert has told");
    service.fail(Switch::Odd, false).await?;
    service.fail(Switch::DeadLetters, false).await?;
    let command = replay.strip_prefix("cdc-relay ").context("not a command")?;
    let command = tokio::process::Command::from(scenario.command(command)?)
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(command.status.success(), "{replay}: {command:?}");
    watch(progress, &service, async |coupons| {
        Ok((coupons == COUPONS, format!("{coupons} coupons")))
    })
    .await?;
    let replayed = "SELECT count(*) FROM cdc.failed_event WHERE status = 'replayed'";
    outcome.replayed = count(&scenario, replayed).await?;
    outcome.open = count(&scenario, open).await?;
    let session = scenario.database().session().await?;
    let sql = "SELECT user_id, sequence::bigint FROM coupon.coupon";
    let rows = session.query(sql, &[]).await?;
    outcome.coupons = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    service.sigterm(STEP).await?;
    Ok(outcome)
}

/// Looks until `look` is content, and says how far it is from time to time. `look` gets the number of coupons.
async fn watch(
    progress: &Progress,
    service: &CouponService,
    mut look: impl AsyncFnMut(i64) -> Result<(bool, String)>,
) -> Result<()> {
    let wait = Wait::new(STEP, "the story to go on");
    for looked in 0_u32.. {
        let (is_done, line) = look(coupons(service).await?).await?;
        if is_done || looked % LOOKS == 0 {
            progress.now(line.clone());
        }
        if is_done {
            break;
        }
        wait.again(line).await?;
    }
    Ok(())
}

async fn coupons(service: &CouponService) -> Result<i64> {
    let status = service.status().await?;
    let coupons = status["campaign"]["coupons"].as_i64();
    coupons.with_context(|| format!("no coupons in {status}"))
}

async fn count(scenario: &Scenario, sql: &str) -> Result<i64> {
    let session = scenario.database().session().await?;
    Ok(session.query_one(sql, &[]).await?.get(0))
}
