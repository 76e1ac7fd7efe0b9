//! A record that fails for ever stays as large as it was.

use std::time::SystemTime;

use cdc_event::{ErrorCode, Headers, PartId};
use failure_headers::{
    MAX_BYTES, MAX_RETRY_BYTES, dead_letter, put_off, read_dead_letter, read_retry, retry,
};
use proptest::prelude::*;

use crate::records::{Failing, now, size, somewhere};

/// Own headers: any names but those that failures add.
fn own() -> impl Strategy<Value = Headers> {
    let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
    let header = ("[a-z]{0,3}|__connect\\.errors\\.topic|kafka_x|ü", value);
    proptest::collection::vec(header, 0..8).prop_map(|of| {
        let mut headers = Headers::new();
        for (name, value) in of {
            headers.push(name, value);
        }
        headers
    })
}

fn failing() -> impl Strategy<Value = Failing> {
    let text = || {
        "[a-zü😀\n]{0,6}".prop_flat_map(|text| (1_usize..6000).prop_map(move |n| text.repeat(n)))
    };
    let part = proptest::option::of("[a-z]{1,256}");
    let chain = proptest::collection::vec(text(), 0..16);
    (
        text(),
        text(),
        text(),
        chain,
        proptest::option::of(text()),
        part,
    )
        .prop_map(|(group, code, message, chain, backtrace, part)| {
            let mut failing = Failing::new();
            failing.group = group;
            failing.part = part.map(|part| PartId::new(part).unwrap());
            failing.report.code = ErrorCode::new(code);
            failing.report.message = message;
            failing.report.chain = chain;
            failing.report.backtrace = backtrace;
            failing
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn headers_neither_grow_nor_change_over_fifty_hops(own in own(), failures in proptest::collection::vec(failing(), 1..3)) {
        let mut travelling = own.clone();
        let mut sizes = Vec::new();
        for hop in 0..50 {
            let failing = &failures[hop % failures.len()];
            let waiting = put_off(&travelling, &failing.failed(), Some(now()), u16::MAX);
            prop_assert!(size(&waiting) <= size(&own) + MAX_RETRY_BYTES);
            let written = retry(&waiting, &failing.failed(), Some(now()));
            prop_assert!(size(&written) <= size(&own) + MAX_RETRY_BYTES);
            // A retry that fails is dead-lettered, stored, and replayed.
            let letter = dead_letter(&written, &failing.failed());
            prop_assert!(size(&letter) <= size(&own) + MAX_BYTES);
            prop_assert_eq!(&read_dead_letter(&letter).own, &own);
            prop_assert_eq!(&read_retry(&written, &somewhere(), now()).0, &own);
            sizes.push((size(&written), size(&letter)));
            travelling = if hop % 2 == 0 { written } else { read_dead_letter(&letter).own };
        }
        let rounds = sizes.len() / failures.len();
        for round in 1..rounds {
            for (index, _) in failures.iter().enumerate() {
                prop_assert_eq!(sizes[index], sizes[round * failures.len() + index]);
            }
        }
    }

    #[test]
    fn an_error_of_any_length_is_cut_but_its_causes_last(failing in failing()) {
        let report = read_dead_letter(&dead_letter(&Headers::new(), &failing.failed())).report;
        if let Some(report) = report {
            prop_assert!(failing.report.message.starts_with(report.message.trim_end_matches('…')));
            let whole = failing.report.chain.iter().map(|cause| cause.len() + 3 * cause.matches('\n').count() + 12).sum::<usize>();
            let code = failing.report.code.as_str();
            if whole < 8000 && failing.report.message.len() < 1000 && !code.contains('\n') {
                prop_assert_eq!(report.chain, failing.report.chain);
            }
        }
    }

    #[test]
    fn no_header_of_any_name_and_value_makes_trouble(
        of in proptest::collection::vec((0_usize..NAMES.len(), proptest::collection::vec(any::<u8>(), 0..12)), 0..20),
    ) {
        let mut headers = Headers::new();
        for (name, value) in of {
            headers.push(NAMES[name], Some(value));
        }
        let (own, state) = read_retry(&headers, &somewhere(), now());
        prop_assert!(own.as_slice().len() <= headers.as_slice().len());
        if let Some(state) = state {
            prop_assert!((1..=32_767).contains(&state.attempts.get()));
            prop_assert!(state.first_failed_at <= now());
            prop_assert!(state.origin.partition >= 0 && state.origin.offset >= 0);
        }
        let letter = read_dead_letter(&headers);
        prop_assert!(letter.attempts.is_none_or(|attempts| attempts.get() <= 32_767));
        prop_assert!(letter.first_failed_at.is_none_or(|time| time >= SystemTime::UNIX_EPOCH));
        prop_assert!(letter.origin.is_none_or(|origin| origin.partition >= 0 && origin.offset >= 0));
    }
}

const NAMES: [&str; 24] = [
    "cdc-attempts",
    "cdc-first-failure",
    "cdc-not-before",
    "cdc-part",
    "cdc-group",
    "cdc-failed-event",
    "cdc-error-code",
    "cdc-origin-topic",
    "cdc-origin-partition",
    "cdc-origin-offset",
    "cdc-origin-timestamp",
    "kafka_dlt-original-topic",
    "kafka_dlt-original-partition",
    "kafka_dlt-original-offset",
    "kafka_dlt-original-timestamp",
    "kafka_dlt-exception-stacktrace",
    "kafka_original-offset",
    "retry_topic-attempts",
    "__connect.errors.partition",
    "__streams.errors.offset",
    "__dlq.errors.delivery.count",
    "delayed-retry-count",
    "source_offset",
    "MT-Fault-RetryCount",
];
