//! Names of metrics, labels and fields of log lines, each described once.

use metrics::{Unit, describe_counter, describe_histogram};

/// Deliveries that ended. Label: [`OUTCOME`].
pub(crate) const DELIVERIES: &str = "cdc_notify_deliveries_total";
/// From the first byte of a request to what came of it.
pub(crate) const REQUEST_SECONDS: &str = "cdc_notify_request_seconds";
/// From the event to the answer that says that it arrived.
pub(crate) const EVENT_TO_DELIVERY: &str = "cdc_notify_event_to_delivery_seconds";
/// Requests that got a connection. Label: [`CONNECTION`].
pub(crate) const CONNECTIONS: &str = "cdc_notify_connections_total";
/// Endpoints that were closed for a while because they failed.
pub(crate) const CLOSED_ENDPOINTS: &str = "cdc_notify_endpoints_closed_total";
/// Endpoints that were disabled. Label: [`REASON`].
pub(crate) const DISABLED_ENDPOINTS: &str = "cdc_notify_endpoints_disabled_total";
/// Outcomes that came after somebody else had taken the delivery over.
pub(crate) const FENCED: &str = "cdc_notify_fenced_outcomes_total";
/// Failures to ask for what is sent, or to write outcomes down, each of which is tried again; and to write requests down,
/// which is not.
pub(crate) const STORE_ERRORS: &str = "cdc_notify_store_errors_total";

/// Label: what became of a delivery; one of a dozen words.
pub(crate) const OUTCOME: &str = "outcome";
/// Label: where the connection came from, `fresh` or `reused`.
pub(crate) const CONNECTION: &str = "connection";
/// Label: why; one of a few words.
pub(crate) const REASON: &str = "reason";

/// Field: an endpoint's id.
pub(crate) const ENDPOINT: &str = "endpoint";
/// Field: how much of the time is over after which an endpoint is disabled.
pub(crate) const PERCENT: &str = "percent";
/// Field: what is left of it.
pub(crate) const LEFT: &str = "left";
/// Field: how many deliveries wait.
pub(crate) const DELIVERIES_WAITING: &str = "deliveries";

/// Tells the recorder what the metrics mean. To be called once it is installed.
pub(crate) fn describe() {
    describe_counter!(DELIVERIES, "Deliveries that ended, by outcome");
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "Time of a request to an endpoint"
    );
    describe_histogram!(
        EVENT_TO_DELIVERY,
        Unit::Seconds,
        "From the event to its delivery"
    );
    describe_counter!(
        CONNECTIONS,
        "Requests that got a connection, by whether it was opened for them"
    );
    describe_counter!(
        CLOSED_ENDPOINTS,
        "Endpoints that were closed for a while because they failed"
    );
    describe_counter!(
        DISABLED_ENDPOINTS,
        "Endpoints that were disabled, by reason"
    );
    describe_counter!(
        FENCED,
        "Outcomes that came after somebody else had taken the delivery over"
    );
    describe_counter!(
        STORE_ERRORS,
        "Failures to use the store of endpoints and deliveries"
    );
    // A rate needs a value from before the first that counts.
    for name in [CLOSED_ENDPOINTS, FENCED, STORE_ERRORS] {
        metrics::counter!(name).increment(0);
    }
}
