//! How the process ends: one number per kind of end, so that a supervisor can tell them apart.

use std::process::ExitCode;

/// The exit status of the process.
///
/// The numbers are those of `sysexits.h`, and a service manager may rely on them: a restart helps after
/// [`Exit::Refused`] once the cause is repaired, never after [`Exit::Usage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: did what was asked, or stopped cleanly.
    Success,
    /// 64: the configuration or the command line is wrong.
    Usage,
    /// 69: PostgreSQL or Kafka refuses, and trying again will not change it.
    Refused,
    /// 70: a bug in cdc-relay.
    Bug,
}

impl Exit {
    /// The number that the operating system sees.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Usage => 64,
            Self::Refused => 69,
            Self::Bug => 70,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}
