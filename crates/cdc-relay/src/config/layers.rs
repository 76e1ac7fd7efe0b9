//! Puts the layers on top of each other and remembers where each value came from.

use std::collections::BTreeMap;
use std::path::Path;

use figment::Figment;
use figment::value::{Dict, Tag, Value};

use super::file::ConfigFile;
use super::setting::{Document, Setting, typed};
use super::{Config, Invalid, key, mistake, value_file};
use crate::cli::Assignment;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

const DEFAULTS: &str = include_str!("../../../../config/default.toml");
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
            let path: Vec<String> = key::path_of(&flag.key);
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
        check_keys(&dict, defaults, &mut Vec::new(), &|key| file.origin(key))?;
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
        let Some(rest) = name.strip_prefix(key::PREFIX) else {
            return Ok(());
        };
        if !rest.contains("__") {
            return match key::all(defaults)
                .into_iter()
                .find(|key| key::variable(key, "_") == name)
            {
                Some(key) => Err(mistake::single_underscore(name, &key::variable(&key, "__"))),
                None => Ok(()),
            };
        }
        let path = key::path_of_variable(rest);
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
        let value = typed(text, key::find(defaults, &path));
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
                return Err(mistake::missing(key, must, &key::variable(key, "__")));
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
            let origin = self.origin_of(&key::path_of(&path.join(".")));
            mistake::invalid_value(&error, &origin)
        })
    }

    /// The failure for a value that its section refuses.
    pub(super) fn explain(&self, invalid: &Invalid) -> Failure {
        let origin = self.origin_of(&key::path_of(invalid.key));
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
            Some(file) if origin.starts_with("file ") => file.origin(path),
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
                let candidates = key::all(&defaults()?);
                return Err(mistake::unknown_key(
                    &path.join("."),
                    &origin(path),
                    &candidates,
                ));
            }
            (Some(Value::Dict(_, inner_known)), Value::Dict(_, inner)) if !key::is_free(path) => {
                check_keys(inner, inner_known, path, origin)?;
            }
            _ => {}
        }
        path.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
