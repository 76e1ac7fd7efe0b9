//! The one place that puts names and texts into commands.

/// `name` as an SQL identifier, in the spelling that it has.
#[must_use]
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` as a string literal, for SQL and for replication commands, whose grammar knows no escapes but the doubled
/// quote. Right for SQL while `standard_conforming_strings` is on, its default.
#[must_use]
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_quotes() {
        assert_eq!(quote_ident(r#"a"b'c"#), r#""a""b'c""#);
        assert_eq!(quote_literal(r#"a"b'c\"#), r#"'a"b''c\'"#);
    }
}
