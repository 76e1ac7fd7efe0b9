//! What `notify` and `recover run` need: tables, privileges, topics and groups.

use std::time::Duration;

use cdc_kafka::{Error, PartitionLag, group_lag};

use super::finding::{Findings, Report};
use crate::config::{Config, GroupOrdering};
use crate::database::Database;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::migrations::{self, Part};
use crate::role::collect::group_of_collector;
use crate::role::{GroupPlan, collected};

/// A table of schema `cdc`, and what is done with its rows.
type Need = (&'static str, &'static [&'static str]);

const EVERYTHING: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE"];

const NOTIFIER: &[Need] = &[
    ("subscription", &["SELECT"]),
    ("endpoint", &["SELECT", "UPDATE"]),
    ("delivery", EVERYTHING),
    ("attempt", EVERYTHING),
];

const LANES: &[Need] = &[
    ("lane", EVERYTHING),
    ("lane_event", EVERYTHING),
    ("lane_owner", EVERYTHING),
    ("lane_action", &["SELECT", "INSERT", "UPDATE"]),
];

const COLLECTOR: &[Need] = &[
    ("failed_event", &["SELECT", "INSERT", "UPDATE"]),
    ("failed_event_action", &["SELECT", "INSERT", "UPDATE"]),
    ("alert", &["SELECT", "INSERT", "UPDATE"]),
];

/// For each question to the cluster.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Kafka's numbers for a client without permission: for the topic, the group, and for the cluster.
const NOT_AUTHORISED: [i32; 3] = [29, 30, 31];

/// Nothing is said where the configuration names no consumer.
pub(super) async fn check(config: &Config, report: &mut Report) {
    let groups = match collected(config) {
        Ok(groups) if groups.is_empty() => return,
        Ok(groups) => groups,
        Err(failure) => {
            let mut findings = Findings::at("consumers");
            findings.failed("consumers", &failure);
            report.add(findings);
            return;
        }
    };
    report.add(stores(config, &groups).await);
    for group in &groups {
        let names = &group.names;
        let sources: Vec<_> = names
            .sources()
            .iter()
            .map(|source| source.topic.clone())
            .collect();
        report.add(of_group(config, names.group(), &sources, true).await);
        let dead_letters = names.dead_letter_topics();
        let dead_letters: Vec<_> = dead_letters.into_iter().map(str::to_owned).collect();
        let collector = group_of_collector(names.group());
        // Whoever runs the group makes these topics.
        report.add(of_group(config, &collector, &dead_letters, false).await);
    }
}

async fn stores(config: &Config, groups: &[GroupPlan]) -> Findings {
    let config = config.at_store();
    let mut findings = Findings::at(format!("store {}", config.postgres.options().target()));
    match Database::connect(&config).await {
        Ok(database) => {
            migrated(&database, &config, &mut findings).await;
            if !config.notify.topics.is_empty() {
                tables("notify", NOTIFIER, &database, &config, &mut findings).await;
            }
            if groups
                .iter()
                .any(|group| group.ordering != GroupOrdering::None)
            {
                tables("notify", LANES, &database, &config, &mut findings).await;
            }
            tables("recover run", COLLECTOR, &database, &config, &mut findings).await;
        }
        Err(failure) => findings.failed("consumers", &failure),
    }
    findings
}

async fn migrated(database: &Database, config: &Config, findings: &mut Findings) {
    match migrations::pending(Part::Store, database, config).await {
        Ok(pending) if pending.is_empty() => findings.ok("migrations", "all were applied"),
        Ok(pending) => findings.failed(
            "migrations",
            &Failure::new(
                ErrorCode::StoreMissing,
                format!(
                    "{} migrations of the stores were not applied",
                    pending.len()
                ),
                "run `cdc-relay init` as the owner of the tables",
            ),
        ),
        // A role with the grants of the manual may not read which were applied; the tables tell enough.
        Err(failure) if failure.code() == ErrorCode::Privilege => {}
        Err(failure) => findings.failed("migrations", &failure),
    }
}

/// What `command` does with tables.
async fn tables(
    command: &str,
    needs: &[Need],
    database: &Database,
    config: &Config,
    findings: &mut Findings,
) {
    let mut all_there = true;
    for (table, privileges) in needs {
        let found = database
            .lacking_privileges("cdc", table, privileges, config)
            .await;
        let failure = match found {
            Ok(Some(lacking)) if lacking.is_empty() => continue,
            Ok(Some(lacking)) => Failure::new(
                ErrorCode::Privilege,
                format!(
                    "`{command}` needs {} on cdc.{table}, which the role may not do",
                    lacking.join(", ")
                ),
                format!(
                    "GRANT USAGE ON SCHEMA cdc and {} ON cdc.{table} to the role that runs it",
                    privileges.join(", ")
                ),
            ),
            Ok(None) => Failure::new(
                ErrorCode::StoreMissing,
                format!("`{command}` needs cdc.{table}, which does not exist"),
                "run `cdc-relay init`, or correct `postgres.store_url`",
            ),
            Err(failure) => failure,
        };
        all_there = false;
        findings.failed("consumers", &failure);
    }
    if all_there {
        let names: Vec<_> = needs.iter().map(|(table, _)| *table).collect();
        let names = names.join(", ");
        findings.ok("consumers", format!("`{command}` may use {names}"));
    }
}

/// Whether a group and what it reads can be seen.
async fn of_group(config: &Config, group: &str, topics: &[String], needed: bool) -> Findings {
    let mut findings = Findings::at(format!("group {group}"));
    let lags = match group_lag(&config.kafka.options(), group, topics, TIMEOUT).await {
        Ok(lags) => lags,
        Err(error) => {
            findings.failed("group", &refusal(error, group, config));
            return findings;
        }
    };
    let is_there = |topic: &String| lags.iter().any(|lag| *lag.partition.topic == **topic);
    for topic in topics.iter().filter(|topic| needed && !is_there(topic)) {
        findings.warn(
            "group",
            format!("the topic {topic:?} is not there: nothing is read until it is"),
            "correct the list of topics, unless the relay makes it with its first event",
            Some(ErrorCode::TopicMissing),
        );
    }
    if findings.is_empty() {
        let behind: u64 = lags.iter().map(PartitionLag::offsets_behind).sum();
        findings.ok(
            "group",
            format!("{} partitions, {behind} records to be read", lags.len()),
        );
    }
    findings
}

/// Looking at a group says only that Kafka cannot be asked; whether that is a matter of permissions is in the code.
fn refusal(error: Error, group: &str, config: &Config) -> Failure {
    match error {
        Error::Unreachable { action, code, .. } if NOT_AUTHORISED.contains(&code.number()) => {
            let error = Error::Consume {
                group: group.into(),
                detail: format!("it was asked to {action}"),
                code,
            };
            Failure::from_consumer(error, config)
        }
        error => Failure::from_consumer(error, config),
    }
}
