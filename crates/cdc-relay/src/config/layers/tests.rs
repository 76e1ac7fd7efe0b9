mod bounds;
mod notifier;

use std::io::Write;

use ordered_lanes::DeadHead;

use super::*;
use crate::config::{GroupOrdering, OrderBackend};

/// Enough for a configuration to be valid.
const URL: (&str, &str) = ("CDC_POSTGRES__URL", "postgres://relay@localhost/app");

fn read(
    file: Option<&str>,
    environment: &[(&str, &str)],
    flags: &[&str],
) -> Result<Layers, Failure> {
    let written = file.map(|text| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    });
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let flags: Vec<Assignment> = flags.iter().map(|flag| flag.parse().unwrap()).collect();
    Layers::read(
        written.as_ref().map(tempfile::NamedTempFile::path),
        environment,
        &flags,
    )
}

fn config(
    file: Option<&str>,
    environment: &[(&str, &str)],
    flags: &[&str],
) -> Result<Config, Failure> {
    Config::from_layers(&read(file, environment, flags)?)
}

fn refusal(file: Option<&str>, environment: &[(&str, &str)]) -> (ErrorCode, String, String) {
    let environment = [&[URL], environment].concat();
    let failure = config(file, &environment, &[]).unwrap_err();
    (
        failure.code(),
        failure.to_string(),
        failure.remedy().to_owned(),
    )
}

#[test]
fn the_defaults_are_valid_but_for_the_url() {
    assert!(config(None, &[URL], &[]).is_ok());
    let failure = config(None, &[], &[]).unwrap_err();
    assert_eq!(failure.code(), ErrorCode::MissingSetting);
    assert!(
        failure.remedy().contains("CDC_POSTGRES__URL"),
        "{failure:?}"
    );
}

#[test]
fn the_last_layer_wins() {
    let file = "[relay]\nslot = \"file\"\npublication = \"file\"\n[outbox]\nkey = \"file\"\n";
    let environment = [
        URL,
        ("CDC_RELAY__SLOT", "env"),
        ("CDC_RELAY__PUBLICATION", "env"),
    ];
    let config = config(Some(file), &environment, &["relay.slot=flag"]).unwrap();
    assert_eq!(config.relay.slot.as_str(), "flag");
    assert_eq!(config.relay.publication.as_str(), "env");
    assert_eq!(config.outbox.key, "file");
    assert_eq!(config.outbox.id, "id");
}

#[test]
fn names_an_unknown_key_of_a_file_with_its_line_and_the_nearest() {
    let (code, what, remedy) = refusal(Some("\n[relay]\nslott = \"x\"\n"), &[]);
    assert_eq!(code, ErrorCode::UnknownKey);
    assert!(
        what.contains("`relay.slott`") && what.contains("line 3"),
        "{what}"
    );
    assert!(remedy.contains("`relay.slot`"), "{remedy}");
}

#[test]
fn refuses_an_unknown_section_and_keys_of_later_versions() {
    assert_eq!(
        refusal(Some("[console]\nlisten = \"\"\n"), &[]).0,
        ErrorCode::UnknownKey
    );
    assert_eq!(refusal(Some("top = 1\n"), &[]).0, ErrorCode::UnknownKey);
}

#[test]
fn reads_consumers_from_tables_and_from_a_variable() {
    let table = "[[recover.consumer]]\ngroup = \"billing\"\ntopics = [\"orders\"]\n\
                 retry = { blocking = { kind = \"exponential\", delay = \"1s\", retries = 3, cap = \"5s\" }, tiers = [\"10s\"] }\n";
    let text = "[{ group = 'billing', topics = ['orders'], retry = { tiers = ['10s'] } }]";
    for config in [
        config(Some(table), &[URL], &[]),
        config(None, &[URL, ("CDC_RECOVER__CONSUMER", text)], &[]),
    ] {
        let config = config.unwrap();
        let consumer = config.recover.of_group("billing").unwrap();
        assert_eq!(consumer.topics, ["orders"]);
        let tiers = consumer.retry.plan().unwrap();
        assert_eq!(tiers.tiers(), [std::time::Duration::from_secs(10)]);
    }
}

#[test]
fn those_behind_a_dead_head_wait_unless_it_is_said_otherwise() {
    let ordering = |more: &str| {
        let file = format!("[[recover.consumer]]\ngroup = \"a\"\n{more}\n");
        let config = config(Some(&file), &[URL], &[]).unwrap();
        config.recover.of_group("a").unwrap().ordering()
    };
    let key = "ordering = \"key\"\non_dead_head =";
    let in_lanes = |dead_head| GroupOrdering::Key {
        dead_head,
        backend: OrderBackend::Lanes,
    };
    assert_eq!(ordering(""), GroupOrdering::None);
    assert_eq!(ordering("ordering = \"key\""), in_lanes(DeadHead::Hold));
    for (text, policy) in [
        ("hold", DeadHead::Hold),
        ("skip", DeadHead::Skip),
        ("dead_letter_lane", DeadHead::DeadLetterLane),
    ] {
        assert_eq!(ordering(&format!("{key} \"{text}\"")), in_lanes(policy));
    }
}

#[test]
fn records_wait_in_lanes_unless_it_is_said_otherwise() {
    for (text, wanted) in [
        ("", OrderBackend::Lanes),
        ("order_backend = \"lanes\"", OrderBackend::Lanes),
        (
            "order_backend = \"redirect_topic\"",
            OrderBackend::RedirectTopic,
        ),
    ] {
        let file = format!("[[recover.consumer]]\ngroup = \"a\"\nordering = \"key\"\n{text}\n");
        let config = config(Some(&file), &[URL], &[]).unwrap();
        let GroupOrdering::Key { backend, .. } = config.recover.of_group("a").unwrap().ordering()
        else {
            panic!("no order");
        };
        assert_eq!(backend, wanted);
    }
}

#[test]
fn refuses_consumers_that_cannot_be_and_says_what_is_wrong() {
    for (consumer, word) in [
        ("grup = \"a\"", "grup"),
        ("group = \"a b\"", "group"),
        ("group = \"a\"\nordering = \"keys\"", "ordering"),
        (
            "group = \"a\"\nordering = \"key\"\non_dead_head = \"drop\"",
            "dead head",
        ),
        ("group = \"a\"\non_dead_head = \"skip\"", "ordering"),
        (
            "group = \"a\"\norder_backend = \"redirect_topic\"",
            "order_backend only",
        ),
        (
            "group = \"a\"\nordering = \"key\"\norder_backend = \"kafka\"",
            "redirect_topic",
        ),
        ("group = \"a\"\nretry = { tiers = [\"0s\"] }", "tier 1"),
        ("group = \"a\"\nretry = { tiers = [5] }", "unit"),
        (
            "group = \"a\"\nretry = { blocking = { kind = \"often\" } }",
            "often",
        ),
        ("group = \"a\"\ndead_letter = \"{topik}\"", "topik"),
        (
            "group = \"a\"\n[[recover.consumer]]\ngroup = \"a\"",
            "twice",
        ),
    ] {
        let file = format!("[[recover.consumer]]\n{consumer}\n");
        let (code, what, _) = refusal(Some(&file), &[]);
        assert_eq!(code, ErrorCode::InvalidValue, "{consumer}");
        assert!(what.contains(word), "{consumer}: {what}");
        assert!(what.contains("file "), "{consumer}: {what}");
    }
}

#[test]
fn refuses_keys_to_seal_with_that_are_none_without_showing_them() {
    let file = "[notify]\nsecret_keys = [\"c2VjcmV0\"]\n";
    let (code, what, _) = refusal(Some(file), &[]);
    assert_eq!(code, ErrorCode::InvalidValue);
    assert!(
        what.contains("notify.secret_keys") && !what.contains("c2VjcmV0"),
        "{what}"
    );
}

#[test]
fn refuses_an_unknown_variable_and_one_with_a_single_underscore() {
    let (code, what, _) = refusal(None, &[("CDC_RELAY__SLOTT", "x")]);
    assert_eq!(code, ErrorCode::UnknownKey);
    assert!(what.contains("env CDC_RELAY__SLOTT"), "{what}");
    let (code, what, remedy) = refusal(None, &[("CDC_RELAY_SLOT", "x")]);
    assert_eq!(code, ErrorCode::UnknownKey);
    assert!(
        what.contains("CDC_RELAY_SLOT") && remedy.contains("CDC_RELAY__SLOT"),
        "{what} {remedy}"
    );
}

#[test]
fn leaves_variables_of_others_alone() {
    assert!(
        config(
            None,
            &[
                URL,
                ("CDC_LOG", "debug"),
                ("CDC_CONFIG", "x"),
                ("HOME", "/")
            ],
            &[]
        )
        .is_ok()
    );
}

#[test]
fn a_bare_number_is_no_duration_and_no_size() {
    let (code, what, _) = refusal(Some("[relay]\nwire_timeout = 30\n"), &[]);
    assert_eq!(code, ErrorCode::InvalidValue);
    assert!(
        what.contains("`relay.wire_timeout`")
            && what.contains("\"30s\"")
            && what.contains("line 2"),
        "{what}"
    );
    let (_, what, _) = refusal(None, &[("CDC_RELAY__MAX_IN_FLIGHT", "1024")]);
    assert!(
        what.contains("`relay.max_in_flight`") && what.contains("no unit"),
        "{what}"
    );
}

#[test]
fn an_outbox_needs_a_table_or_a_prefix() {
    let none = [
        ("CDC_OUTBOX__TABLES", ""),
        ("CDC_OUTBOX__MESSAGE_PREFIXES", "[]"),
    ];
    assert_eq!(refusal(None, &none).0, ErrorCode::InvalidValue);
    assert!(config(None, &[URL, ("CDC_OUTBOX__TABLES", "")], &[]).is_ok());
}

#[test]
fn kafka_properties_are_free_and_can_be_written_in_three_ways() {
    let file = "[kafka.client]\nsecurity.protocol = \"SSL\"\n\"ssl.ca.location\" = \"/ca\"\n\
                [kafka.producer]\nlinger.ms = 5\n\
                [kafka.consumer]\nfetch.max.bytes = 7\n";
    let environment = [URL, ("CDC_KAFKA__CLIENT__SASL_PASSWORD", "0123")];
    let config = config(Some(file), &environment, &["kafka.client.client.id=me"]).unwrap();
    let client: Vec<_> = config
        .kafka
        .client
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        client,
        [
            ("client.id", "me"),
            ("sasl.password", "0123"),
            ("security.protocol", "SSL"),
            ("ssl.ca.location", "/ca")
        ]
    );
    assert_eq!(config.kafka.producer["linger.ms"], "5");
    assert_eq!(config.kafka.consumer["fetch.max.bytes"], "7");
}

#[test]
fn refuses_a_file_that_is_missing_or_no_toml() {
    let layers = Layers::read(Some(Path::new("does/not/exist.toml")), [], &[]);
    assert_eq!(layers.err().unwrap().code(), ErrorCode::ConfigFile);
    let secret = "[postgres]\nurl = \"postgres://u:hunter2@h/d\n";
    let failure = read(Some(secret), &[], &[]).err().unwrap();
    assert_eq!(failure.code(), ErrorCode::ConfigFile);
    assert!(failure.to_string().contains("line 2"), "{failure}");
    assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
}

/// A file with a secret, as a container has it.
fn secret(text: &str) -> (tempfile::NamedTempFile, String) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

#[test]
fn reads_a_value_from_the_file_that_a_variable_names() {
    let (_url, url) = secret("postgres://relay:hunter2@db/app\n");
    let (_password, password) = secret("0123 \r\n");
    let (_keys, keys) = secret("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
    let environment = [
        ("CDC_POSTGRES__URL_FILE", url.as_str()),
        ("CDC_KAFKA__CLIENT__SASL_PASSWORD_FILE", &password),
        ("CDC_NOTIFY__SECRET_KEYS_FILE", &keys),
        ("CDC_NOTIFY__CA_FILE", "/ca.pem"),
    ];
    let config = config(None, &environment, &[]).unwrap();
    assert_eq!(config.kafka.client["sasl.password"], "0123 ");
    assert_eq!(config.notify.secret_keys.len(), 1);
    assert_eq!(config.notify.ca_file.as_deref(), Some("/ca.pem"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_property_whose_name_ends_like_that_of_a_file_stays_what_it_is() {
    let name = "sasl.oauthbearer.assertion.private.key.file";
    let variable = "CDC_KAFKA__CLIENT__SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE";
    let config = config(None, &[URL, (variable, "/key.pem")], &[]).unwrap();
    assert_eq!(config.kafka.client[name], "/key.pem");
}

#[test]
fn refuses_a_file_with_a_value_that_cannot_be_read_or_is_one_too_many() {
    let (code, what, _) = refusal(None, &[("CDC_RELAY__SLOT_FILE", "/does/not/exist")]);
    assert_eq!(code, ErrorCode::ConfigFile);
    assert!(
        what.contains("CDC_RELAY__SLOT_FILE") && what.contains("/does/not/exist"),
        "{what}"
    );
    let (_file, path) = secret("postgres://relay:hunter2@db/app");
    let (code, what, _) = refusal(None, &[("CDC_POSTGRES__URL_FILE", &path)]);
    assert_eq!(code, ErrorCode::InvalidValue);
    assert!(
        what.contains("CDC_POSTGRES__URL_FILE") && !what.contains("hunter2"),
        "{what}"
    );
    let (code, ..) = refusal(None, &[("CDC_RELAY__SLOTT_FILE", &path)]);
    assert_eq!(code, ErrorCode::UnknownKey);
}

#[test]
fn a_mistake_in_a_file_with_a_value_names_the_variable() {
    let (_file, path) = secret("No-Good");
    let (code, what, _) = refusal(None, &[("CDC_RELAY__SLOT_FILE", &path)]);
    assert_eq!(code, ErrorCode::InvalidValue);
    assert!(what.contains("env CDC_RELAY__SLOT_FILE"), "{what}");
}

#[test]
fn neither_errors_nor_debug_show_secrets() {
    let environment = [
        ("CDC_POSTGRES__URL", "postgres://u:hunter2@h/d"),
        ("CDC_KAFKA__CLIENT__SASL_PASSWORD", "hunter2"),
    ];
    assert!(!format!("{:?}", config(None, &environment, &[]).unwrap()).contains("hunter2"));
    for url in [
        "postgres://u:hunter2@h:port/d",
        "host=h password=hunter2 colour=red",
        "hunter2",
    ] {
        let failure = config(None, &[("CDC_POSTGRES__URL", url)], &[]).unwrap_err();
        assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
    }
    let table = refusal(None, &[("CDC_KAFKA__CLIENT", "sasl.password=hunter2")]);
    assert!(!format!("{table:?}").contains("hunter2"), "{table:?}");
}
