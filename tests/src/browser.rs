//! A headless Chromium, to see a page as its reader does.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long the browser may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 16 * 1024 * 1024;

/// What the programs are called.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Without what a browser does for itself: updates, accounts, first words.
const FLAGS: &str = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage \
    --window-size=1200,900 --remote-debugging-pipe";

/// One page in a browser of its own, which is spoken to over pipes in the DevTools protocol.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Option<String>,
    number: u64,
    _profile: TempDir,
}

impl Browser {
    /// The browser that is installed, if there is one.
    pub fn find() -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        let dirs: Vec<_> = std::env::split_paths(&path).collect();
        let programs = PROGRAMS
            .iter()
            .flat_map(|program| dirs.iter().map(move |dir| dir.join(program)));
        programs.into_iter().find(|program| program.exists())
    }

    /// Opens `url`.
    ///
    /// # Errors
    /// Fails if the browser does not start, or does not answer within 30 s.
    pub async fn open(program: &PathBuf, url: &str) -> Result<Self> {
        let profile = tempfile::Builder::new().prefix("cdc-e2e.").tempdir()?;
        // The protocol is spoken on the descriptors 3 and 4.
        let script =
            format!("exec \"$0\" {FLAGS} --user-data-dir=\"$1\" 3<&0 4>&1 </dev/null >/dev/null");
        let mut process = Command::new("sh")
            .args(["-c", &script])
            .arg(program)
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // It has processes of its own, which are to end with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let requests = process.stdin.take().context("stdin is piped")?;
        let answers = process.stdout.take().context("stdout is piped")?;
        let mut browser = Self {
            process,
            requests,
            answers: BufReader::new(answers),
            session: None,
            number: 0,
            _profile: profile,
        };
        let target = browser
            .call("Target.createTarget", json!({ "url": url }))
            .await?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach).await?;
        let session = attached["sessionId"].as_str().context("no session")?;
        browser.session = Some(session.to_owned());
        Ok(browser)
    }

    /// The value of a JavaScript expression in the page.
    ///
    /// # Errors
    /// Fails if the browser does not answer within 30 s, or the expression throws.
    pub async fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let request = json!({ "expression": expression, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", request).await?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            bail!("{expression}: {thrown}");
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Ends it, and waits until it is gone.
    ///
    /// # Errors
    /// Fails if it is not gone within 30 s.
    pub async fn close(mut self) -> Result<()> {
        self.kill_group();
        tokio::time::timeout(ANSWER, self.process.wait()).await??;
        Ok(())
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        let answered = tokio::time::timeout(ANSWER, self.exchange(method, params)).await;
        answered.with_context(|| format!("{method}: the browser does not answer"))?
    }

    async fn exchange(&mut self, method: &str, params: Value) -> Result<Value> {
        self.number += 1;
        let mut request = json!({ "id": self.number, "method": method, "params": params });
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        let mut message = request.to_string().into_bytes();
        message.push(0);
        self.requests.write_all(&message).await?;
        loop {
            let mut message = Vec::new();
            let mut bounded = (&mut self.answers).take(MAX_ANSWER);
            bounded.read_until(0, &mut message).await?;
            if message.pop() != Some(0) {
                bail!("{method}: the browser has ended");
            }
            let mut message: Value = serde_json::from_slice(&message)?;
            // Between answers it tells what happens in the page.
            if message["id"] == self.number {
                if let Some(error) = message.get("error") {
                    bail!("{method}: {error}");
                }
                return Ok(message["result"].take());
            }
        }
    }

    fn kill_group(&self) {
        if let Some(leader) = self.process.id() {
            let group = format!("-{leader}");
            // It may have ended.
            let kill = std::process::Command::new("kill")
                .args(["-s", "KILL", "--", &group])
                .output();
            drop(kill);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.kill_group();
    }
}
