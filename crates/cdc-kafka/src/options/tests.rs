use super::*;
use crate::error::Disposition;

fn with_producer(key: &str, value: &str) -> KafkaOptions {
    let mut options = KafkaOptions::new("localhost:9092");
    options.producer.insert(key.into(), value.into());
    options
}

fn with_client(key: &str, value: &str) -> KafkaOptions {
    let mut options = KafkaOptions::new("localhost:9092");
    options.client.insert(key.into(), value.into());
    options
}

fn with_consumer(key: &str, value: &str) -> KafkaOptions {
    let mut options = KafkaOptions::new("localhost:9092");
    options.consumer.insert(key.into(), value.into());
    options
}

fn reader_value(options: &KafkaOptions, key: &str) -> String {
    let config = options.reader_config().unwrap();
    config.get(key).unwrap().to_owned()
}

fn transactional_value(options: &KafkaOptions, key: &str) -> String {
    let timeout = TransactionTimeout::new(std::time::Duration::from_secs(15)).unwrap();
    let config = options.transactional_config(Limits::default(), "id", timeout);
    config.unwrap().get(key).unwrap().to_owned()
}

fn producer_value(options: &KafkaOptions, key: &str) -> String {
    let config = options.producer_config(Limits::default()).unwrap();
    config.get(key).unwrap().to_owned()
}

#[test]
fn refuses_what_would_break_the_guarantees_and_says_why() {
    for (names, _) in REFUSED {
        for name in *names {
            for options in [
                with_producer(name, "1"),
                with_client(name, "1"),
                with_consumer(name, "1"),
            ] {
                let error = options.validate().unwrap_err();
                assert!(matches!(&error, Error::RefusedProperty { key, .. } if key == name));
                assert!(error.to_string().contains(name), "{error}");
                assert_eq!(error.disposition(), Disposition::Permanent);
            }
        }
    }
}

#[test]
fn refuses_what_readers_rely_on() {
    for (names, _) in REFUSED_OF_CONSUMERS {
        for name in *names {
            for options in [with_consumer(name, "1"), with_client(name, "1")] {
                let error = options.validate().unwrap_err();
                assert!(matches!(&error, Error::RefusedProperty { key, .. } if key == name));
            }
        }
    }
}

#[test]
fn reads_only_what_is_committed_and_stores_no_offset() {
    let options = KafkaOptions::new("localhost:9092");
    for (key, value) in [
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", "false"),
        ("enable.partition.eof", "true"),
    ] {
        assert_eq!(reader_value(&options, key), value, "{key}");
    }
}

#[test]
fn a_consumers_property_wins_over_a_clients_and_stays_out_of_producers() {
    let mut options = with_client("socket.timeout.ms", "5000");
    options
        .consumer
        .insert("socket.timeout.ms".into(), "7000".into());
    assert_eq!(reader_value(&options, "socket.timeout.ms"), "7000");
    assert_eq!(producer_value(&options, "socket.timeout.ms"), "5000");
}

#[test]
fn a_request_does_not_outlive_its_transaction() {
    for options in [
        KafkaOptions::new("localhost:9092"),
        with_client("socket.timeout.ms", "60000"),
    ] {
        assert_eq!(transactional_value(&options, "socket.timeout.ms"), "15000");
    }
    let short = with_client("socket.timeout.ms", "9000");
    assert_eq!(transactional_value(&short, "socket.timeout.ms"), "9000");
}

#[test]
fn a_transactional_producer_gives_no_record_up_by_time() {
    let options = KafkaOptions::new("localhost:9092");
    for (key, value) in [
        ("transactional.id", "id"),
        ("transaction.timeout.ms", "15000"),
        ("message.timeout.ms", "0"),
        ("acks", "all"),
    ] {
        assert_eq!(transactional_value(&options, key), value, "{key}");
    }
}

#[test]
fn refuses_a_partitioner_that_scatters_a_key() {
    for options in [
        with_producer("partitioner", "random"),
        with_client("partitioner", "random"),
    ] {
        assert!(matches!(
            options.validate(),
            Err(Error::RefusedProperty { .. })
        ));
    }
    with_producer("partitioner", "consistent_random")
        .validate()
        .unwrap();
}

#[test]
fn fixes_what_the_order_hangs_on() {
    let options = KafkaOptions::new("localhost:9092");
    for (key, value) in [
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("message.timeout.ms", "0"),
        ("partitioner", "murmur2_random"),
    ] {
        assert_eq!(producer_value(&options, key), value, "{key}");
    }
}

#[test]
fn a_users_property_wins_over_a_default() {
    assert_eq!(
        producer_value(&with_producer("linger.ms", "25"), "linger.ms"),
        "25"
    );
    assert_eq!(
        producer_value(&with_client("client.id", "mine"), "client.id"),
        "mine"
    );
}

#[test]
fn a_producers_property_wins_over_a_clients() {
    let mut options = with_client("compression.type", "gzip");
    options
        .producer
        .insert("compression.type".into(), "zstd".into());
    assert_eq!(producer_value(&options, "compression.type"), "zstd");
}

#[test]
fn names_a_property_that_librdkafka_does_not_know_or_take() {
    for (key, value) in [
        ("linger.msec", "5"),
        ("linger.ms", "soon"),
        ("max.in.flight", "-1"),
    ] {
        let error = with_producer(key, value).validate().unwrap_err();
        assert!(matches!(&error, Error::InvalidProperty { key: named, .. } if named == key));
        assert_eq!(error.disposition(), Disposition::Permanent);
    }
}

#[test]
fn our_bound_bites_before_librdkafkas() {
    for (bytes, records) in [(1, 1), (16 * 1024 * 1024, 50_000), (1 << 31, 4_000_000)] {
        let limits = Limits {
            max_in_flight_bytes: bytes,
            max_in_flight_records: records,
        };
        let config = KafkaOptions::new("localhost:9092")
            .producer_config(limits)
            .unwrap();
        let queue = |key| config.get(key).unwrap().parse::<usize>().unwrap();
        assert!(queue("queue.buffering.max.messages") > records);
        assert!(queue("queue.buffering.max.kbytes") * 1024 > bytes);
    }
}

#[test]
fn debug_shows_no_secret() {
    let mut options = KafkaOptions::new("localhost:9092");
    for key in [
        "sasl.password",
        "sasl.username",
        "sasl.oauthbearer.client.secret",
        "ssl.key.pem",
        "ssl.key.password",
        "ssl.keystore.password",
    ] {
        options.client.insert(key.into(), "hunter2".into());
        options.producer.insert(key.into(), "hunter2".into());
        options.consumer.insert(key.into(), "hunter2".into());
    }
    options
        .client
        .insert("security.protocol".into(), "SASL_SSL".into());
    let text = format!("{options:?}");
    assert!(!text.contains("hunter2"), "{text}");
    assert!(
        text.contains("localhost:9092") && text.contains("SASL_SSL"),
        "{text}"
    );
}

#[test]
fn errors_show_no_secret() {
    let mut options = with_client("ssl.key.pem", "hunter2");
    options
        .client
        .insert("security.protocol".into(), "SSL".into());
    let error = crate::OrderedProducer::new(&options, Limits::default())
        .map(drop)
        .unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(error.disposition(), Disposition::Permanent);
}
