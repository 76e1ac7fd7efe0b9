//! An endpoint that failed again and again is left alone by whoever comes after, too.

use std::num::NonZeroU32;
use std::time::Duration;

use cdc_event::RetryPolicy;
use notifier::{Notifier, Settings};

use crate::receiver::Behaviour;
use crate::stage::{Stage, handle, only_part, record, settings, wait};

const PAUSE: Duration = Duration::from_secs(60);

/// What is written down of endpoint "a".
const CLOSING: &str =
    "SELECT failures_in_a_row || ', ' || (closed_until > now()) FROM cdc.endpoint";

async fn notifier(stage: &Stage) -> Notifier {
    let settings = Settings {
        breaker_failures: NonZeroU32::new(3).unwrap(),
        breaker_pause: RetryPolicy::new(PAUSE, PAUSE),
        ..settings()
    };
    stage.notifier_with(settings).await
}

/// Closes the endpoint "a", by one request that fails after another.
async fn close(stage: &Stage) {
    stage.endpoint("a").await;
    stage.receiver.set("a", Behaviour::Answer(500));
    let notifier = notifier(stage).await;
    for event in ["1", "2"] {
        handle(&notifier, &record(event)).await.unwrap_err();
        assert_eq!(stage.database.text(CLOSING).await, None);
    }
    handle(&notifier, &record("3")).await.unwrap_err();
    let written = stage.database.text(CLOSING).await;
    assert_eq!(written.as_deref(), Some("3, true"));
    assert!(notifier.close(PAUSE).await);
}

#[tokio::test]
async fn a_process_that_is_started_leaves_it_alone_for_the_rest_of_its_pause() {
    let stage = Stage::new().await;
    close(&stage).await;
    let next = notifier(&stage).await;
    let (code, after) = wait(handle(&next, &record("4")).await);
    assert_eq!(code, "endpoint-closed");
    // Half of the pause is by chance.
    assert!(after > PAUSE / 3 && after <= PAUSE, "{after:?}");
    assert_eq!(stage.receiver.ids("a"), ["1", "2", "3"]);
}

#[tokio::test]
async fn after_it_the_first_that_fails_closes_it_again_and_the_first_that_arrives_opens_it() {
    let stage = Stage::new().await;
    close(&stage).await;
    let over = "UPDATE cdc.endpoint SET closed_until = now() - interval '1 minute'";
    stage.database.execute(over).await;
    let next = notifier(&stage).await;
    let (code, again) = only_part(handle(&next, &record("4")).await);
    assert!(code == "webhook-server-error" && again, "{code}");
    let written = stage.database.text(CLOSING).await;
    assert_eq!(written.as_deref(), Some("4, true"));

    stage.database.execute(over).await;
    stage.receiver.set("a", Behaviour::Answer(200));
    let next = notifier(&stage).await;
    handle(&next, &record("5")).await.unwrap();
    assert_eq!(stage.database.text(CLOSING).await, None);
    assert_eq!(stage.receiver.ids("a"), ["1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn who_enables_it_opens_it() {
    let stage = Stage::new().await;
    close(&stage).await;
    let id = notifier::EndpointId::new("a").unwrap();
    stage.endpoints().enable(&id).await.unwrap();
    stage.receiver.set("a", Behaviour::Answer(200));
    let next = notifier(&stage).await;
    handle(&next, &record("4")).await.unwrap();
}

#[tokio::test]
async fn a_database_of_an_earlier_version_is_refused_at_the_start() {
    for earlier in [
        "ALTER TABLE cdc.endpoint DROP COLUMN closed_until",
        "DROP FUNCTION cdc.claim_new_deliveries",
        "DROP FUNCTION cdc.settle_arrived",
    ] {
        let stage = Stage::new().await;
        stage.database.execute(earlier).await;
        let error = Notifier::start(
            stage.database.options(),
            stage.client.clone(),
            notifier::SecretKeys::default(),
            std::sync::Arc::new(notifier::NoAlerts),
            settings(),
        );
        let error = error.await.unwrap_err();
        assert!(matches!(error, notifier::Error::NoTable(_)), "{error:?}");
    }
}
