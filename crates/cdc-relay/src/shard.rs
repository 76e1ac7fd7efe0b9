//! An outbox that is relayed by several slots: each takes the keys of one shard.
//!
//! Rows are divided by the row filter of each slot's publication, that is, by PostgreSQL; messages come to every slot
//! and are divided here. Both go by the same hash of the key's text, so that the order per key holds across both.

mod hashtext;

use std::fmt;
use std::str::FromStr;

use hashtext::hashtext;

/// The sign is cut off: a remainder must not be negative.
const MASK: i32 = i32::MAX;

/// How many slots share an outbox: 1 to 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shards(u8);

/// One of the slots that share an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shard {
    index: u8,
    of: Shards,
}

impl Shards {
    /// The whole outbox by one slot.
    pub(crate) const ONE: Self = Self(1);
    /// Each walsender decodes the whole log: more would only cost.
    const MOST: u8 = 16;

    /// `None` beyond the bounds.
    pub(crate) fn new(count: u8) -> Option<Self> {
        (1..=Self::MOST).contains(&count).then_some(Self(count))
    }

    /// The number.
    pub(crate) const fn count(self) -> u8 {
        self.0
    }

    /// Each of them, in order.
    pub(crate) fn each(self) -> impl Iterator<Item = Shard> {
        (0..self.0).map(move |index| Shard { index, of: self })
    }
}

impl Shard {
    /// The one called `index`, from 0; `None` when there are not so many.
    pub(crate) fn new(index: u8, of: Shards) -> Option<Self> {
        (index < of.0).then_some(Self { index, of })
    }

    /// From 0.
    pub(crate) const fn index(self) -> u8 {
        self.index
    }

    /// How many there are.
    pub(crate) const fn of(self) -> Shards {
        self.of
    }

    /// Whether events with this key are of this shard. Those without a key count as having an empty one.
    pub(crate) fn takes(self, key: &[u8]) -> bool {
        (hashtext(key) & MASK) % i32::from(self.of.0) == i32::from(self.index)
    }

    /// The same as an SQL condition; `key` is an SQL expression of type `text` or `varchar`.
    pub(crate) fn condition(self, key: &str) -> String {
        format!(
            "((pg_catalog.hashtext(COALESCE({key}, '')) & {MASK}) % {}) = {}",
            self.of.0, self.index
        )
    }

    /// Whether a row filter, as PostgreSQL shows it, is that of this shard.
    pub(crate) fn is_condition(self, filter: &str) -> bool {
        filter.contains("hashtext(")
            && filter.ends_with(&format!("& {MASK}) % {}) = {})", self.of.0, self.index))
    }

    /// The name of this shard's slot or publication: `{base}_{index}of{count}`, and `base` itself if there is only
    /// one shard. So the names of different numbers of shards never collide.
    pub(crate) fn name(self, base: &str) -> String {
        match self.of {
            Shards::ONE => base.to_owned(),
            Shards(count) => format!("{base}_{}of{count}", self.index),
        }
    }

    /// The shard whose slot or publication has this name, given the common `base`.
    pub(crate) fn of_name(name: &str, base: &str) -> Option<Self> {
        let rest = name.strip_prefix(base)?;
        if rest.is_empty() {
            return Self::new(0, Shards::ONE);
        }
        let (index, count) = rest.strip_prefix('_')?.split_once("of")?;
        let of = Shards::new(count.parse().ok()?).filter(|of| *of > Shards::ONE)?;
        let shard = Self::new(index.parse().ok()?, of)?;
        (shard.name(base) == name).then_some(shard)
    }
}

impl FromStr for Shards {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let count = text.trim().parse().ok().and_then(Self::new);
        count.ok_or_else(|| format!("{text:?} is no number from 1 to {}", Self::MOST))
    }
}

impl fmt::Display for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_of_exactly_one_shard() {
        for count in 1..=16 {
            let shards = Shards::new(count).unwrap();
            for key in 0..500 {
                let key = format!("order-{key}");
                let taking = shards.each().filter(|shard| shard.takes(key.as_bytes()));
                assert_eq!(taking.count(), 1, "{key} of {count}");
            }
        }
    }

    #[test]
    fn a_name_says_which_shard_it_is_of() {
        for count in 1..=16 {
            for shard in Shards::new(count).unwrap().each() {
                let name = shard.name("orders");
                assert_eq!(Shard::of_name(&name, "orders"), Some(shard), "{name}");
            }
        }
        for name in [
            "order",
            "orders_",
            "orders_0of1",
            "orders_2of2",
            "orders_0of17",
            "orders_00of2",
            "orders_+1of2",
            "orders2_0of2",
            "orders_0of2_1of2",
        ] {
            assert_eq!(Shard::of_name(name, "orders"), None, "{name}");
        }
    }

    #[test]
    fn there_are_1_to_16() {
        assert_eq!(Shards::new(0), None);
        assert_eq!(Shards::new(17), None);
        assert!("16".parse::<Shards>().is_ok() && "-1".parse::<Shards>().is_err());
        assert_eq!(Shard::new(2, Shards(2)), None);
    }
}
