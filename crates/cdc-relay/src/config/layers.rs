//! Puts the layers on top of each other and remembers where each value came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::value::{Dict, Tag, Value};

use super::setting::{Document, Setting, typed};
use super::{Config, Invalid, mistake, value_file};
use crate::cli::Assignment;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

const DEFAULTS: &str = include_str!("../../../../config/default.toml");
const PREFIX: &str = "CDC_";
/// Tables whose keys are librdkafka's, not ours.
const FREE_TABLES: [&[&str]; 3] = [
    &["kafka", "client"],
    &["kafka", "producer"],
    &["kafka", "consumer"],
];

/// Keys without a usable default, and what they must do.
const REQUIRED: [(&str, &str); 2] = [
    (
        "postgres.url",
        "name the database, such as postgres://relay@localhost/app",
    ),
    ("kafka.brokers", "name at least one broker as host:port"),
];

/// The layers of the configuration, with every key known to exist.
#[derive(Clone)]
pub(crate) struct Layers {
    figment: Figment,
    file: Option<ConfigFile>,
}

/// A configuration file, kept to say on which line a mistake is.
#[derive(Clone)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Layers {
    /// Defaults, then `file`, then those of `environment` that start with `CDC_` and name a key, then `flags`.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is not TOML; a key does not exist.
    pub(crate) fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Assignment],
    ) -> Result<Self, Failure> {
        let defaults = defaults()?;
        let mut layers = Self {
            figment: Figment::new(),
            file: None,
        };
        layers.figment = layers.figment.merge(Document {
            dict: defaults.clone(),
            origin: "default".to_owned(),
        });
        if let Some(path) = file {
            layers.add_file(path, &defaults)?;
        }
        let environment: BTreeMap<_, _> = environment.into_iter().collect();
        for (name, value) in &environment {
            layers.add_variable(name, value, &environment, &defaults)?;
        }
        for flag in flags {
            let path: Vec<String> = split_key(&flag.key);
            let origin = "flag --set".to_owned();
            layers.add_setting(path, &flag.value, origin, &defaults)?;
        }
        Ok(layers)
    }

    fn add_file(&mut self, path: &Path, defaults: &Dict) -> Result<(), Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(
                ErrorCode::ConfigFile,
                format!("cannot read the configuration file {}", path.display()),
                "check the path given with --config or CDC_CONFIG, and who may read it",
            )
            .caused_by(error)
        })?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            Failure::new(
                ErrorCode::ConfigFile,
                format!("the configuration file {} is not TOML: {}", path.display(), mistake::in_toml(&error, &text)),
                "repair the line; config/default.toml in the source tree, or `cdc-relay config`, shows the form",
            )
        })?;
        let dict = Value::serialize(table)
            .ok()
            .and_then(Value::into_dict)
            .ok_or_else(|| {
                Failure::internal("a TOML table has another form than figment expects")
            })?;
        let file = ConfigFile {
            path: path.to_path_buf(),
            text,
        };
        check_keys(&dict, defaults, &mut Vec::new(), &|key| {
            mistake::file_origin(&file, key)
        })?;
        let origin = format!("file {}", path.display());
        self.figment = std::mem::take(&mut self.figment).merge(Document { dict, origin });
        self.file = Some(file);
        Ok(())
    }

    /// Variables without `__` are not settings (`CDC_LOG`), unless they are a setting with `_` for `__`. One that ends with
    /// `_FILE` names a file with the value.
    fn add_variable(
        &mut self,
        name: &str,
        value: &str,
        environment: &BTreeMap<String, String>,
        defaults: &Dict,
    ) -> Result<(), Failure> {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            return Ok(());
        };
        if !rest.contains("__") {
            return match known_keys(defaults)
                .into_iter()
                .find(|key| variable(key, "_") == name)
            {
                Some(key) => Err(mistake::single_underscore(name, &variable(&key, "__"))),
                None => Ok(()),
            };
        }
        let parts: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
        let path = match FREE_TABLES
            .iter()
            .find(|free| parts.len() > free.len() && starts_with(&parts, free))
        {
            Some(free) => {
                let mut path = parts[..free.len()].to_vec();
                path.push(parts[free.len()..].join("_").replace('_', "."));
                path
            }
            None => parts,
        };
        let origin = format!("env {name}");
        let Some(key) = value_file::key_of(&path, defaults) else {
            return self.add_setting(path, value, origin, defaults);
        };
        let direct = name.strip_suffix(value_file::SUFFIX);
        if let Some(direct) = direct.filter(|direct| environment.contains_key(*direct)) {
            return Err(mistake::given_twice(&key.join("."), direct, name));
        }
        let text = value_file::read(Path::new(value), name)?;
        self.add_setting(key, &text, origin, defaults)
    }

    fn add_setting(
        &mut self,
        path: Vec<String>,
        text: &str,
        origin: String,
        defaults: &Dict,
    ) -> Result<(), Failure> {
        let value = typed(text, find(defaults, &path));
        let setting = Setting {
            path,
            value,
            origin,
        };
        let dict = figment::Provider::data(&setting)
            .ok()
            .and_then(|mut profiles| profiles.remove(&figment::Profile::Default))
            .unwrap_or_default();
        check_keys(&dict, defaults, &mut Vec::new(), &|_| {
            setting.origin.clone()
        })?;
        self.figment = std::mem::take(&mut self.figment).merge(setting);
        Ok(())
    }

    pub(super) fn extract(&self) -> Result<Config, Failure> {
        for (key, must) in REQUIRED {
            let given = self.figment.find_value(key).ok();
            if given
                .as_ref()
                .and_then(Value::as_str)
                .is_some_and(|text| text.trim().is_empty())
            {
                return Err(mistake::missing(key, must, &variable(key, "__")));
            }
        }
        self.figment.extract::<Config>().map_err(|error| {
            // An item of a list came from where the list came from.
            let path: Vec<&str> = error
                .path
                .iter()
                .map(String::as_str)
                .filter(|part| part.parse::<usize>().is_err())
                .collect();
            let origin = self.origin_of(&split_key(&path.join(".")));
            mistake::invalid_value(&error, &origin)
        })
    }

    /// The failure for a value that its section refuses.
    pub(super) fn explain(&self, invalid: &Invalid) -> Failure {
        let origin = self.origin_of(&split_key(invalid.key));
        mistake::refused(invalid, &origin)
    }

    /// All values, each with a tag for [`Layers::origin`].
    pub(super) fn values(&self) -> Dict {
        self.figment.extract::<Dict>().unwrap_or_default()
    }

    /// Where the value with this tag came from: `default`, `file PATH`, `env NAME` or `flag --set`.
    pub(super) fn origin(&self, tag: Tag) -> String {
        self.figment
            .get_metadata(tag)
            .map_or_else(|| "default".to_owned(), |found| found.name.to_string())
    }

    /// Like [`Layers::origin`], with the line in the file.
    fn origin_of(&self, path: &[String]) -> String {
        // Of what is inside of a list only the list is known.
        let origin = (1..=path.len())
            .rev()
            .find_map(|length| self.figment.find_metadata(&path[..length].join(".")))
            .map_or_else(|| "default".to_owned(), |found| found.name.to_string());
        match &self.file {
            Some(file) if origin.starts_with("file ") => mistake::file_origin(file, path),
            _ => origin,
        }
    }
}

/// The defaults as a tree; they are part of the program, so a mistake in them is a bug.
pub(super) fn defaults() -> Result<Dict, Failure> {
    let bug =
        |error: &dyn std::fmt::Display| Failure::internal(format!("config/default.toml: {error}"));
    let table: toml::Table = DEFAULTS.parse().map_err(|error| bug(&error))?;
    let value = Value::serialize(table).map_err(|error| bug(&error))?;
    value.into_dict().ok_or_else(|| bug(&"not a table"))
}

/// `kafka.client.security.protocol` is the key `security.protocol` of table `kafka.client`.
fn split_key(key: &str) -> Vec<String> {
    let parts: Vec<String> = key.split('.').map(str::to_owned).collect();
    match FREE_TABLES
        .iter()
        .find(|free| parts.len() > free.len() && starts_with(&parts, free))
    {
        Some(free) => {
            let mut path = parts[..free.len()].to_vec();
            path.push(parts[free.len()..].join("."));
            path
        }
        None => parts,
    }
}

fn starts_with(path: &[String], prefix: &[&str]) -> bool {
    path.len() >= prefix.len()
        && path
            .iter()
            .zip(prefix)
            .all(|(part, expected)| part == expected)
}

pub(super) fn is_free(path: &[String]) -> bool {
    FREE_TABLES.iter().any(|free| starts_with(path, free))
}

pub(super) fn find<'a>(dict: &'a Dict, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let value = dict.get(first)?;
    if rest.is_empty() {
        Some(value)
    } else {
        find(value.as_dict()?, rest)
    }
}

/// Refuses the first key of `dict` that the defaults do not have.
fn check_keys(
    dict: &Dict,
    known: &Dict,
    path: &mut Vec<String>,
    origin: &dyn Fn(&[String]) -> String,
) -> Result<(), Failure> {
    for (key, value) in dict {
        path.push(key.clone());
        match (known.get(key), value) {
            (None, _) => {
                let candidates = known_keys(&defaults()?);
                return Err(mistake::unknown_key(
                    &path.join("."),
                    &origin(path),
                    &candidates,
                ));
            }
            (Some(Value::Dict(_, inner_known)), Value::Dict(_, inner)) if !is_free(path) => {
                check_keys(inner, inner_known, path, origin)?;
            }
            _ => {}
        }
        path.pop();
    }
    Ok(())
}

/// The full names of all keys, and of the tables whose keys are free.
fn known_keys(defaults: &Dict) -> Vec<String> {
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
fn variable(key: &str, separator: &str) -> String {
    format!(
        "{PREFIX}{}",
        key.replace('.', separator).to_ascii_uppercase()
    )
}

#[cfg(test)]
mod tests;
