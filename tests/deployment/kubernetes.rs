//! The manifests. That each is of its schema is checked elsewhere; here, that they fit each other and the program.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::files::{items, names, version, yaml};

const DIRECTORY: &str = "deploy/kubernetes";

fn manifests() -> Vec<Value> {
    names(DIRECTORY)
        .iter()
        .flat_map(|name| yaml(&format!("{DIRECTORY}/{name}")))
        .collect()
}

fn of_kind<'a>(manifests: &'a [Value], kind: &str) -> Vec<&'a Value> {
    manifests
        .iter()
        .filter(|manifest| manifest["kind"] == kind)
        .collect()
}

#[test]
fn every_container_is_bounded_unprivileged_and_of_this_version() {
    let manifests = manifests();
    for workload in [
        of_kind(&manifests, "Deployment"),
        of_kind(&manifests, "Job"),
    ]
    .concat()
    {
        let name = &workload["metadata"]["name"];
        let pod = &workload["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        for container in items(&pod["containers"]) {
            let security = &container["securityContext"];
            assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
            assert!(
                container["resources"]["limits"]["memory"].is_string(),
                "{name}"
            );
            let image = container["image"].as_str().unwrap();
            assert!(image.ends_with(&format!(":{}", version())), "{image}");
        }
    }
}

#[test]
fn deployments_are_probed_and_stop_in_time() {
    let manifests = manifests();
    let deployments = of_kind(&manifests, "Deployment");
    assert_eq!(deployments.len(), 3);
    for deployment in deployments {
        let name = &deployment["metadata"]["name"];
        let pod = &deployment["spec"]["template"]["spec"];
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace > 20, "{name}: {grace}");
        let container = &pod["containers"][0];
        assert_eq!(
            container["livenessProbe"]["httpGet"]["path"], "/healthz",
            "{name}"
        );
        let ports: BTreeMap<_, _> = items(&container["ports"])
            .iter()
            .map(|port| {
                (
                    port["name"].as_str().unwrap(),
                    port["containerPort"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(ports.get("admin"), Some(&9464), "{name}");
    }
}

#[test]
fn a_standby_is_ready_to_be_kept_and_a_budget_keeps_one() {
    let manifests = manifests();
    let relay = of_kind(&manifests, "Deployment")
        .into_iter()
        .find(|deployment| deployment["metadata"]["name"] == "cdc-relay")
        .unwrap();
    assert_eq!(relay["spec"]["replicas"], 2);
    // `/readyz` is 503 on a standby for as long as it is one: an update would wait for it for ever.
    let container = &relay["spec"]["template"]["spec"]["containers"][0];
    assert_ne!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    let budget = of_kind(&manifests, "PodDisruptionBudget")
        .into_iter()
        .find(|budget| budget["metadata"]["name"] == "cdc-relay")
        .unwrap();
    assert_eq!(budget["spec"]["minAvailable"], 1);
    let selected = &budget["spec"]["selector"]["matchLabels"];
    let labels = &relay["spec"]["template"]["metadata"]["labels"];
    for (label, value) in selected.as_object().unwrap() {
        assert_eq!(&labels[label], value, "{label}");
    }
}
