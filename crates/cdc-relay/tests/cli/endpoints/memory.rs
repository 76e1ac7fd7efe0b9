//! `notify.retention`: a running notifier forgets deliveries and requests that are older, and no others.

use crate::database::TestDatabase;
use crate::running_relay::{RunningRelay, until};

#[tokio::test]
async fn a_running_notifier_forgets_what_is_older_than_its_retention() {
    let database = TestDatabase::create().await;
    database.run(&["init"]).await.succeeded();
    database
        .execute(
            "INSERT INTO cdc.delivery (event_id, endpoint_id, state, code, at_most_once, created_at)
             SELECT age || state, 'gone', state, code, false, now() - age::interval
               FROM (VALUES ('61 minutes'), ('59 minutes')) AS a (age),
                    (VALUES ('delivered', NULL), ('retrying', 'x'), ('unknown', 'x')) AS s (state, code);
             INSERT INTO cdc.attempt (event_id, endpoint_id, epoch, at, milliseconds, status)
             SELECT age, 'gone', 1, now() - age::interval, 1, 200
               FROM (VALUES ('61 minutes'), ('59 minutes')) AS a (age);",
        )
        .await;
    let topic = format!("{}.events", database.name);
    let settings = |retention| {
        [
            ("CDC_NOTIFY__TOPICS", topic.clone()),
            ("CDC_NOTIFY__GROUP", database.name.clone()),
            ("CDC_NOTIFY__RETENTION", String::from(retention)),
        ]
    };
    let too_short = settings("59m");
    let too_short = too_short
        .each_ref()
        .map(|(key, value)| (*key, value.as_str()));
    let report = database.run_with(&["notify"], &too_short).await;
    let report = report.failed(64, "CDC0002");
    assert!(report.contains("notify.retention"), "{report}");

    let settings = settings("1h");
    let settings = settings
        .each_ref()
        .map(|(key, value)| (*key, value.as_str()));
    let notifier = RunningRelay::start_role(&["notify"], &database, &settings);
    // In doubt is kept until somebody settles it.
    let left = "SELECT string_agg(event_id, ', ' ORDER BY event_id) FROM (
        SELECT event_id FROM cdc.delivery UNION ALL SELECT event_id FROM cdc.attempt) AS kept";
    let expected =
        "59 minutes, 59 minutesdelivered, 59 minutesretrying, 59 minutesunknown, 61 minutesunknown";
    until("what is old is forgotten", async || {
        database.text(left).await.as_deref() == Some(expected)
    })
    .await;
    drop(notifier);
}
