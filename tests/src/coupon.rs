//! The coupon service of `examples/coupon`, as a child process.

mod crowd;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::Scenario;
use crate::admin::Admin;
use crate::child::{Child, Exit, Log};
use crate::http::{Response, request};
use crate::relay::program_beside;
use crate::wait::{Look, until};

pub use crowd::{Crowd, Patience};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// How long the service may take to get anywhere.
const START: Duration = Duration::from_secs(60);

/// How the service is configured: by the environment, as in a container. Those with the same options share everything.
#[derive(Debug, Clone)]
pub struct CouponOptions {
    environment: BTreeMap<String, String>,
    listen: Admin,
    name: String,
}

/// A running coupon service. Dropping it kills it, and only it.
#[derive(Debug)]
pub struct CouponService {
    child: Child,
    address: SocketAddr,
}

/// The id of a user who applies.
pub type User = i64;

/// What an applicant was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// There will be a coupon with this number.
    Accepted(i64),
    /// That was said before.
    AlreadyApplied(i64),
    /// All coupons are gone.
    SoldOut,
}

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Requests of users with an odd id.
    Odd,
    /// All dead letters.
    DeadLetters,
}

impl CouponOptions {
    /// A service on the servers of `scenario`, with topics, groups and keys that no other test has.
    ///
    /// # Errors
    /// Fails if there is no Redis or no port.
    pub fn of(scenario: &Scenario) -> Result<Self> {
        let name = scenario.database().name().to_owned();
        let options = Self {
            environment: BTreeMap::new(),
            listen: Admin::on_free_port()?,
            name: name.clone(),
        };
        Ok(options
            .with("DATABASE_URL", scenario.database().url().to_string())
            .with("KAFKA_BROKERS", scenario.kafka_brokers())
            .with("REDIS_URL", scenario.redis_url()?)
            .with("REDIS_PREFIX", &name)
            .with("TOPIC", format!("{name}.coupon-create"))
            .with("GROUP", &name)
            // One that was killed and starts again is the same one.
            .with("INSTANCE_ID", &name)
            .with("RETRY_DELAY", "100ms"))
    }

    /// Sets a variable such as `COUPON_LIMIT`.
    #[must_use]
    pub fn with(mut self, variable: &str, value: impl Into<String>) -> Self {
        self.environment.insert(variable.to_owned(), value.into());
        self
    }

    /// It sends its events itself, and stores them for the relay of its scenario while Kafka takes none.
    #[must_use]
    pub fn guarded(self) -> Self {
        let (slot, topic) = (
            self.name.clone(),
            format!("{}.${{routedByValue}}", self.name),
        );
        self.with("MODE", "guarded")
            .with("RELAY_SLOT", slot)
            .with("RELAY_TOPIC", topic)
    }

    /// It is nobody in particular to its consumer groups.
    #[must_use]
    pub fn nameless(mut self) -> Self {
        self.environment.remove("INSTANCE_ID");
        self
    }

    /// Another instance of the same service, beside this one.
    ///
    /// # Errors
    /// Fails if there is no port.
    pub fn another_instance(&self) -> Result<Self> {
        let instance = format!("{}-2", self.name);
        Ok(Self {
            listen: Admin::on_free_port()?,
            ..self.clone().with("INSTANCE_ID", instance)
        })
    }

    /// The topic of the requests.
    pub fn topic(&self) -> String {
        format!("{}.coupon-create", self.name)
    }

    /// The topic of the dead letters.
    pub fn dead_letters(&self) -> String {
        let template = self.environment.get("DEAD_LETTER");
        let template = template.map_or("{topic}.DLT", String::as_str);
        template.replace("{topic}", &self.topic())
    }

    /// The group of the handler of dead letters, whose failures are stored.
    pub fn dead_letter_group(&self) -> String {
        format!("{}-dlt", self.name)
    }

    /// The value of `recover.consumer` that belongs to it.
    pub fn recover_consumer(&self) -> String {
        format!(
            "[{{ group = '{}', topics = ['{}'], dead_letter = '{{topic}}.failed' }}]",
            self.dead_letter_group(),
            self.dead_letters()
        )
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// Fails if there is no binary, or it does not answer within a minute.
    pub async fn start(&self, log: &Log) -> Result<CouponService> {
        let mut service = CouponService {
            child: Child::start("the coupon service", self.command()?, log)?,
            address: self.listen.0,
        };
        until(START, "the coupon service to answer", async || {
            ensure!(service.child.is_running(), "it has ended by itself");
            let is_well = Admin(service.address).is_healthy().await?;
            Ok(Look::when(is_well, "it is not well"))
        })
        .await?;
        Ok(service)
    }

    /// Runs `coupon-service reconcile`; what it found, by the words that it prints.
    ///
    /// # Errors
    /// Fails if it does.
    pub async fn reconcile(&self) -> Result<BTreeMap<String, i64>> {
        let output = self.run("reconcile").await?;
        let lines = output.lines();
        lines
            .map(|line| {
                let (name, count) = line.rsplit_once(' ').context("not a line of a report")?;
                Ok((name.trim().to_owned(), count.parse()?))
            })
            .collect()
    }

    /// Runs a command that ends by itself; what it printed.
    ///
    /// # Errors
    /// Fails if its exit status is not 0.
    pub async fn run(&self, arguments: &str) -> Result<String> {
        let mut command = tokio::process::Command::from(self.command()?);
        command
            .args(arguments.split_whitespace())
            .kill_on_drop(true);
        let output = command.output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "coupon-service {arguments}: {}\n{said}",
            output.status
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(program_beside("coupon-service")?);
        command
            .envs(&self.environment)
            .env("LISTEN", self.listen.0.to_string());
        Ok(command)
    }
}

impl CouponService {
    /// Applies.
    ///
    /// # Errors
    /// Fails if there is no answer, or it says to try again.
    pub async fn apply(&self, user: User) -> Result<Answer> {
        apply(self.address, user).await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Turns failures on or off.
    ///
    /// # Errors
    /// Fails if there is no answer.
    pub async fn fail(&self, what: Switch, on: bool) -> Result<()> {
        let path = match what {
            Switch::Odd => "/admin/fail-odd",
            Switch::DeadLetters => "/admin/fail-dlt",
        };
        self.post(path, &json!({"on": on})).await
    }

    /// Decides what a coupon is worth, in percent.
    ///
    /// # Errors
    /// Fails if there is no answer.
    pub async fn decide_discount(&self, percent: i32) -> Result<()> {
        self.post("/admin/discount", &json!({"percent": percent}))
            .await
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// Fails if there is no answer.
    pub async fn status(&self) -> Result<Value> {
        let response = request(self.address, "GET", "/status", None, ANSWER).await?;
        ensure!(response.status == 200, "{response:?}");
        Ok(serde_json::from_str(&response.body)?)
    }

    /// Waits until a number in its status, such as `/campaign/coupons`, is as wanted.
    ///
    /// # Errors
    /// Fails after `limit`.
    pub async fn until_status(
        &self,
        pointer: &str,
        is_so: impl Fn(i64) -> bool,
        limit: Duration,
    ) -> Result<()> {
        until(
            limit,
            &format!("{pointer} of the coupon service"),
            async || {
                let status = self.status().await?;
                let number = status.pointer(pointer).and_then(Value::as_i64);
                let number = number.with_context(|| format!("no {pointer} in {status}"))?;
                Ok(Look::when(is_so(number), status))
            },
        )
        .await
    }

    /// Waits until its events go this way: `direct`, or to the `outbox`.
    ///
    /// # Errors
    /// Fails after `limit`.
    pub async fn until_events_go(&self, way: &str, limit: Duration) -> Result<()> {
        until(limit, "events to go another way", async || {
            let status = self.status().await?;
            Ok(Look::when(status["events"] == way, status))
        })
        .await
    }

    /// Ends it without any warning.
    ///
    /// # Errors
    /// Fails if it had ended by itself.
    pub async fn kill_9(self) -> Result<Exit> {
        self.child.kill_9().await
    }

    /// Asks it to stop.
    ///
    /// # Errors
    /// Fails if it had ended by itself, or takes longer than `limit`.
    pub async fn sigterm(self, limit: Duration) -> Result<Exit> {
        self.child.sigterm(limit).await
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// Fails if it does not within `limit`.
    pub async fn exit(self, limit: Duration) -> Result<ExitStatus> {
        self.child.wait(limit).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<()> {
        let response = request(self.address, "POST", path, Some(body), ANSWER).await?;
        ensure!(response.status == 204, "{path}: {response:?}");
        Ok(())
    }
}

async fn apply(address: SocketAddr, user: User) -> Result<Answer> {
    let body = json!({"userId": user});
    let response = request(address, "POST", "/coupon/apply", Some(&body), ANSWER).await?;
    read(&response)
}

fn read(response: &Response) -> Result<Answer> {
    let body: Value =
        serde_json::from_str(&response.body).with_context(|| format!("not JSON: {response:?}"))?;
    let sequence = || body["sequence"].as_i64().context("no sequence");
    Ok(match (response.status, body["result"].as_str()) {
        (202, Some("accepted")) => Answer::Accepted(sequence()?),
        (200, Some("already applied")) => Answer::AlreadyApplied(sequence()?),
        (409, Some("sold out")) => Answer::SoldOut,
        _ => bail!("{response:?}"),
    })
}
