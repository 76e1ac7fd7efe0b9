//! Settings of the notifier that cannot be.

use super::bounds::refuses_by_name;
use super::*;

#[test]
fn every_one_is_refused_by_name() {
    refuses_by_name(&[
        ("CDC_NOTIFY__TOPICS", "no/topic", "letters"),
        ("CDC_NOTIFY__GROUP", "", "be a name"),
        ("CDC_NOTIFY__GROUP", "no group", "letters"),
        ("CDC_NOTIFY__CONCURRENCY", "0", "nonzero"),
        ("CDC_NOTIFY__CONCURRENCY", "10001", "between 1 and 10000"),
        ("CDC_NOTIFY__TIMEOUT", "50ms", "between \"100ms\""),
        ("CDC_NOTIFY__TIMEOUT", "6m", "and \"5m\""),
        ("CDC_NOTIFY__TIMEOUT", "10", "no unit"),
        ("CDC_NOTIFY__TIMEOUT", "", "duration"),
        (
            "CDC_NOTIFY__ALLOW_PRIVATE_NETWORKS",
            "10.0.0.0/33",
            "network",
        ),
        ("CDC_NOTIFY__USER_AGENT", "sh\u{f6}p", "ASCII"),
        ("CDC_NOTIFY__TITLE_CASE_HEADERS", "maybe", "boolean"),
        ("CDC_NOTIFY__DISABLE_AFTER", "1s", "at least \"1m\""),
        ("CDC_NOTIFY__CACHE_EXPIRY", "2h", "at most \"1h\""),
        ("CDC_NOTIFY__ATTEMPT_LOG", "some", "failed"),
        ("CDC_NOTIFY__RETENTION", "5m", "at least \"1h\""),
    ]);
}

#[test]
fn nothing_is_something_else_than_not_set() {
    let unset = config(None, &[URL], &[]).unwrap().notify;
    assert!(unset.disable_after.is_some() && unset.retention.is_some());
    let environment = [
        URL,
        ("CDC_NOTIFY__DISABLE_AFTER", ""),
        ("CDC_NOTIFY__RETENTION", ""),
        ("CDC_NOTIFY__USER_AGENT", ""),
        ("CDC_NOTIFY__TOPICS", ""),
    ];
    let empty = config(None, &environment, &[]).unwrap().notify;
    assert!(empty.disable_after.is_none() && empty.retention.is_none());
    assert!(empty.user_agent.is_none() && empty.topics.is_empty());
}
