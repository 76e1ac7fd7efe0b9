use super::*;
use crate::config::Config;

fn shown(environment: &[(&str, &str)]) -> String {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    effective(&Layers::read(None, environment, &["relay.slot=flagged".parse().unwrap()]).unwrap())
}

#[test]
fn says_where_each_value_came_from() {
    let shown = shown(&[("CDC_KAFKA__BROKERS", "b:1")]);
    let origin = |key: &str| {
        let line = shown
            .lines()
            .find(|line| line.starts_with(&format!("{key} = ")))
            .unwrap();
        line.split_once("# ").unwrap().1.to_owned()
    };
    assert_eq!(origin("brokers"), "env CDC_KAFKA__BROKERS");
    assert_eq!(origin("slot"), "flag --set");
    assert_eq!(origin("partitions"), "default");
}

#[test]
fn masks_secrets() {
    let shown = shown(&[
        ("CDC_POSTGRES__URL", "postgres://relay:hunter2@h/d"),
        ("CDC_KAFKA__CLIENT__SASL_PASSWORD", "hunter2"),
        ("CDC_KAFKA__PRODUCER__SSL_KEY_PASSWORD", "hunter2"),
        ("CDC_KAFKA__CONSUMER__SSL_KEY_PASSWORD", "hunter2"),
        ("CDC_KAFKA__CLIENT__SASL_USERNAME", "alice"),
    ]);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.contains("alice") && shown.contains("postgres://relay:********@h/d"),
        "{shown}"
    );
}

#[test]
fn masks_a_password_wherever_it_stands() {
    for url in [
        "postgres://u:hunter2@h/d",
        "postgres://u:hun@ter2@h/d?sslmode=require",
        "postgres://h/d?user=u&password=hunter2",
        "host=h user=u password=hunter2",
        "host=h user=u PASSWORD = 'hunter2'",
    ] {
        let masked = masked_url(url);
        assert!(!masked.contains("ter2"), "{masked}");
    }
    assert_eq!(
        masked_url("postgres://u@h/d?sslmode=require"),
        "postgres://u@h/d?sslmode=require"
    );
    assert_eq!(masked_url("host=h user=u"), "host=h user=u");
}

#[test]
fn can_be_read_back() {
    let environment = [
        ("CDC_POSTGRES__URL", "postgres://u@h/d"),
        ("CDC_OUTBOX__TABLES", r#"["a.b", "\"C\".d"]"#),
    ];
    let text = shown(&environment);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &text).unwrap();
    let again = Layers::read(Some(file.path()), [], &[]).unwrap();
    let config = Config::from_layers(&again).unwrap();
    assert_eq!(config.relay.slot.as_str(), "flagged");
    assert_eq!(config.outbox.tables.len(), 2);
    let values = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| {
                line.split("  #")
                    .next()
                    .unwrap_or_default()
                    .trim_end()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(values(&effective(&again)), values(&text));
}
