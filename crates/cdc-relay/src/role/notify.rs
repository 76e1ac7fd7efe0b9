//! The notifier: topics → webhooks.

mod last_resort;
mod news;

use std::sync::Arc;
use std::time::Duration;

use cdc_event::{Backoff, random_fraction};
use notifier::{Alerts, Deliveries, Notifier, UntoldNews};
use pg_replication::{ConnectOptions, Disposition};
use recovery::Runner;
use tokio_util::sync::CancellationToken;
use webhook::{Client, Guard, GuardSettings, Ports};

use self::last_resort::Keeper;
use self::news::TellNews;
use super::collect::alert_sink;
use super::order::Order;
use super::{GroupPlan, NotifyState};
use crate::complaints::Complaints;
use crate::config::Config;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// How often old deliveries are removed, and how many in one statement.
const PRUNING: Duration = Duration::from_secs(600);
const PRUNED: u32 = 5_000;

/// For one statement of the notifier's tables that nobody waits for.
const STATEMENT_LIMIT: Duration = Duration::from_secs(60);

/// Between tries of a database that is away.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is begun when the process is told to stop may take this much longer than one request.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// Notifies until `shutdown` is cancelled: then requests in flight end, what came of them is written down, and the group
/// is left.
///
/// # Errors
///
/// What cannot pass by itself.
pub(crate) async fn run(
    config: &Config,
    state: &NotifyState,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let GroupPlan {
        mut settings,
        names,
        ordering,
    } = GroupPlan::of_notifier(config)?;
    let timeout = config.notify.timeout.get();
    settings.stop_deadline = timeout + STOP_MARGIN;
    let store = config.at_store().postgres.options();
    let client = client(config)?;
    let disable_after = config.notify.disable_after.map(|span| span.get());
    let untold = UntoldNews::new(&store, STOP_MARGIN, disable_after);
    let (alerts, telling) = TellNews::new(untold, alert_sink(config)?);
    let behaviour = notifier::Settings {
        concurrency: config.notify.concurrency,
        timeout,
        cache_expiry: config.notify.cache_expiry.get(),
        disable_after,
        attempt_log: config.notify.attempt_log.into(),
        ..notifier::Settings::default()
    };
    let notifier = tokio::select! {
        started = start(config, &store, &client, &alerts, behaviour) => Arc::new(started?),
        () = shutdown.cancelled() => return Ok(()),
    };
    let order = tokio::select! {
        order = Order::open(config, names.group(), ordering, settings.stop_deadline) => order?,
        () = shutdown.cancelled() => return Ok(()),
    };
    settings.ordering = order.ordering();
    let (keeper, writer) = Keeper::new(store.clone(), &names);
    let runner = Runner::new(config.kafka.options(), settings, Arc::clone(&notifier))
        .map_err(|error| Failure::from_recovery(error, config))?
        .with_last_resort(keeper);
    state.runs(runner.status());
    tracing::info!(group = names.group(), topics = ?config.notify.topics, "notifying");

    let ended = CancellationToken::new();
    let running = async {
        let ran = runner.run(shutdown.clone()).await;
        ended.cancel();
        ran
    };
    let watching = order.watch(config, &ended);
    let leaving = async {
        shutdown.cancelled().await;
        notifier.stop_waiting();
    };
    let (ran, (), _, (), (), ()) = tokio::join!(
        running,
        watching,
        ended.run_until_cancelled(leaving),
        writer.run(),
        telling.run(&ended),
        prune(config, &store, &ended)
    );
    let closed = match Arc::try_unwrap(notifier) {
        Ok(notifier) => notifier.close(timeout + STOP_MARGIN).await,
        Err(_) => false,
    };
    if !closed {
        tracing::warn!(
            "stopped before the outcome of every request was written down; those are in doubt"
        );
    }
    ran.map_err(|error| Failure::from_recovery(error, config))
}

/// Waits as long as PostgreSQL is away.
async fn start(
    config: &Config,
    store: &ConnectOptions,
    client: &Client,
    alerts: &Arc<TellNews>,
    settings: notifier::Settings,
) -> Result<Notifier, Failure> {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let complaints = Complaints::default();
    loop {
        let keys = config.notify.secret_keys().map_err(|error| {
            Failure::internal("`notify.secret_keys` cannot be used").caused_by(error)
        })?;
        let alerts: Arc<dyn Alerts> = Arc::<TellNews>::clone(alerts);
        let error = match Notifier::start(store, client.clone(), keys, alerts, settings).await {
            Ok(notifier) => return Ok(notifier),
            Err(error) => error,
        };
        let may_pass = error.disposition() != Disposition::Permanent;
        let failure = Failure::from_notifier(error, config);
        if !may_pass {
            return Err(failure);
        }
        complaints.about("PostgreSQL", &failure);
        tokio::time::sleep(backoff.next_delay(random_fraction())).await;
    }
}

/// What sends webhooks, with the guard that the configuration asks for.
///
/// # Errors
///
/// The file of certificates cannot be used.
pub(crate) fn client(config: &Config) -> Result<Client, Failure> {
    let notify = &config.notify;
    let own = config.admin.listen.as_ref();
    let guard = Guard::new(GuardSettings {
        allow: notify.allow_private_networks.clone(),
        ports: Ports::default(),
        own: own
            .and_then(|listen| listen.as_str().parse().ok())
            .into_iter()
            .collect(),
        ..GuardSettings::default()
    });
    let unusable = |error: Box<dyn std::error::Error + Send + Sync>| {
        Failure::new(
            ErrorCode::InvalidValue,
            "webhooks cannot be sent with these settings",
            "correct `notify.ca_file`, or install the package ca-certificates",
        )
        .caused_by(error)
    };
    let roots = match &notify.ca_file {
        Some(path) => Some(std::fs::read(path).map_err(|error| unusable(error.into()))?),
        None => None,
    };
    let usual = webhook::Settings::default();
    Client::new(webhook::Settings {
        guard,
        timeout: notify.timeout.get(),
        user_agent: notify.user_agent.clone().unwrap_or(usual.user_agent),
        extra_roots_pem: roots,
        title_case_headers: notify.title_case_headers,
        ..usual
    })
    .map_err(|error| unusable(error.into()))
}

/// Forgets deliveries that are old.
async fn prune(config: &Config, store: &ConnectOptions, ended: &CancellationToken) {
    let Some(retention) = config.notify.retention else {
        return;
    };
    let mut deliveries = Deliveries::new(store, STATEMENT_LIMIT);
    loop {
        let pruned = tokio::select! {
            pruned = deliveries.prune(retention.get(), PRUNED) => pruned,
            () = ended.cancelled() => return,
        };
        if let Err(error) = pruned {
            let failure = Failure::from_notifier(error, config);
            tracing::warn!(code = %failure.code(), error = failure.one_line(), "old deliveries stay for now");
        }
        tokio::select! {
            () = tokio::time::sleep(PRUNING) => {}
            () = ended.cancelled() => return,
        }
    }
}
