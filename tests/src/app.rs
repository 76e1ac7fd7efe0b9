//! A service of the examples, as a child process.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::admin::Admin;
use crate::child::{Child, Exit, Log};
use crate::http::{self, Response};
use crate::process::Pid;
use crate::relay;
use crate::wait::Wait;

/// How long a service may take until it is well.
const START: Duration = Duration::from_secs(30);

/// How long a request may take; one that waits for Kafka takes seconds.
const ANSWER: Duration = Duration::from_secs(15);

/// How long a service may take to stop.
const STOP: Duration = Duration::from_secs(20);

/// A service that listens on a port of its own. Dropping it kills it, and only it.
#[derive(Debug)]
pub struct App {
    child: Child,
    address: SocketAddr,
}

impl App {
    /// Starts `program`, which is built beside the binary, with these variables and no others, and waits until it is well.
    ///
    /// # Errors
    /// Fails if it cannot be run, ends, or is not well within 30 s.
    pub async fn start(program: &str, settings: &[(&str, String)], log: &Log) -> Result<Self> {
        let address = Admin::on_free_port()?.0;
        let mut command = Command::new(relay::program_beside(program)?);
        command.env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.env("LISTEN", address.to_string());
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        let child = Child::start(program, command, log)?;
        let mut app = Self { child, address };
        app.until_well(program).await?;
        Ok(app)
    }

    /// Where it answers to HTTP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.child.pid()
    }

    /// `GET path`, which must be answered with JSON.
    ///
    /// # Errors
    /// Fails if nobody answers within 15 s, or with anything but success.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.request("GET", path, None).await?;
        json(path, &answer)
    }

    /// `POST path` with JSON, which must be answered with JSON.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.request("POST", path, Some(body)).await?;
        json(path, &answer)
    }

    /// Any request, whatever the answer.
    ///
    /// # Errors
    /// Fails if nobody answers within 15 s.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response> {
        http::request(self.address, method, path, body, ANSWER).await
    }

    /// Ends it without any warning, and waits until it is gone.
    ///
    /// # Errors
    /// Fails if it had ended by itself.
    pub async fn kill_9(self) -> Result<Exit> {
        self.child.kill_9().await
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// Fails if it had ended by itself, takes more than 20 s, or says that it went wrong.
    pub async fn sigterm(self) -> Result<Exit> {
        let exit = self.child.sigterm(STOP).await?;
        ensure!(exit.status.success(), "it ended with {}", exit.status);
        Ok(exit)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// Fails if it does not within 20 s.
    pub async fn until_ended(self) -> Result<()> {
        self.child.wait(STOP).await.map(drop)
    }

    async fn until_well(&mut self, program: &str) -> Result<()> {
        let wait = Wait::new(START, "the service to be well");
        loop {
            ensure!(
                self.child.is_running(),
                "{program} has ended by itself:\n{}",
                self.child.log().tail(20)
            );
            match self.request("GET", "/healthz", None).await {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(answer) => wait.again(answer.status).await?,
                Err(error) => wait.again(format!("{program}: {error:#}")).await?,
            }
        }
    }
}

fn json(path: &str, answer: &Response) -> Result<Value> {
    let Response { status, body } = answer;
    ensure!((200..300).contains(status), "{path}: {status}: {body}");
    serde_json::from_str(body).with_context(|| format!("{path}: {body}"))
}
