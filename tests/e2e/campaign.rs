//! A coupon campaign: the service of `examples/coupon`, the relay, and the store of what failed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::coupon::{CouponOptions, CouponService, User};
use cdc_e2e::relay::Relay;
use cdc_e2e::topics::records_in;
use cdc_e2e::wait::{Look, until};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;

use crate::outlet::SOON;

/// How long one question to the broker may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is around the service: start it with [`serve`](Self::serve), so that it ends first.
pub(crate) struct Campaign {
    pub(crate) options: CouponOptions,
    collector: Option<Relay>,
    _relay: Relay,
    pub(crate) scenario: Scenario,
}

impl Campaign {
    /// Opens one of `coupons` coupons, with whatever else `configure` sets.
    pub(crate) async fn open(
        scenario: Scenario,
        coupons: u32,
        configure: impl FnOnce(CouponOptions) -> CouponOptions,
    ) -> Result<Self> {
        let options = CouponOptions::of(&scenario)?.with("COUPON_LIMIT", coupons.to_string());
        let options = configure(options);
        let scenario = scenario.with("CDC_RECOVER__CONSUMER", options.recover_consumer());
        Ok(Self {
            options,
            collector: None,
            _relay: scenario.relay().await?,
            scenario,
        })
    }

    /// Starts the service.
    pub(crate) async fn serve(&self) -> Result<CouponService> {
        self.options.start(self.scenario.log()).await
    }

    /// Starts `cdc-relay recover run`, which stores what nobody could handle.
    pub(crate) fn collect(&mut self) -> Result<()> {
        self.collector = Some(self.scenario.start("recover run")?);
        Ok(())
    }

    /// Runs a command of `cdc-relay`; what it printed.
    pub(crate) async fn command(&self, arguments: &str) -> Result<String> {
        let command = self.scenario.command(arguments)?;
        let output = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .output()
            .await?;
        ensure!(output.status.success(), "{arguments}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Texts that a query gives, one a row.
    pub(crate) async fn texts(&self, sql: &str) -> Result<Vec<String>> {
        let session = self.scenario.database().session().await?;
        let rows = session.query(sql, &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The number that a query gives.
    pub(crate) async fn count(&self, sql: &str) -> Result<i64> {
        let session = self.scenario.database().session().await?;
        Ok(session.query_one(sql, &[]).await?.get(0))
    }

    /// Waits until a query gives this number.
    pub(crate) async fn until_count(&self, sql: &str, wanted: i64) -> Result<()> {
        until(SOON, &format!("{wanted} of {sql}"), async || {
            let count = self.count(sql).await?;
            Ok(Look::when(count == wanted, count))
        })
        .await
    }

    /// The coupons that were issued, by user.
    pub(crate) async fn coupons(&self) -> Result<BTreeMap<User, i64>> {
        let sql = "SELECT user_id, sequence::bigint FROM coupon.coupon";
        let session = self.scenario.database().session().await?;
        let rows = session.query(sql, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Waits until so many failures are open in the store.
    pub(crate) async fn until_open(&self, failures: i64) -> Result<()> {
        let open = "SELECT count(*) FROM cdc.failed_event WHERE status = 'open'";
        self.until_count(open, failures).await
    }

    /// Records that a topic has taken in all its partitions.
    pub(crate) fn records_in(&self, topic: &str) -> Result<i64> {
        records_in(self.scenario.kafka_brokers(), |name| name == topic)
    }

    /// Creates a topic.
    pub(crate) async fn make_topic(&self, topic: &str, partitions: i32) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.kafka().create()?;
        let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let made = admin
            .create_topics(
                &[topic],
                &AdminOptions::new().request_timeout(Some(TIMEOUT)),
            )
            .await?;
        for result in made {
            result.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
        }
        Ok(())
    }

    fn kafka(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.scenario.kafka_brokers())
            .set_log_level(RDKafkaLogLevel::Emerg);
        config
    }
}
