//! Alerts and dashboard speak of metrics that exist.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::files::{document, items, names, text};

const ALERTS: &str = "docker/prometheus/alerts.yml";
const DASHBOARD: &str = "docker/grafana/dashboards/cdc-relay.json";

/// What a histogram or a summary adds to its name.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Words that begin like a name of ours.
fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("cdc_"))
        .collect()
}

/// The constants of all crates.
fn exported() -> BTreeSet<String> {
    let sources = names("crates")
        .into_iter()
        .map(|name| format!("crates/{name}/src/metric.rs"))
        .filter(|path| crate::files::root().join(path).exists());
    let mut metrics = BTreeSet::new();
    for source in sources {
        let source = text(&source);
        let constants = source.lines().filter(|line| line.contains("const "));
        metrics.extend(
            constants
                .filter_map(|line| line.split('"').nth(1))
                .filter(|name| name.starts_with("cdc_"))
                .map(str::to_owned),
        );
    }
    assert!(metrics.contains("cdc_relay_events_total"), "{metrics:?}");
    metrics
}

fn unknown<'a>(used: &BTreeSet<&'a str>, exported: &BTreeSet<String>) -> Vec<&'a str> {
    let is_known = |name: &str| {
        exported.contains(name)
            || PARTS.iter().any(|part| {
                name.strip_suffix(part)
                    .is_some_and(|base| exported.contains(base))
            })
    };
    used.iter()
        .copied()
        .filter(|name| !is_known(name))
        .collect()
}

fn rules() -> Vec<Value> {
    let groups = document(ALERTS)["groups"].clone();
    let rules = items(&groups)
        .iter()
        .flat_map(|group| items(&group["rules"]));
    rules.cloned().collect()
}

#[test]
fn every_metric_of_an_alert_is_exported() {
    let exported = exported();
    for rule in rules() {
        let expression = rule["expr"].as_str().unwrap();
        let unknown = unknown(&words(expression), &exported);
        assert!(unknown.is_empty(), "{}: {unknown:?}", rule["alert"]);
    }
}

#[test]
fn every_metric_of_the_dashboard_is_exported() {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).unwrap();
    let exported = exported();
    let mut expressions = 0;
    for panel in items(&dashboard["panels"]) {
        for target in items(&panel["targets"]) {
            let unknown = unknown(&words(target["expr"].as_str().unwrap()), &exported);
            assert!(unknown.is_empty(), "{}: {unknown:?}", panel["title"]);
            expressions += 1;
        }
    }
    assert!(expressions > 20, "{expressions}");
}

#[test]
fn the_dashboard_asks_the_datasource_that_is_provisioned() {
    let provisioned = document("docker/grafana/provisioning/datasources/prometheus.yml");
    let uid = &provisioned["datasources"][0]["uid"];
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).unwrap();
    for panel in items(&dashboard["panels"]) {
        if panel["type"] != "row" {
            assert_eq!(&panel["datasource"]["uid"], uid, "{}", panel["title"]);
        }
    }
}

#[test]
fn every_alert_says_what_happened_and_has_a_runbook() {
    let runbooks = text("docs/deployment.md");
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap();
        let annotations = &rule["annotations"];
        assert!(annotations["summary"].is_string(), "{alert}");
        assert!(rule["labels"]["severity"].is_string(), "{alert}");
        let anchor = annotations["runbook"]
            .as_str()
            .unwrap()
            .trim_start_matches('#');
        let found = runbooks
            .lines()
            .filter_map(|line| line.strip_prefix("### "))
            .any(|heading| heading.to_lowercase() == anchor);
        assert!(found, "{alert}: docs/deployment.md has no {anchor}");
    }
}
