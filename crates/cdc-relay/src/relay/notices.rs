//! Events that were sent otherwise than the settings ask for.

use cdc_outbox::{Event, Notices};

use crate::relay_state::{RelayMetrics, Total};

/// Counts what is to be noticed about an event that was sent; the first of each kind is logged.
pub(super) fn note(event: &Event<'_>, metrics: &RelayMetrics) {
    let Notices {
        unexpanded,
        invalid_trace_context,
    } = event.notices;
    if unexpanded {
        let what = "a payload is no JSON that can be expanded: sent as it is";
        tell(event, &metrics.unexpanded, what);
    }
    if invalid_trace_context {
        let what = "a trace context is none of W3C's: left out";
        tell(event, &metrics.invalid_trace_context, what);
    }
}

fn tell(event: &Event<'_>, total: &Total, what: &str) {
    if total.get() == 0 {
        tracing::warn!(
            event_id = %String::from_utf8_lossy(&event.id),
            topic = event.topic,
            "{what}; others like it are only counted"
        );
    }
    total.increment(1);
}
