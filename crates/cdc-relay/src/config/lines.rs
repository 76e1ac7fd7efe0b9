//! Finds the line of a key in a TOML file, for error messages.

use toml::de::{DeTable, DeValue};

/// The line, counted from 1, on which the key `path` stands in `source`; `None` if it is not there.
pub(super) fn line_of(source: &str, path: &[String]) -> Option<usize> {
    let document = DeTable::parse(source).ok()?;
    let mut table = document.get_ref();
    let mut at = None;
    for part in path {
        // A property such as security.protocol is one part here and may be two tables in the file.
        let mut found = None;
        for (key, value) in table {
            let name: &str = key.get_ref();
            if name == part || part.starts_with(&format!("{name}.")) {
                found = Some((key.span().start, value));
                if name == part {
                    break;
                }
            }
        }
        let (start, value) = found?;
        at = Some(start);
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    at.map(|start| source[..start].matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(source: &str, path: &str) -> Option<usize> {
        let path: Vec<String> = path.split('/').map(str::to_owned).collect();
        line_of(source, &path)
    }

    #[test]
    fn finds_keys_in_tables_dotted_and_inline() {
        let source = "# comment\n[relay]\nslot = \"a\"\n\nslott = 1\n[kafka.client]\n\"sasl.password\" = \"x\"\n";
        assert_eq!(line(source, "relay/slot"), Some(3));
        assert_eq!(line(source, "relay/slott"), Some(5));
        assert_eq!(line(source, "kafka/client/sasl.password"), Some(7));
        assert_eq!(line(source, "relay/missing"), None);
        assert_eq!(line("a = 1\nrelay.slot = 2\n", "relay/slot"), Some(2));
    }
}
