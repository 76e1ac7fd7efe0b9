//! Where we differ from Debezium on purpose. `docs/debezium.md` has the same list, with what to do about each.

use crate::compare::{Aspect, Mismatch};

/// One deliberate difference.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The groups of golden records that show it; none for all.
    groups: &'static [&'static str],
    aspect: Aspect,
    /// The sentence that the documentation has for it.
    pub(crate) reason: &'static str,
    /// Debezium's own outcome changes from run to run: it may be equal to ours.
    pub(crate) is_unstable: bool,
}

impl Difference {
    pub(crate) fn covers(&self, mismatch: &Mismatch) -> bool {
        self.aspect == mismatch.aspect
            && (self.groups.is_empty() || self.groups.contains(&mismatch.group.as_str()))
    }
}

const fn differs(
    groups: &'static [&'static str],
    aspect: Aspect,
    reason: &'static str,
) -> Difference {
    Difference {
        groups,
        aspect,
        reason,
        is_unstable: false,
    }
}

/// Groups that expand JSON payloads.
const EXPANDING: &[&str] = &[
    "g10", "g11", "g12", "g13", "g14", "h10", "h11", "h12", "h13", "h14", "h15", "h26", "h27",
];

/// The list.
pub(crate) const DIFFERENCES: &[Difference] = &[
    differs(
        &[],
        Aspect::ContextHeaders,
        "Headers `__debezium.context.*` are not sent.",
    ),
    differs(
        EXPANDING,
        Aspect::SentAllTheSame,
        "A payload that Debezium cannot expand without failing is sent unexpanded.",
    ),
    Difference {
        groups: EXPANDING,
        aspect: Aspect::MemberOrder,
        reason: "The members of different objects in one array are in the order in which they come.",
        is_unstable: true,
    },
    differs(
        &["g15", "g25"],
        Aspect::Value,
        "A structure in a plain value is JSON, not Java's `Struct{…}`.",
    ),
    differs(
        &["g53"],
        Aspect::Value,
        "Bytes in a plain value are the bytes, not Java's `java.nio.HeapByteBuffer[…]`.",
    ),
    differs(
        &["g27"],
        Aspect::Headers,
        "Bytes in a plain header are Base64, not Java's `java.nio.HeapByteBuffer[…]`.",
    ),
    differs(
        &["g57"],
        Aspect::SentAllTheSame,
        "A text payload is sent also where Debezium's converter for bytes fails.",
    ),
    differs(
        &["g40", "g43", "g44", "g45"],
        Aspect::SentAllTheSame,
        "The timestamp column may be of any type that is a time, and a `bigint` of milliseconds.",
    ),
    differs(
        &["g75b"],
        Aspect::Ignored,
        "An UPDATE never stops the relay.",
    ),
    differs(&["g83"], Aspect::Refused, "A row without an id is refused."),
    differs(
        &["h90"],
        Aspect::Value,
        "The payload of a logical message is sent as it stands, with its nulls, empty arrays and white space.",
    ),
];
