//! Where a column goes that is neither key nor payload.

use std::fmt;
use std::str::FromStr;

/// Where a column goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// Into a header of the record.
    Header,
    /// Beside the payload, in an object that becomes the value.
    Envelope,
    /// It is the number of the partition.
    Partition,
}

/// One column and where it goes, written as Debezium does: `column:header|envelope|partition[:alias]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The column.
    pub column: String,
    /// Where it goes.
    pub target: Target,
    /// What it is called there.
    pub alias: String,
}

/// Not a placement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a placement: write \"column:header\", \"column:envelope\" or \"column:partition\", the first two \
     with \":alias\" behind if the name shall be another"
)]
pub struct InvalidPlacement(String);

impl FromStr for Placement {
    type Err = InvalidPlacement;

    fn from_str(text: &str) -> Result<Self, InvalidPlacement> {
        let refused = || InvalidPlacement(text.to_owned());
        let mut parts = text.split(':').map(str::trim);
        let column = parts.next().unwrap_or_default();
        let target = match parts.next() {
            Some("header") => Target::Header,
            Some("envelope") => Target::Envelope,
            Some("partition") => Target::Partition,
            _ => return Err(refused()),
        };
        let alias = parts.next().unwrap_or(column);
        // librdkafka takes header names as C strings.
        if column.is_empty() || alias.is_empty() || alias.contains('\0') || parts.next().is_some() {
            return Err(refused());
        }
        Ok(Self {
            column: column.to_owned(),
            target,
            alias: alias.to_owned(),
        })
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, alias, .. } = self;
        write!(f, "{column}:{}", self.target)?;
        if alias == column {
            Ok(())
        } else {
            write!(f, ":{alias}")
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Envelope => "envelope",
            Self::Partition => "partition",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_debezium_s_notation() {
        let placement: Placement = " type : header : eventType ".parse().unwrap();
        assert_eq!(
            placement,
            Placement {
                column: "type".to_owned(),
                target: Target::Header,
                alias: "eventType".to_owned(),
            }
        );
        assert_eq!(placement.to_string(), "type:header:eventType");
        assert_eq!(
            "p:partition".parse::<Placement>().unwrap().to_string(),
            "p:partition"
        );
    }

    #[test]
    fn refuses_anything_else() {
        for text in [
            "",
            "type",
            "type:",
            ":header",
            "type:headers",
            "type:header:",
            "type:header:a:b",
            "type:header,x:header",
        ] {
            assert!(text.parse::<Placement>().is_err(), "{text:?} was taken");
        }
    }
}
