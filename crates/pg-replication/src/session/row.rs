//! A row of a query's answer.

use std::sync::Arc;

/// A row of text values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Option<String>>,
}

impl Row {
    pub(super) fn new(columns: Arc<[String]>, values: Vec<Option<String>>) -> Self {
        Self { columns, values }
    }

    /// The value of a column by its place, from 0; `None` for NULL and for a column that isn't there.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&str> {
        self.values.get(index)?.as_deref()
    }

    /// The value of a column by its name; `None` for NULL and for a column that isn't there.
    #[must_use]
    pub fn named(&self, column: &str) -> Option<&str> {
        self.get(self.columns.iter().position(|name| name == column)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_values_by_place_and_by_name() {
        let columns: Arc<[String]> = ["a".to_owned(), "b".to_owned()].into();
        let row = Row::new(columns, vec![Some("1".to_owned()), None]);
        assert_eq!(
            (row.get(0), row.get(1), row.get(2)),
            (Some("1"), None, None)
        );
        assert_eq!(
            (row.named("a"), row.named("b"), row.named("c")),
            (Some("1"), None, None)
        );
    }
}
