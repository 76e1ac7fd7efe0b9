//! JSON as Debezium's libraries read and write it, and without its white space.

mod minify;
mod node;
mod parse;
mod string;

pub(crate) use self::minify::minify;
pub(crate) use self::node::{Node, Object};
pub(crate) use self::parse::parse;
pub(crate) use self::string::write_string;

/// The text is not JSON, or is beyond the limits of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotJson;
