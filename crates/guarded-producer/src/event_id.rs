//! The identity of an event.

use std::fmt;
use std::str::FromStr;

use cdc_event::random_number;

/// The identity of an event, a UUID: the record's header `id`, by which consumers tell a repetition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(u128);

/// The text is no UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a UUID, such as 6f1c24e0-9d3b-4a53-8f6e-0a1b2c3d4e5f")]
pub struct InvalidEventId(String);

/// Where the groups of digits begin and end, in bits from the right.
const GROUPS: [(u32, usize); 5] = [(96, 8), (80, 4), (64, 4), (48, 4), (0, 12)];

impl EventId {
    /// A new one (version 4).
    #[must_use]
    pub fn random() -> Self {
        const VERSION_4: u128 = 0x4000 << 64;
        const VARIANT: u128 = 0x8000 << 48;
        const FREE: u128 = !((0xf000 << 64) | (0xc000 << 48));
        let number = u128::from(random_number()) << 64 | u128::from(random_number());
        Self(number & FREE | VERSION_4 | VARIANT)
    }
}

impl From<u128> for EventId {
    /// The bytes of the UUID, read as one big-endian number.
    fn from(number: u128) -> Self {
        Self(number)
    }
}

impl FromStr for EventId {
    type Err = InvalidEventId;

    /// Takes the usual form: 8, 4, 4, 4 and 12 hexadecimal digits with hyphens between.
    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let mut groups = text.split('-');
        let mut number = 0;
        for (shift, digits) in GROUPS {
            let group = groups
                .next()
                .filter(|group| group.len() == digits && !group.starts_with('+'))
                .and_then(|group| u128::from_str_radix(group, 16).ok())
                .ok_or_else(|| InvalidEventId(text.to_owned()))?;
            number |= group << shift;
        }
        match groups.next() {
            None => Ok(Self(number)),
            Some(_) => Err(InvalidEventId(text.to_owned())),
        }
    }
}

impl fmt::Display for EventId {
    /// As PostgreSQL prints a uuid.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (shift, digits)) in GROUPS.into_iter().enumerate() {
            let hyphen = if index == 0 { "" } else { "-" };
            let group = self.0 >> shift & ((1 << (digits * 4)) - 1);
            write!(f, "{hyphen}{group:0digits$x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_printed_as_it_is_read() {
        let text = "00112233-4455-6677-8899-aabbccddeeff";
        let id: EventId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id, EventId::from(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff));
        assert_eq!(text.to_uppercase().parse::<EventId>().unwrap(), id);
    }

    #[test]
    fn refuses_what_is_no_uuid() {
        for text in [
            "",
            "x",
            "00112233445566778899aabbccddeeff",
            "00112233-4455-6677-8899-aabbccddeef",
            "00112233-4455-6677-8899-aabbccddeeff-",
            "0011223g-4455-6677-8899-aabbccddeeff",
            "+0112233-4455-6677-8899-aabbccddeeff",
        ] {
            assert_eq!(
                text.parse::<EventId>(),
                Err(InvalidEventId(text.to_owned()))
            );
        }
    }

    #[test]
    fn a_new_one_is_of_version_4_and_another_each_time() {
        let ids: std::collections::HashSet<_> = (0..1000)
            .map(|_| {
                let text = EventId::random().to_string();
                assert_eq!(&text[14..15], "4", "{text}");
                assert!("89ab".contains(&text[19..20]), "{text}");
                text
            })
            .collect();
        assert_eq!(ids.len(), 1000);
    }
}
