//! Which failures are one and the same trouble.

use std::fmt;

use ring::digest::{Context, SHA256};

use crate::error_report::ErrorReport;
use crate::origin::Origin;
use crate::record::Target;

/// Bytes of the digest that are kept.
const BYTES: usize = 16;

/// The same for events that failed for the same reason: source, slot or consumer group, topic, and error code.
///
/// Not the error's message: it names keys, sizes and addresses, and so differs from event to event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    pub(crate) fn new(origin: &Origin, target: Option<&Target>, error: &ErrorReport) -> Self {
        let (scope, topic) = match origin {
            Origin::Relay { slot, .. } => (
                slot.as_str(),
                target.map_or("", |target| target.topic.as_str()),
            ),
            // The target may be one of many retry topics; what matters is where the trouble began.
            Origin::Consumer { group, record, .. } => (group.as_str(), record.topic.as_str()),
        };
        let mut digest = Context::new(&SHA256);
        for part in [origin.source().as_str(), scope, topic, error.code()] {
            // With its length, so that no two lists of parts give the same bytes.
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        let digest = digest.finish();
        Self(
            digest.as_ref()[..BYTES]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }

    /// A fingerprint as it was shown; anything else matches nothing.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cdc_event::KafkaPosition;

    fn of(group: &str, topic: &str, offset: i64, error: &ErrorReport) -> Fingerprint {
        let record = KafkaPosition {
            topic: topic.into(),
            partition: 0,
            offset,
        };
        let target = Target {
            topic: "anything".into(),
            partition: None,
        };
        Fingerprint::new(
            &Origin::Consumer {
                group: group.into(),
                record,
                part: None,
            },
            Some(&target),
            error,
        )
    }

    #[test]
    fn is_the_same_for_the_same_reason_only() {
        let error = ErrorReport::new("timeout", "after 10 s", []);
        let same = ErrorReport::new("timeout", "after 11 s", []);
        let other = ErrorReport::new("refused", "after 10 s", []);
        let first = of("a", "orders", 1, &error);
        assert_eq!(first, of("a", "orders", 2, &same));
        assert_ne!(first, of("a", "orders", 1, &other));
        assert_ne!(first, of("b", "orders", 1, &error));
        assert_ne!(of("a", "bc", 1, &error), of("ab", "c", 1, &error));
        assert_eq!(first.as_str().len(), 2 * BYTES);
    }
}
