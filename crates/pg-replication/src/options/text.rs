//! Takes a connection string apart: a URL or `key=value` pairs, as libpq reads them.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio_postgres::Config;

use super::invalid::InvalidOptions;
use super::parameter::{self, Parameter};

/// A parameter and its value, decoded.
type Setting = (&'static Parameter, String);

/// What `tokio_postgres` understood, and the parameters that it doesn't know.
pub(super) struct Parsed {
    pub(super) config: Config,
    pub(super) ours: Vec<(&'static str, String)>,
}

pub(super) fn parse(text: &str) -> Result<Parsed, InvalidOptions> {
    let text = text.trim();
    let is_url = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    let (base, settings) = if is_url {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        (Some(base), query_settings(query)?)
    } else {
        (None, pair_settings(text)?)
    };
    for (parameter, value) in settings.iter().filter(|(parameter, _)| !parameter.ours) {
        let refused = InvalidOptions::Value {
            parameter: parameter.name,
            allowed: parameter.allowed,
        };
        parse_pairs(&[(parameter, value.clone())]).map_err(|_| refused)?;
    }
    let (ours, theirs): (Vec<Setting>, Vec<Setting>) = settings
        .into_iter()
        .partition(|(parameter, _)| parameter.ours);
    let config = match base {
        Some(base) => parse_url(base, &theirs),
        None => parse_pairs(&theirs),
    };
    Ok(Parsed {
        config: config.map_err(|_| InvalidOptions::Url)?,
        ours: ours
            .into_iter()
            .map(|(parameter, value)| (parameter.name, value))
            .collect(),
    })
}

fn parse_pairs(settings: &[Setting]) -> Result<Config, tokio_postgres::Error> {
    let quote = |value: &str| value.replace('\\', r"\\").replace('\'', r"\'");
    let pairs: Vec<String> = settings
        .iter()
        .map(|(parameter, value)| format!("{}='{}'", parameter.name, quote(value)))
        .collect();
    pairs.join(" ").parse()
}

/// The query is encoded anew, as its values may hold an `@`, which the URL parser would take for the end of
/// user and password.
fn parse_url(base: &str, settings: &[Setting]) -> Result<Config, tokio_postgres::Error> {
    let pairs: Vec<String> = settings
        .iter()
        .map(|(parameter, value)| {
            format!(
                "{}={}",
                parameter.name,
                utf8_percent_encode(value, NON_ALPHANUMERIC)
            )
        })
        .collect();
    format!("{base}?{}", pairs.join("&")).parse()
}

fn query_settings(query: &str) -> Result<Vec<Setting>, InvalidOptions> {
    let mut settings = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let position = settings.len();
        let syntax = |problem| InvalidOptions::Syntax { problem, position };
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| syntax("a parameter without \"=\""))?;
        let value = percent_decode_str(value)
            .decode_utf8()
            .map_err(|_| syntax("text that is not UTF-8"))?;
        settings.push((known(name, &settings)?, value.into_owned()));
    }
    Ok(settings)
}

fn pair_settings(text: &str) -> Result<Vec<Setting>, InvalidOptions> {
    let mut settings = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let position = settings.len();
        let syntax = |problem| InvalidOptions::Syntax { problem, position };
        let end = rest
            .find(|c: char| c == '=' || c.is_whitespace())
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let after = after.trim_start().strip_prefix('=').ok_or_else(|| {
            syntax("a name without \"=\" (a value with spaces needs single quotes)")
        })?;
        let (value, after) =
            value(after.trim_start()).ok_or_else(|| syntax("a quote that is not closed"))?;
        settings.push((known(name, &settings)?, value));
        rest = after.trim_start();
    }
    Ok(settings)
}

/// The value at the start of `text`, unquoted, and the rest.
fn value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            space if !quoted && space.is_whitespace() => return Some((value, &text[at..])),
            other => value.push(other),
        }
    }
    (!quoted).then_some((value, ""))
}

/// What follows a password may be its second half, after a space or `&` that ought to be quoted; it isn't shown.
fn known(name: &str, before: &[Setting]) -> Result<&'static Parameter, InvalidOptions> {
    let word = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let after_password = before
        .last()
        .is_some_and(|(parameter, _)| parameter.name == "password");
    parameter::find(name).ok_or_else(|| InvalidOptions::UnknownParameter {
        name: if word && !after_password {
            name.to_owned()
        } else {
            "(not shown)".to_owned()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        parse(text).map_err(|e| e.to_string()).unwrap().config
    }

    #[test]
    fn reads_pairs_with_quotes_and_escapes() {
        let config = config(r"host = db user='o\'brien' password='two words \\ one' dbname=app");
        assert_eq!(config.get_user(), Some("o'brien"));
        assert_eq!(config.get_password(), Some(&br"two words \ one"[..]));
        assert_eq!(config.get_dbname(), Some("app"));
    }

    #[test]
    fn takes_an_at_sign_in_the_query_for_no_credentials() {
        let config = config("postgres://db/app?user=relay&password=p@s%26s");
        assert_eq!(config.get_user(), Some("relay"));
        assert_eq!(config.get_password(), Some(&b"p@s&s"[..]));
        assert_eq!(config.get_dbname(), Some("app"));
    }

    #[test]
    fn keeps_the_parameters_that_only_libpq_knows() {
        for text in [
            "postgres://db/app?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&user=u",
            "host=db dbname=app sslmode=verify-full sslrootcert=/etc/ca.pem user=u",
        ] {
            let parsed = parse(text).map_err(|e| e.to_string()).unwrap();
            let ours = [("sslmode", "verify-full"), ("sslrootcert", "/etc/ca.pem")];
            assert_eq!(
                parsed.ours,
                ours.map(|(name, value)| (name, value.to_owned()))
            );
            assert_eq!(parsed.config.get_user(), Some("u"));
        }
    }

    #[test]
    fn names_the_parameter_that_is_wrong_and_what_is_allowed() {
        for text in ["postgres://db/app?port=tcp", "host=db port=tcp"] {
            let error = parse(text).err().unwrap().to_string();
            assert!(
                error.starts_with("port: ") && error.contains("65535"),
                "{error}"
            );
        }
        let error = parse("host=db sslfoo=1").err().unwrap().to_string();
        assert!(
            error.contains("\"sslfoo\"") && error.contains("sslmode"),
            "{error}"
        );
    }

    #[test]
    fn never_shows_a_part_of_the_password() {
        for text in [
            "host=db password=correct horse",
            "host=db password=correct horse=battery",
            "host=db password='correct horse",
            "postgres://u:horse/1@db:nope/app",
            "postgres://u:horse@db:nope/app",
            "postgres://u:correct?horse@db/app",
            "postgres://db/app?password=correct&horse=1",
            "postgres://db/app?password=correct&horse",
            "password=horse port=x",
        ] {
            let error = parse(text)
                .err()
                .unwrap_or_else(|| panic!("{text} was taken"));
            assert!(!error.to_string().contains("horse"), "{text}: {error}");
            assert!(!format!("{error:?}").contains("horse"), "{text}: {error:?}");
        }
    }
}
