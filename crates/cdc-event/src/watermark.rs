//! What may be confirmed upstream while deliveries complete in any order.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

/// The number of a record in stream order, given by [`Watermark::assign`], from 0.
///
/// It means nothing outside the watermark that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

/// What an acknowledgement changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// The record was in flight and no longer is.
    New,
    /// The record had been acknowledged before; nothing changed.
    Duplicate,
    /// No such record was assigned; nothing changed. The caller mixed up two watermarks.
    Unknown,
}

/// Holds back confirmations until everything before them has been acknowledged.
///
/// Records are numbered in stream order ([`assign`](Self::assign)); marks (what to confirm at the
/// end of a transaction) are put between them ([`mark`](Self::mark)). Acknowledgements arrive in
/// any order, from several topics and partitions. A mark is handed back by
/// [`release`](Self::release) once every record that was assigned before it is acknowledged, and
/// never before a mark that was put earlier.
///
/// A watermark that is dropped hands its marks back to nobody: what they stood for is not
/// confirmed, and will be delivered again.
///
/// Memory grows with the distance from the oldest record in flight to the newest, one bit a
/// record, and with the marks that are held. Each call takes constant time on average.
///
/// # Example
///
/// ```
/// use cdc_event::Watermark;
///
/// let mut watermark = Watermark::new();
/// let (a, b) = (watermark.assign(), watermark.assign());
/// watermark.mark("commit of a and b");
/// watermark.acknowledge(b);
/// assert_eq!(watermark.release(), None);
/// watermark.acknowledge(a);
/// assert_eq!(watermark.release(), Some("commit of a and b"));
/// ```
#[derive(Debug)]
pub struct Watermark<M> {
    /// The number of the next record; everything below it has been assigned.
    next: u64,
    /// The number of the oldest record in flight; everything below it has been acknowledged.
    low: u64,
    /// A bit for each record from the start of `low`'s word on: 1 = acknowledged.
    acknowledged: VecDeque<u64>,
    in_flight: usize,
    /// Each with the number of records that must be acknowledged before it, never decreasing.
    marks: VecDeque<(u64, M)>,
}

const WORD: u64 = u64::BITS as u64;

impl Sequence {
    /// The number as it travels through a delivery report.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Back from the number that [`get`](Self::get) gave.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

impl<M> Watermark<M> {
    /// Nothing in flight, nothing to confirm.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next: 0,
            low: 0,
            acknowledged: VecDeque::new(),
            in_flight: 0,
            marks: VecDeque::new(),
        }
    }

    /// What [`assign`](Self::assign) will give next, for a record that may yet be refused downstream.
    #[must_use]
    pub const fn next_sequence(&self) -> Sequence {
        Sequence(self.next)
    }

    /// Numbers the next record of the stream; it is in flight until it is acknowledged.
    pub fn assign(&mut self) -> Sequence {
        let sequence = Sequence(self.next);
        if self.word_of(self.next) == self.acknowledged.len() {
            self.acknowledged.push_back(0);
        }
        self.next += 1;
        self.in_flight += 1;
        sequence
    }

    /// Puts a mark after all records assigned so far, of which there may be none.
    ///
    /// Of several marks without a record between them only the first and the newest are kept: a mark stands for
    /// everything before it, so the newest says what those between would, and a stream of transactions without
    /// records can't fill the memory while one record waits.
    pub fn mark(&mut self, mark: M) {
        let kept = self.marks.len();
        let at_next = |index: Option<usize>| {
            index
                .and_then(|index| self.marks.get(index))
                .is_some_and(|(boundary, _)| *boundary == self.next)
        };
        if at_next(kept.checked_sub(1)) && at_next(kept.checked_sub(2)) {
            self.marks.pop_back();
        }
        self.marks.push_back((self.next, mark));
    }

    /// Notes that a record is durable downstream.
    pub fn acknowledge(&mut self, sequence: Sequence) -> Acknowledged {
        let Sequence(number) = sequence;
        if number >= self.next {
            return Acknowledged::Unknown;
        }
        if number < self.low {
            return Acknowledged::Duplicate;
        }
        let word = self.word_of(number);
        let bit = 1 << (number % WORD);
        if self.acknowledged[word] & bit != 0 {
            return Acknowledged::Duplicate;
        }
        self.acknowledged[word] |= bit;
        self.in_flight -= 1;
        if number == self.low {
            self.advance();
        }
        Acknowledged::New
    }

    /// Hands back the next mark that may be confirmed, in the order in which they were put.
    ///
    /// To be called until it gives `None`.
    pub fn release(&mut self) -> Option<M> {
        let (boundary, _) = self.marks.front()?;
        if *boundary > self.low {
            return None;
        }
        self.marks.pop_front().map(|(_, mark)| mark)
    }

    /// The number of records that are assigned and not acknowledged.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The number of marks that are not handed back yet.
    #[must_use]
    pub fn held_marks(&self) -> usize {
        self.marks.len()
    }

    /// Records from the oldest in flight to the newest, acknowledged or not: what memory grows with. One record that
    /// is stuck, as behind a partition without a leader, makes it grow while all others are delivered.
    #[must_use]
    pub const fn span(&self) -> u64 {
        self.next - self.low
    }

    /// The record that holds everything back, if any is in flight.
    #[must_use]
    pub fn oldest_unacknowledged(&self) -> Option<Sequence> {
        (self.low < self.next).then_some(Sequence(self.low))
    }

    /// No record in flight and no mark held: whatever was read so far is confirmed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.marks.is_empty()
    }

    /// Where in `acknowledged` the bit of a record is that is not below `low`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded by the words in memory"
    )]
    const fn word_of(&self, number: u64) -> usize {
        (number / WORD - self.low / WORD) as usize
    }

    /// Moves `low` over the acknowledged records from it on and lets go of their words.
    fn advance(&mut self) {
        while let Some(&word) = self.acknowledged.front() {
            let offset = self.low % WORD;
            let run = u64::from((word >> offset).trailing_ones());
            self.low += run;
            if offset + run < WORD {
                break;
            }
            self.acknowledged.pop_front();
        }
    }
}

impl<M> Default for Watermark<M> {
    fn default() -> Self {
        Self::new()
    }
}
