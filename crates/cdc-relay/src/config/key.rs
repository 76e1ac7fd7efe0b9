//! What settings are called: the key, its path in the tree, and its environment variable.

use figment::value::{Dict, Value};

/// What the name of each variable begins with.
pub(super) const PREFIX: &str = "CDC_";

/// Tables whose keys are librdkafka's, not ours.
const FREE_TABLES: [&[&str]; 3] = [
    &["kafka", "client"],
    &["kafka", "producer"],
    &["kafka", "consumer"],
];

/// `kafka.client.security.protocol` is the key `security.protocol` of table `kafka.client`.
pub(super) fn path_of(key: &str) -> Vec<String> {
    let parts: Vec<String> = key.split('.').map(str::to_owned).collect();
    match free_table_of(&parts) {
        Some(free) => {
            let mut path = parts[..free.len()].to_vec();
            path.push(parts[free.len()..].join("."));
            path
        }
        None => parts,
    }
}

/// The path of a variable, given without [`PREFIX`]: `KAFKA__CLIENT__SECURITY_PROTOCOL` is `security.protocol` of table
/// `kafka.client`.
pub(super) fn path_of_variable(name: &str) -> Vec<String> {
    let parts: Vec<String> = name.split("__").map(str::to_ascii_lowercase).collect();
    match free_table_of(&parts) {
        Some(free) => {
            let mut path = parts[..free.len()].to_vec();
            path.push(parts[free.len()..].join("_").replace('_', "."));
            path
        }
        None => parts,
    }
}

fn free_table_of(parts: &[String]) -> Option<&'static [&'static str]> {
    let mut tables = FREE_TABLES.into_iter();
    tables.find(|free| parts.len() > free.len() && starts_with(parts, free))
}

fn starts_with(path: &[String], prefix: &[&str]) -> bool {
    path.len() >= prefix.len()
        && path
            .iter()
            .zip(prefix)
            .all(|(part, expected)| part == expected)
}

/// Whether it is in a table whose keys are librdkafka's.
pub(super) fn is_free(path: &[String]) -> bool {
    FREE_TABLES.iter().any(|free| starts_with(path, free))
}

/// The value at a path.
pub(super) fn find<'a>(dict: &'a Dict, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let value = dict.get(first)?;
    if rest.is_empty() {
        Some(value)
    } else {
        find(value.as_dict()?, rest)
    }
}

/// The full names of all keys, and of the tables whose keys are free.
pub(super) fn all(defaults: &Dict) -> Vec<String> {
    fn collect(dict: &Dict, path: &str, into: &mut Vec<String>) {
        for (key, value) in dict {
            let name = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            match value {
                Value::Dict(_, inner) if !inner.is_empty() => collect(inner, &name, into),
                _ => into.push(name),
            }
        }
    }
    let mut keys = Vec::new();
    collect(defaults, "", &mut keys);
    keys
}

/// The environment variable of a key.
pub(super) fn variable(key: &str, separator: &str) -> String {
    format!(
        "{PREFIX}{}",
        key.replace('.', separator).to_ascii_uppercase()
    )
}
