//! What travels through librdkafka with a record and comes back with its delivery.

use cdc_event::Sequence;

use crate::record::{HEADER_UNIT, OutgoingRecord};

/// A record's number, and the size of its headers, which a delivery report does not give without
/// walking over them.
///
/// Both share the one pointer-sized number that librdkafka carries without an allocation: 48 bits
/// of sequence (nine years at a million records a second), 16 bits of header units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token(usize);

const UNIT_BITS: u32 = 16;

const _: () = assert!(
    usize::BITS >= u64::BITS,
    "a sequence does not fit a pointer"
);

impl Token {
    /// `None` for a sequence that is out of range.
    pub(super) fn new(sequence: Sequence, record: &OutgoingRecord<'_>) -> Option<Self> {
        let number = usize::try_from(sequence.get()).ok()?;
        let in_range = number >> (usize::BITS - UNIT_BITS) == 0;
        in_range.then_some(Self(number << UNIT_BITS | record.header_units()))
    }

    pub(super) const fn from_opaque(opaque: usize) -> Self {
        Self(opaque)
    }

    pub(super) const fn opaque(self) -> usize {
        self.0
    }

    pub(super) const fn sequence(self) -> Sequence {
        Sequence::new((self.0 >> UNIT_BITS) as u64)
    }

    /// Bytes of headers, as [`OutgoingRecord::size`] counts them.
    pub(super) const fn header_bytes(self) -> usize {
        (self.0 & ((1 << UNIT_BITS) - 1)) * HEADER_UNIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::HeaderRef;

    fn record<'a>(headers: &'a [HeaderRef<'a>]) -> OutgoingRecord<'a> {
        OutgoingRecord {
            topic: "t",
            partition: None,
            key: Some(b"key"),
            value: Some(b"value"),
            headers,
            timestamp: None,
        }
    }

    #[test]
    fn gives_back_the_sequence_and_the_size_of_the_headers() {
        let large = vec![0; 10_000_000];
        for length in [0, 1, 61, 62, 63, 100_000, 10_000_000] {
            let headers = [HeaderRef {
                name: "id",
                value: Some(&large[..length]),
            }];
            for headers in [&headers[..], &[]] {
                let record = record(headers);
                for number in [0, 1, (1 << 48) - 1] {
                    let token = Token::new(Sequence::new(number), &record).unwrap();
                    let token = Token::from_opaque(token.opaque());
                    assert_eq!(token.sequence(), Sequence::new(number));
                    assert_eq!(8 + token.header_bytes(), record.size());
                }
            }
        }
    }

    #[test]
    fn refuses_a_sequence_out_of_range() {
        assert_eq!(Token::new(Sequence::new(1 << 48), &record(&[])), None);
        assert_eq!(Token::new(Sequence::new(u64::MAX), &record(&[])), None);
    }
}
