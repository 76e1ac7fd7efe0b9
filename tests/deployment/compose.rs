//! The compose files.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::files::{document, items, members, root, text, version};

const FILE: &str = "docker/compose.yaml";
const OVERRIDES: [&str; 2] = ["docker/compose.standby.yaml", "docker/compose.brokers.yaml"];

fn services() -> Value {
    document(FILE)["services"].clone()
}

fn is_one_shot(name: &str) -> bool {
    name == "init"
}

#[test]
fn every_service_has_what_a_server_needs_of_it() {
    for (name, service) in members(&services()) {
        assert!(
            service["deploy"]["resources"]["limits"]["memory"].is_string(),
            "{name} has no limit"
        );
        assert!(
            service["restart"].is_string(),
            "{name} stays away after a crash"
        );
        assert!(
            service["stop_grace_period"].is_string(),
            "{name} is killed after 10 s"
        );
        assert!(
            service["logging"]["options"]["max-size"].is_string(),
            "the log of {name} fills the disk"
        );
        let security: Vec<_> = items(&service["security_opt"]).iter().collect();
        assert_eq!(security, ["no-new-privileges:true"], "{name}");
        let has_check = items(&service["healthcheck"]["test"]).len() > 1
            // The image has one.
            || service["build"]["target"] == "cdc-relay";
        assert!(has_check || is_one_shot(name), "{name} has no health check");
        if service["build"].is_object() {
            assert_eq!(service["read_only"], true, "{name}");
            assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        }
    }
}

#[test]
fn publishes_on_loopback_only_and_every_port_can_be_changed() {
    for file in [FILE, OVERRIDES[0], OVERRIDES[1]] {
        for (name, service) in members(&document(file)["services"]) {
            for port in items(&service["ports"]) {
                let port = port.as_str().unwrap();
                assert!(
                    port.starts_with("127.0.0.1:${") && port.contains("_PORT:-"),
                    "{file}, {name}: {port}"
                );
            }
        }
    }
}

#[test]
fn every_image_has_a_version_and_ours_that_of_the_workspace() {
    for (name, service) in members(&services()) {
        let image = service["image"].as_str().unwrap();
        let (_, tag) = image
            .rsplit_once(':')
            .unwrap_or_else(|| panic!("{name}: {image} has no tag"));
        assert!(
            tag.starts_with(|c: char| c.is_ascii_digit() || c == 'v') && tag.contains('.'),
            "{name}: {image} is not pinned"
        );
        if service["build"].is_object() {
            assert_eq!(tag, version(), "{name}");
        }
    }
    let label = format!("ARG VERSION={}", version());
    assert!(text("docker/Dockerfile").contains(&label), "{label}");
}

#[test]
fn no_secret_is_in_a_file_and_each_has_its_maker() {
    let compose = document(FILE);
    let maker = text("docker/make-secrets");
    for (name, secret) in members(&compose["secrets"]) {
        assert!(secret["file"].as_str().unwrap().ends_with(name), "{secret}");
        assert!(maker.contains(&format!("\nmake {name} ")), "{name}");
    }
    for (name, service) in members(&compose["services"]) {
        for secret in items(&service["secrets"]) {
            let secret = secret.as_str().unwrap();
            assert!(!compose["secrets"][secret].is_null(), "{name}: {secret}");
        }
        if let Value::Object(environment) = &service["environment"] {
            for (variable, value) in environment {
                let words = ["PASSWORD", "SECRET", "TOKEN", "DATABASE_URL"];
                let secret = words.iter().any(|word| variable.contains(word));
                let is_path = value
                    .as_str()
                    .is_some_and(|text| text.starts_with("/run/secrets/"));
                assert!(!secret || is_path, "{name}: {variable}");
            }
        }
    }
    assert!(
        text(".gitignore")
            .lines()
            .any(|line| line == "/docker/secrets")
    );
}

#[test]
fn nobody_starts_before_what_it_needs_is_there() {
    let services = services();
    for (name, service) in members(&services) {
        for (needed, how) in service["depends_on"].as_object().into_iter().flatten() {
            let expected = if is_one_shot(needed) {
                "service_completed_successfully"
            } else {
                "service_healthy"
            };
            assert_eq!(how["condition"], expected, "{name} needs {needed}");
            assert!(!services[needed].is_null(), "{name} needs {needed}");
        }
    }
}

#[test]
fn the_stop_of_a_relay_is_not_cut_off() {
    let deadline = toml_seconds(&text("config/default.toml"), "shutdown_deadline");
    let grace = services()["relay"]["stop_grace_period"]
        .as_str()
        .and_then(|text| text.strip_suffix('s'))
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap();
    assert!(grace > deadline, "{grace} s for {deadline} s");
}

fn toml_seconds(toml: &str, key: &str) -> u64 {
    let line = toml.lines().find(|line| line.starts_with(key)).unwrap();
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Compose knows best; `docker/check` says so where it is missing.
#[test]
fn compose_takes_the_files_where_there_is_one() {
    let compose = || {
        let mut command = Command::new("docker");
        command.arg("compose").stdin(Stdio::null());
        command
    };
    let there = compose().arg("version").output();
    if !there.is_ok_and(|output| output.status.success()) {
        return;
    }
    for more in [&[][..], &OVERRIDES[..1], &OVERRIDES[1..], &OVERRIDES[..]] {
        let files = [&[FILE], more].concat();
        let mut command = compose();
        for file in &files {
            command.arg("--file").arg(root().join(file));
        }
        let output = command
            .args(["--profile", "observe", "config", "--quiet"])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{files:?}: {told}");
    }
}
