//! A configuration file.

use std::path::PathBuf;

use super::lines::line_of;

/// A configuration file, kept to say on which line a mistake is.
#[derive(Clone)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl ConfigFile {
    /// The file and, if it can be found, the line of a key.
    pub(super) fn origin(&self, path: &[String]) -> String {
        match line_of(&self.text, path) {
            Some(line) => format!("file {}, line {line}", self.path.display()),
            None => format!("file {}", self.path.display()),
        }
    }
}
