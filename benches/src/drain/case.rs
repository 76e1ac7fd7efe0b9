//! What can be measured, and what should come out.

use clap::ValueEnum;

use crate::outbox::PayloadType;

/// A kind of backlog, and who drains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// Rows with jsonb, 1000 to a transaction: pg_recvlogical, at least once, exactly once.
    #[value(name = "jsonb-1000")]
    Jsonb1000,
    /// The same, one row to a transaction.
    #[value(name = "jsonb-1")]
    Jsonb1,
    /// Rows with json, 1000 to a transaction.
    #[value(name = "json-1000")]
    Json1000,
    /// Logical messages against rows with jsonb, 1000 to a transaction.
    #[value(name = "messages-1000")]
    Messages1000,
    /// The same, one message or row to a transaction.
    #[value(name = "messages-1")]
    Messages1,
    /// Two relays with half of the keys each against one with all.
    #[value(name = "two-slots")]
    TwoSlots,
}

impl Case {
    /// Every case.
    pub(crate) fn all() -> Vec<Self> {
        Self::value_variants().to_vec()
    }

    /// Its name, fit for a file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jsonb1000 => "drain-jsonb-1000",
            Self::Jsonb1 => "drain-jsonb-1",
            Self::Json1000 => "drain-json-1000",
            Self::Messages1000 => "drain-messages-1000",
            Self::Messages1 => "drain-messages-1",
            Self::TwoSlots => "drain-two-slots",
        }
    }

    /// Type of the payload, where there is a table.
    pub(super) fn payload(self) -> PayloadType {
        match self {
            Self::Json1000 => PayloadType::Json,
            Self::Jsonb1000
            | Self::Jsonb1
            | Self::Messages1000
            | Self::Messages1
            | Self::TwoSlots => PayloadType::Jsonb,
        }
    }

    /// Rows or messages in each transaction.
    pub(super) fn rows_per_transaction(self) -> u32 {
        match self {
            Self::Jsonb1 | Self::Messages1 => 1,
            Self::Jsonb1000 | Self::Json1000 | Self::Messages1000 | Self::TwoSlots => 1000,
        }
    }

    /// Rows in the backlog: half of `rows` if each is a transaction, which takes twice as long to fill and to drain.
    pub(super) fn rows(self, rows: u32) -> u32 {
        match self.rows_per_transaction() {
            1 => rows.div_ceil(2),
            _ => rows,
        }
    }

    /// The ratio that should be reached: to pg_recvlogical, of messages to rows, of two slots to one.
    pub(super) fn target(self) -> f64 {
        match self {
            Self::Jsonb1000 => 1.25,
            Self::Jsonb1 | Self::Json1000 => 1.6,
            Self::Messages1000 | Self::Messages1 => 1.5,
            Self::TwoSlots => 1.3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_after_the_argument() {
        for case in Case::all() {
            let argument = case.to_possible_value().unwrap();
            assert_eq!(case.name(), format!("drain-{}", argument.get_name()));
        }
    }
}
