//! Prints the effective configuration, with the origin of each value and without secrets.

use figment::value::{Dict, Value};

use super::Layers;
use super::secret::{MASK, is_secret_property};

/// The sections in the order of `config/default.toml`.
const SECTIONS: [&str; 7] = [
    "postgres", "kafka", "relay", "outbox", "notify", "recover", "admin",
];

/// TOML that, its masked values apart, gives the same configuration when used as a file.
pub(crate) fn effective(layers: &Layers) -> String {
    let values = layers.values();
    let mut out = String::new();
    for section in SECTIONS {
        if let Some(Value::Dict(_, dict)) = values.get(section) {
            table(layers, section, dict, &mut out);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn table(layers: &Layers, name: &str, dict: &Dict, out: &mut String) {
    let free = matches!(name, "kafka.client" | "kafka.producer" | "kafka.consumer");
    out.push_str(&format!("[{name}]\n"));
    let mut rows = Vec::new();
    leaves(dict, "", free, &mut rows);
    let width = rows
        .iter()
        .map(|(key, value)| key.len() + value_text(name, key, value).len())
        .max()
        .unwrap_or(0);
    for (key, value) in &rows {
        let text = value_text(name, key, value);
        let shown = if free {
            format!("{key:?}")
        } else {
            key.clone()
        };
        let pad = width.saturating_sub(key.len() + text.len());
        out.push_str(&format!(
            "{shown} = {text}{:pad$}  # {}\n",
            "",
            layers.origin(value.tag())
        ));
    }
    out.push('\n');
    if !free {
        for (key, value) in dict {
            if let Value::Dict(_, inner) = value {
                table(layers, &format!("{name}.{key}"), inner, out);
            }
        }
    }
}

/// The values of a table; those of nested tables only where nesting is just another way to write a dot.
fn leaves<'a>(dict: &'a Dict, prefix: &str, free: bool, into: &mut Vec<(String, &'a Value)>) {
    for (key, value) in dict {
        let name = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Dict(_, inner) if free => leaves(inner, &name, free, into),
            Value::Dict(..) => {}
            _ => into.push((name, value)),
        }
    }
}

fn value_text(table: &str, key: &str, value: &Value) -> String {
    let masked = match table {
        "postgres" => {
            return toml_text(&Value::from(masked_url(value.as_str().unwrap_or_default())));
        }
        "kafka.client" | "kafka.producer" | "kafka.consumer" => is_secret_property(key),
        "notify" => key == "secret_keys" && !is_empty(value),
        "recover.alert" => key == "webhook" && !is_empty(value),
        _ => false,
    };
    if masked {
        toml_text(&Value::from(MASK))
    } else {
        toml_text(value)
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(_, text) => text.is_empty(),
        Value::Array(_, list) => list.is_empty(),
        _ => false,
    }
}

fn toml_text(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| "\"\"".to_owned(), |value| value.to_string())
}

/// The connection string without its password, or only the mask when its form is not certain.
fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return masked_pairs(url);
    };
    let (address, query) = rest
        .split_once('?')
        .map_or((rest, None), |(address, query)| (address, Some(query)));
    // A password may hold an @ that somebody forgot to encode: the last one counts.
    let address = match address.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:{MASK}@{host}"),
            None => address.to_owned(),
        },
        None => address.to_owned(),
    };
    match query {
        Some(query) if query.to_ascii_lowercase().contains("password") => {
            format!("{scheme}://{address}?{MASK}")
        }
        Some(query) => format!("{scheme}://{address}?{query}"),
        None => format!("{scheme}://{address}"),
    }
}

/// `key=value` pairs are shown whole or not at all: quotes make it hard to say where a password ends.
fn masked_pairs(pairs: &str) -> String {
    if pairs.to_ascii_lowercase().contains("pass") {
        MASK.to_owned()
    } else {
        pairs.to_owned()
    }
}

#[cfg(test)]
mod tests;
