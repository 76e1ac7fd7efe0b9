//! Up to where an owner knows its redirect partition.

use cdc_kafka::Offset;

/// All before an offset is known: what others wrote is looked for from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    to: Offset,
    /// A transaction of the owner's own has not been seen to end. What others wrote may come before its end.
    is_open: bool,
}

impl Known {
    /// All before this was read.
    pub(crate) const fn read_to(to: Offset) -> Self {
        Self { to, is_open: false }
    }

    /// Where there may be something that is not known.
    pub(crate) const fn to(self) -> Offset {
        self.to
    }

    /// With all that was read before `end`.
    #[must_use]
    pub(crate) fn and_read_to(self, end: Offset) -> Self {
        if end > self.to {
            Self::read_to(end)
        } else {
            self
        }
    }

    /// With the records of a transaction, which are at these places, if nobody else wrote before or among them.
    #[must_use]
    pub(crate) fn and_written(self, places: &[Offset]) -> Self {
        let (Some(first), Some(last)) = (places.first(), places.last()) else {
            return self;
        };
        let is_alone = places.windows(2).all(|pair| pair[0].next() == pair[1]);
        // The one before has ended when the next begins: if there is one place between them, that is its end.
        let from = if self.is_open {
            self.to.next()
        } else {
            self.to
        };
        if is_alone && *first == from {
            Self {
                to: last.next(),
                is_open: true,
            }
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(known: Known, places: &[i64]) -> Known {
        let places: Vec<Offset> = places.iter().copied().map(Offset).collect();
        known.and_written(&places)
    }

    #[test]
    fn what_comes_before_the_end_of_a_transaction_is_not_known() {
        let written = known(Known::read_to(Offset(5)), &[5, 6]);
        // At 7 is the end, or something else and then the end.
        assert_eq!(written.to(), Offset(7));
        assert_eq!(known(written, &[8]).to(), Offset(9), "7 was the end");
        assert_eq!(
            known(written, &[9]).to(),
            Offset(7),
            "7 or 8 was something else"
        );
    }

    #[test]
    fn what_comes_between_records_is_not_known() {
        assert_eq!(known(Known::read_to(Offset(5)), &[5, 7]).to(), Offset(5));
        assert_eq!(known(Known::read_to(Offset(5)), &[6]).to(), Offset(5));
    }

    #[test]
    fn what_was_read_is_known() {
        let written = known(Known::read_to(Offset(5)), &[5]);
        assert_eq!(written.and_read_to(Offset(9)), Known::read_to(Offset(9)));
        assert_eq!(written.and_read_to(Offset(6)), written);
    }
}
