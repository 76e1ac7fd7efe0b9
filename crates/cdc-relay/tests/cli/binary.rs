//! Runs the binary.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// No command of these tests takes longer.
const LIMIT: Duration = Duration::from_secs(90);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary with nothing of this process's settings.
pub(crate) fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cdc-relay"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CDC_") || text.starts_with("PG") || text == "RUST_LOG" {
            command.env_remove(&name);
        }
    }
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs the binary to its end.
pub(crate) async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let output = timeout(LIMIT, command(arguments, environment).output())
        .await
        .unwrap_or_else(|_| panic!("cdc-relay {arguments:?} did not end within {LIMIT:?}"))
        .unwrap();
    Ended {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ended {
    /// Asserts success and gives what was printed.
    #[track_caller]
    pub(crate) fn succeeded(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.stdout
    }

    /// Asserts an exit status and an error code, and that the error says what to do. Gives the report.
    #[track_caller]
    pub(crate) fn failed(self, status: i32, code: &str) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert!(
            self.stderr.contains(&format!("error[{code}]: ")),
            "{self:?}"
        );
        let help = self
            .stderr
            .lines()
            .find_map(|line| line.strip_prefix("help: "));
        assert!(
            help.is_some_and(|help| help.len() > 10),
            "no remedy: {self:?}"
        );
        self.stderr
    }
}
