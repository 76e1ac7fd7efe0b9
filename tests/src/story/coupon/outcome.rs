//! What was promised and seen.

use std::collections::BTreeSet;
use std::fmt;

use crate::coupon::{Crowd, User};
use crate::report::Table;

/// What the story has come to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    applicants: i64,
    limit: i64,
    pub(super) crowd: Crowd,
    /// Those accepted whose id is odd: they fail.
    pub(super) odd: usize,
    /// Failures in the store before the fix.
    pub(super) stored: i64,
    /// Coupons before the fix.
    pub(super) before_fix: i64,
    pub(super) alerts: usize,
    pub(super) replayed: i64,
    /// Failures that are open in the end.
    pub(super) open: i64,
    /// Users and numbers, as issued.
    pub(super) coupons: Vec<(User, i64)>,
}

/// A promise: in words, what it should be, what it was, and whether that will do.
type Line = (&'static str, String, String, bool);

impl Outcome {
    pub(super) fn new(applicants: i64, limit: i64) -> Self {
        Self {
            applicants,
            limit,
            ..Self::default()
        }
    }

    /// Whether every promise was kept.
    pub(super) fn is_as_promised(&self) -> bool {
        self.lines().iter().all(|(.., kept)| *kept)
    }

    fn lines(&self) -> Vec<Line> {
        let exactly = |what, wanted: i64, seen: i64| {
            (what, wanted.to_string(), seen.to_string(), wanted == seen)
        };
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let accepted = self.crowd.numbers().unwrap_or_default();
        let users: BTreeSet<_> = self.coupons.iter().map(|(user, _)| user).collect();
        let numbers: BTreeSet<_> = self.coupons.iter().map(|(_, number)| number).collect();
        let twice = self.coupons.len() - users.len().min(numbers.len());
        let as_told = self
            .coupons
            .iter()
            .filter(|(user, number)| accepted.get(user) == Some(number));
        let odd = number(self.odd);
        vec![
            exactly(
                "applied",
                self.applicants,
                number(accepted.len() + self.crowd.sold_out()),
            ),
            exactly("accepted", self.limit, number(accepted.len())),
            exactly("failed, in the store", odd, self.stored),
            exactly("coupons before the fix", self.limit - odd, self.before_fix),
            (
                "alerts",
                "1 or more".into(),
                self.alerts.to_string(),
                self.alerts > 0,
            ),
            exactly("replayed", odd, self.replayed),
            exactly("open failures left", 0, self.open),
            exactly("coupons issued", self.limit, number(self.coupons.len())),
            exactly(
                "with the number that was told",
                self.limit,
                number(as_told.count()),
            ),
            exactly("users or numbers twice", 0, number(twice)),
        ]
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["the coupon", "promised", "seen", ""]);
        for (what, wanted, seen, kept) in self.lines() {
            let verdict = if kept { "ok" } else { "BROKEN" };
            table.row([what, &wanted, &seen, verdict]);
        }
        table.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_at_all_breaks_promises() {
        let outcome = Outcome::new(2, 1);
        assert!(!outcome.is_as_promised());
        assert!(outcome.to_string().contains("BROKEN"), "{outcome}");
    }
}
