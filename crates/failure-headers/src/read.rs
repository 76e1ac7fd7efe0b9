//! Reading headers that anybody may have written.

use std::num::NonZeroU32;
use std::time::SystemTime;

use cdc_event::{Headers, KafkaPosition, PartId};

use crate::name::MAX_BYTES;
use crate::value;

/// Headers to be read. Of a name that occurs more than once the last one counts.
#[derive(Clone, Copy)]
pub(crate) struct Read<'a>(pub(crate) &'a Headers);

impl<'a> Read<'a> {
    pub(crate) fn bytes(self, name: &str) -> Option<&'a [u8]> {
        self.0.last(name)?.value.as_deref()
    }

    /// Text that says something.
    pub(crate) fn text(self, name: &str) -> Option<String> {
        self.bytes(name)
            .map(value::text)
            .filter(|text| !text.is_empty())
    }

    /// The name of a topic or a group: what is longer than any is none.
    pub(crate) fn name(self, name: &str) -> Option<String> {
        self.text(name).filter(|text| text.len() <= MAX_BYTES)
    }

    pub(crate) fn decimal<T: std::str::FromStr>(self, name: &str) -> Option<T> {
        value::decimal(self.bytes(name)?)
    }

    pub(crate) fn int64(self, name: &str) -> Option<i64> {
        value::int64(self.bytes(name)?)
    }

    pub(crate) fn attempts(self, name: &str) -> Option<NonZeroU32> {
        value::attempts(self.bytes(name)?)
    }

    /// A number of delays.
    pub(crate) fn delays(self, name: &str) -> Option<u16> {
        u16::try_from(value::int32(self.bytes(name)?)?).ok()
    }

    pub(crate) fn time(self, name: &str) -> Option<SystemTime> {
        value::time(self.bytes(name)?)
    }

    pub(crate) fn plausible_time(self, name: &str, now: SystemTime) -> Option<SystemTime> {
        value::plausible_time(self.bytes(name)?, now)
    }

    pub(crate) fn part(self, name: &str) -> Option<PartId> {
        PartId::new(self.text(name)?).ok()
    }

    /// A number of the store.
    pub(crate) fn number(self, name: &str) -> Option<i64> {
        self.int64(name).filter(|number| *number > 0)
    }

    /// Milliseconds since 1970; less than 0 is Kafka's way to say none.
    pub(crate) fn timestamp(self, name: &str) -> Option<i64> {
        self.int64(name).filter(|time| *time >= 0)
    }

    /// A position in binary numbers.
    pub(crate) fn position(
        self,
        topic: &str,
        partition: &str,
        offset: &str,
    ) -> Option<KafkaPosition> {
        position(
            self.name(topic)?,
            value::int32(self.bytes(partition)?)?,
            self.int64(offset)?,
        )
    }

    /// A position in decimal numbers.
    pub(crate) fn decimal_position(
        self,
        topic: &str,
        partition: &str,
        offset: &str,
    ) -> Option<KafkaPosition> {
        position(
            self.name(topic)?,
            self.decimal(partition)?,
            self.decimal(offset)?,
        )
    }
}

fn position(topic: String, partition: i32, offset: i64) -> Option<KafkaPosition> {
    (partition >= 0 && offset >= 0).then_some(KafkaPosition {
        topic,
        partition,
        offset,
    })
}
