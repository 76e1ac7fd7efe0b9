//! Colours and marks, only where a person looks.

use std::io::{self, IsTerminal, Write};

/// Whether text may carry colour and marks beyond ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    fancy: bool,
}

impl Style {
    /// Neither colour nor marks beyond ASCII.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { fancy: false };

    /// Fancy when standard output is a terminal and `NO_COLOR` is not set.
    pub(crate) fn of_stdout() -> Self {
        Self {
            fancy: io::stdout().is_terminal() && colours_wanted(),
        }
    }

    /// Fancy when standard error is a terminal and `NO_COLOR` is not set.
    pub(crate) fn of_stderr() -> Self {
        Self {
            fancy: io::stderr().is_terminal() && colours_wanted(),
        }
    }

    /// True when colour is allowed.
    pub(crate) fn is_fancy(self) -> bool {
        self.fancy
    }

    /// For what failed.
    pub(crate) fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// For what a reader should look at.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    /// For what is in order.
    pub(crate) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// For headings.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.fancy {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Writes one line to standard output. A reader that went away (`| head`) is not an error.
pub(crate) fn say(line: impl AsRef<str>) {
    let written = writeln!(io::stdout().lock(), "{}", line.as_ref());
    // Nobody is left to be told.
    drop(written);
}

fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
