//! `CDC_SECTION__KEY_FILE`: a variable that names a file with the value. Containers get their secrets in this way.

use std::path::Path;

use figment::value::Dict;

use super::key::{find, is_free};
use super::secret::is_secret_property;
use crate::error_code::ErrorCode;
use crate::failure::Failure;

/// What the name of such a variable ends with.
pub(super) const SUFFIX: &str = "_FILE";

/// The key whose value is in a file, if `path` is the key of such a variable: `postgres.url` for `postgres.url_file`.
///
/// A key that has such a name itself is that key. Of librdkafka's properties only those that may hold a secret can be in
/// a file: some others have names of this form.
pub(super) fn key_of(path: &[String], defaults: &Dict) -> Option<Vec<String>> {
    let (last, section) = path.split_last()?;
    let is_key =
        |key: &[String]| find(defaults, key).is_some_and(|value| value.as_dict().is_none());
    let key = |name: &str| [section, &[name.to_owned()]].concat();
    if is_free(path) {
        let property = last.strip_suffix(".file")?;
        return is_secret_property(property).then(|| key(property));
    }
    let key = key(last.strip_suffix("_file")?);
    (!is_key(path) && is_key(&key)).then_some(key)
}

/// The text of the file, without the line break at its end that an editor leaves.
///
/// # Errors
///
/// [`ErrorCode::ConfigFile`]: it cannot be read, or is not text. What it contains is not shown.
pub(super) fn read(path: &Path, variable: &str) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(
            ErrorCode::ConfigFile,
            format!(
                "cannot read the file {} that the environment variable {variable} names",
                path.display()
            ),
            "check the path and who may read it; a container's user must be able to read a mounted secret",
        )
        .caused_by(error)
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
