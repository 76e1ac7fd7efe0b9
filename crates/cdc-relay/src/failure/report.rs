//! Prints a failure on the terminal, once.

use std::error::Error;
use std::io::Write;

use super::Failure;
use crate::terminal::Style;

impl Failure {
    /// Writes the report: `error[CODE]`, the causes, `help` and where the page is.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub(crate) fn report(&self, out: &mut dyn Write, style: Style) -> std::io::Result<()> {
        let label = style.red(&format!("error[{}]", self.code()));
        writeln!(out, "{label}: {self}")?;
        for cause in causes(self) {
            writeln!(out, "  caused by: {cause}")?;
        }
        writeln!(out, "{}: {}", style.bold("help"), self.remedy())?;
        writeln!(out, "more: cdc-relay explain {}", self.code())
    }
}

/// The chain below `error`, outermost first. A cause that only repeats the one above is left out.
pub(super) fn causes(error: &dyn Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last() != Some(&text) {
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_code::ErrorCode;

    #[test]
    fn says_what_why_and_what_to_do() {
        let cause = std::io::Error::other("disk on fire");
        let failure = Failure::new(
            ErrorCode::ConfigFile,
            "cannot read relay.toml",
            "check the path",
        )
        .caused_by(cause);
        let mut out = Vec::new();
        failure.report(&mut out, Style::PLAIN).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "error[CDC0003]: cannot read relay.toml\n  caused by: disk on fire\nhelp: check the path\n\
             more: cdc-relay explain CDC0003\n"
        );
    }
}
