//! Mistakes in the configuration and on the command line: exit status 64, before anything is connected.

use std::io::Write;

use crate::binary::run;

const URL: (&str, &str) = (
    "CDC_POSTGRES__URL",
    "postgres://relay:hunter2@localhost/app",
);

#[tokio::test]
async fn names_an_unknown_key_and_the_nearest_one() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[relay]\nslott = \"orders\"\n").unwrap();
    let path = file.path().to_str().unwrap();
    for command in ["init", "doctor", "relay", "status", "config"] {
        let report = run(&["--config", path, command], &[URL])
            .await
            .failed(64, "CDC0001");
        assert!(
            report.contains("`relay.slott`") && report.contains("did you mean `relay.slot`?"),
            "{report}"
        );
        assert!(
            report.contains(path) && report.contains("line 2"),
            "{report}"
        );
    }
}

#[tokio::test]
async fn refuses_a_duration_without_unit() {
    let report = run(&["relay"], &[URL, ("CDC_RELAY__WIRE_TIMEOUT", "30")])
        .await
        .failed(64, "CDC0002");
    assert!(
        report.contains("`relay.wire_timeout`") && report.contains("write \"30s\""),
        "{report}"
    );
}

#[tokio::test]
async fn refuses_a_file_that_cannot_be_read() {
    let report = run(&["--config", "no-such.toml", "relay"], &[URL])
        .await
        .failed(64, "CDC0003");
    assert!(
        report.contains("no-such.toml") && report.contains("No such file"),
        "{report}"
    );
}

#[tokio::test]
async fn says_which_setting_is_missing() {
    let report = run(&["init"], &[]).await.failed(64, "CDC0004");
    assert!(
        report.contains("`postgres.url`") && report.contains("CDC_POSTGRES__URL"),
        "{report}"
    );
}

#[tokio::test]
async fn refuses_kafka_properties_that_would_break_a_guarantee() {
    for (name, property) in [
        ("CDC_KAFKA__PRODUCER__ACKS", "acks"),
        ("CDC_KAFKA__CLIENT__NO_SUCH", "no.such"),
    ] {
        let report = run(&["doctor"], &[URL, (name, "1")])
            .await
            .failed(64, "CDC0006");
        assert!(report.contains(property), "{report}");
    }
}

#[tokio::test]
async fn wrong_usage_has_the_same_exit_status() {
    for arguments in [
        &["no-such-command"][..],
        &["relay", "--no-such-flag"],
        &[],
        &["--set", "slot", "relay"],
    ] {
        let ended = run(arguments, &[URL]).await;
        assert_eq!(ended.status, 64, "{arguments:?}: {ended:?}");
        assert!(
            ended.stderr.contains("Usage") || ended.stderr.contains("--help"),
            "{ended:?}"
        );
    }
    for arguments in [&["--help"][..], &["--version"], &["relay", "--help"]] {
        run(arguments, &[]).await.succeeded();
    }
}

#[tokio::test]
async fn every_help_has_an_example() {
    for command in ["init", "doctor", "relay", "status", "config", "explain"] {
        let help = run(&[command, "--help"], &[]).await.succeeded();
        assert!(
            help.contains("Example") && help.contains(&format!("cdc-relay {command}"))
                || help.contains("--config")
        );
    }
}

#[tokio::test]
async fn config_shows_origins_and_no_secrets() {
    let secret = ("CDC_KAFKA__CLIENT__SASL_PASSWORD", "hunter2");
    let shown = run(&["config", "--set", "relay.slot=orders"], &[URL, secret])
        .await
        .succeeded();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("# env CDC_POSTGRES__URL"), "{shown}");
    assert!(
        shown
            .lines()
            .any(|line| line.starts_with("slot = \"orders\"") && line.ends_with("# flag --set"))
    );
    assert!(
        shown
            .lines()
            .any(|line| line.starts_with("delivery") && line.ends_with("# default"))
    );
}

#[tokio::test]
async fn explain_prints_the_page_or_the_list() {
    let page = run(&["explain", "cdc0021"], &[]).await.succeeded();
    assert!(
        page.starts_with("# CDC0021: ") && page.contains("## What to do"),
        "{page}"
    );
    let list = run(&["explain"], &[]).await.succeeded();
    assert!(
        list.lines().count() > 25 && list.contains("CDC0001"),
        "{list}"
    );
    let ended = run(&["explain", "CDC9999"], &[]).await;
    assert!(ended.stdout.contains("CDC0001"), "{ended:?}");
    ended.failed(64, "CDC0005");
}
