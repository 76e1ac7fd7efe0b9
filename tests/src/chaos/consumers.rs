//! Kills of the consumer side under load: the notifier, and the collector of dead letters. The receiver of the webhooks
//! and the store of failed events are the judges.

mod events;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::progress::Progress;
use crate::random::Random;
use crate::receiver::Receiver;
use crate::scenario::Scenario;
use crate::topics::records_in;
use crate::wait::{Look, until};

pub use verdict::ConsumerVerdict;
use verdict::Settled;

/// One in so many events is refused by the endpoint for good.
const REFUSED: u32 = 20;

/// One in so many requests of the others fails for the moment.
const FAILS: u64 = 10;

/// Requests to an endpoint that may be under way at once.
const IN_FLIGHT: usize = 8;

/// Events of each cycle.
const EVENTS: u32 = 40;

/// Requests that are heard before the next kill, of two for each event: the rest is the load.
const HEARD: Range<u64> = 10..60;

/// From then to the kill.
const BREATH: Range<Duration> = Duration::from_millis(0)..Duration::from_millis(60);

/// How long an endpoint thinks, so that there is something under way.
const THOUGHT: Duration = Duration::from_millis(50);

/// How long the way may be shut after a kill.
const RECOVERY: Duration = Duration::from_secs(60);

/// How long the rest may take. What a killed notifier held is held for 25 s.
const FINISH: Duration = Duration::from_secs(360);

/// How long a process may take to stop in good order.
const STOP: Duration = Duration::from_secs(30);

/// The endpoint that gets everything at least once, and refuses some of it.
const AT_LEAST_ONCE: &str = "atleast";

/// The endpoint that gets everything at most once, and takes it.
const AT_MOST_ONCE: &str = "atmost";

/// In the name of every retry topic.
const RETRY: &str = ".retry-";

/// How often the consumers are killed, and when.
#[derive(Debug, Clone, Copy)]
pub struct ConsumerPlan {
    /// Kills of the notifier; every fourth one or so is one of the collector too.
    pub cycles: u32,
    /// When they happen follows from it; what they hit does not.
    pub seed: u64,
}

/// Kills as planned, lets the rest arrive, and judges.
///
/// # Errors
/// Fails if a process ends by itself, or something does not recover in time. Broken promises are not errors but in the
/// verdict.
pub async fn run(
    scenario: Scenario,
    plan: ConsumerPlan,
    progress: &Progress,
) -> Result<ConsumerVerdict> {
    let scenario = configured(scenario);
    let run = kill_and_judge(&scenario, plan, progress).await;
    if !run.as_ref().is_ok_and(ConsumerVerdict::is_clean) {
        progress.note(&scenario.log().tail(50));
    }
    run.with_context(|| format!("{plan:?}"))
}

/// With retries that are over long before what a killed notifier held is free again.
fn configured(scenario: Scenario) -> Scenario {
    let name = scenario.database().name().to_owned();
    let consumer = format!(
        "[{{ group = '{name}', instance_id = 'notifier', \
             retry = {{ blocking = {{ kind = 'none' }}, tiers = ['1s', '1s', '2s', '2s', '3s', '3s'] }} }}]"
    );
    scenario
        .with("CDC_OUTBOX__TOPIC", format!("{name}.events"))
        .with("CDC_NOTIFY__TOPICS", format!("{name}.events"))
        .with("CDC_NOTIFY__GROUP", name)
        // An endpoint that is slow because the machine is must not be closed for it.
        .with("CDC_NOTIFY__TIMEOUT", "5s")
        .with("CDC_NOTIFY__ALLOW_PRIVATE_NETWORKS", "127.0.0.0/8")
        .with("CDC_RECOVER__CONSUMER", consumer)
}

async fn kill_and_judge(
    scenario: &Scenario,
    plan: ConsumerPlan,
    progress: &Progress,
) -> Result<ConsumerVerdict> {
    let mut random = Random::seeded(plan.seed);
    let receiver = endpoints(scenario, plan.seed).await?;
    let mut relay = scenario.relay().await?;
    let mut notifier = scenario.start("notify")?;
    let mut collector = scenario.start("recover run")?;
    let session = scenario.database().session().await?;
    for cycle in 1..=plan.cycles {
        progress.now(format!("kill {cycle}"));
        let heard = || receiver.count(AT_LEAST_ONCE) + receiver.count(AT_MOST_ONCE);
        let wanted = heard() + usize::try_from(random.within(HEARD))?;
        events::commit(&session, (cycle - 1) * EVENTS + 1..=cycle * EVENTS).await?;
        until(RECOVERY, "requests after the last kill", async || {
            Ok(Look::when(
                heard() >= wanted,
                format!("{} of {wanted}", heard()),
            ))
        })
        .await?;
        tokio::time::sleep(random.duration(BREATH)).await;
        if random.within(0..4) == 0 {
            collector.kill_9().await?;
            collector = scenario.start("recover run")?;
        }
        notifier.kill_9().await?;
        notifier = scenario.start("notify")?;
    }
    let events = plan.cycles * EVENTS;
    progress.now("the rest arrives".to_owned());
    let settled = settle(scenario, &receiver, events).await?;
    for (process, what) in [
        (&mut relay, "relay"),
        (&mut notifier, "notifier"),
        (&mut collector, "collector"),
    ] {
        ensure!(process.is_running(), "the {what} has ended by itself");
    }
    for process in [notifier, collector, relay] {
        let exit = process.sigterm(STOP).await?;
        ensure!(exit.status.success(), "ended with {}", exit.status);
    }
    // As it is after everything has stopped: what comes late counts too.
    let at_the_end = look(scenario, &receiver, events).await?;
    ensure!(
        at_the_end.open == settled.open,
        "a failure came or went after all was settled"
    );
    let retried = records_in(scenario.kafka_brokers(), |topic| {
        topic.starts_with(scenario.database().name()) && topic.contains(RETRY)
    })?;
    Ok(ConsumerVerdict::of(
        &at_the_end,
        retried,
        plan.cycles,
        IN_FLIGHT,
        |number| number % REFUSED == 0,
    ))
}

/// One endpoint of each guarantee, subscribed to everything.
async fn endpoints(scenario: &Scenario, seed: u64) -> Result<Receiver> {
    let receiver = Receiver::start().await?;
    receiver.think_for(THOUGHT);
    let mut random = Random::seeded(seed);
    receiver.answer_by(AT_LEAST_ONCE, move |id| match events::number(id) {
        Some(number) if number % REFUSED == 0 => 400,
        _ if random.within(0..FAILS) == 0 => 503,
        _ => 200,
    });
    for (endpoint, guarantee) in [
        (AT_LEAST_ONCE, "at_least_once"),
        (AT_MOST_ONCE, "at_most_once"),
    ] {
        let url = receiver.url(endpoint);
        let add = format!(
            "endpoint add {endpoint} --url {url} --guarantee {guarantee} --max-concurrency {IN_FLIGHT}"
        );
        scenario.run(&add).await?;
    }
    Ok(receiver)
}

/// Waits until every event is dealt with, at both endpoints.
async fn settle(scenario: &Scenario, receiver: &Receiver, events: u32) -> Result<Settled> {
    until(FINISH, "every event to be dealt with", async || {
        let settled = look(scenario, receiver, events).await?;
        let open = settled.undecided();
        if open.is_empty() {
            Ok(Look::Ready(settled))
        } else {
            Ok(Look::NotYet(format!(
                "{} undecided: {:?}",
                open.len(),
                open.first()
            )))
        }
    })
    .await
}

async fn look(scenario: &Scenario, receiver: &Receiver, events: u32) -> Result<Settled> {
    let session = scenario.database().session().await?;
    let open = "SELECT event_id, count(*) FROM cdc.failed_event
                 WHERE status = 'open' AND part = $1 GROUP BY event_id";
    let open = session.query(open, &[&AT_LEAST_ONCE]).await?;
    let decided = "SELECT event_id FROM cdc.delivery
                    WHERE endpoint_id = $1 AND state = $2";
    let mut of_state = BTreeMap::new();
    for state in ["delivered", "unknown"] {
        let rows = session.query(decided, &[&AT_MOST_ONCE, &state]).await?;
        let ids: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
        of_state.insert(state, ids);
    }
    Ok(Settled {
        events,
        delivered: receiver.delivered(AT_LEAST_ONCE),
        open: open
            .iter()
            .map(|row| (row.get(0), row.get::<_, i64>(1)))
            .collect(),
        once: receiver.delivered(AT_MOST_ONCE),
        recorded: of_state.remove("delivered").unwrap_or_default(),
        doubtful: of_state.remove("unknown").unwrap_or_default(),
    })
}
