//! `cdc-relay explain`.

use crate::cli::Explain;
use crate::error_code::ErrorCode;
use crate::failure::Failure;
use crate::terminal::say;

/// Prints the page of a code, or the list of codes.
pub(super) fn run(arguments: &Explain) -> Result<(), Failure> {
    let Some(text) = &arguments.code else {
        list();
        return Ok(());
    };
    match text.parse::<ErrorCode>() {
        Ok(code) => {
            say(code.page().trim_end());
            Ok(())
        }
        Err(_) => {
            list();
            Err(Failure::new(
                ErrorCode::Argument,
                format!("{text:?} is not an error code of this version"),
                "choose one of the codes listed above",
            ))
        }
    }
}

fn list() {
    for code in ErrorCode::ALL {
        say(format!("{code}  {}", code.title()));
    }
}
