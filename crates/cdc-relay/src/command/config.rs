//! `cdc-relay config`.

use crate::config::{Config, Layers, effective};
use crate::failure::Failure;
use crate::terminal::say;

/// Prints the effective configuration, then fails if it could not be used: the listing shows why.
pub(super) fn run(layers: &Layers) -> Result<(), Failure> {
    say(effective(layers));
    Config::from_layers(layers).map(drop)
}
