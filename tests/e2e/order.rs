//! A key's events reach webhooks in their order, whatever fails: what comes after a failure waits for it.

use anyhow::{Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::receiver::Receiver;
use cdc_e2e::wait::{Look, until};

use crate::outlet::{SOON, id, one_topic};

const ENDPOINT: &str = "game";

/// Where events wait for others of their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    /// In PostgreSQL.
    Lanes,
    /// In Kafka alone.
    RedirectTopic,
}

impl Backend {
    const fn name(self) -> &'static str {
        match self {
            Self::Lanes => "lanes",
            Self::RedirectTopic => "redirect_topic",
        }
    }

    /// How many events wait.
    const fn metric(self) -> &'static str {
        match self {
            Self::Lanes => "cdc_lane_waiting_events",
            Self::RedirectTopic => "cdc_redirect_waiting_records",
        }
    }
}

/// Webhooks in order: the notifier waits `tiers` between attempts, and does `policy` with a dead head.
struct Game {
    scenario: Scenario,
    receiver: Receiver,
}

impl Game {
    async fn new(backend: Backend, policy: &str, tiers: &str) -> Result<Self> {
        let scenario = one_topic(Scenario::shared().await?);
        let name = scenario.database().name().to_owned();
        let consumer = format!(
            "[{{ group = '{name}', ordering = 'key', on_dead_head = '{policy}', order_backend = '{}', \
                retry = {{ blocking = {{ kind = 'none' }}, tiers = {tiers} }} }}]",
            backend.name()
        );
        let scenario = scenario
            .with("CDC_NOTIFY__TOPICS", format!("{name}.events"))
            .with("CDC_NOTIFY__GROUP", name)
            .with("CDC_NOTIFY__TIMEOUT", "1s")
            .with("CDC_NOTIFY__ALLOW_PRIVATE_NETWORKS", "127.0.0.0/8")
            .with("CDC_RECOVER__CONSUMER", consumer);
        let receiver = Receiver::start().await?;
        let game = Self { scenario, receiver };
        let url = game.receiver.url(ENDPOINT);
        game.command(&format!("endpoint add {ENDPOINT} --url {url}"))?;
        Ok(game)
    }

    fn command(&self, arguments: &str) -> Result<String> {
        let output = self.scenario.command(arguments)?.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Commits the event of this number for a player.
    async fn commit(&self, player: &str, number: u32) -> Result<()> {
        let id = id(number);
        let sql = format!("SELECT cdc.emit('player', '{player}', 'LevelUp', '{{}}', NULL, '{id}')");
        let session = self.scenario.database().session().await?;
        session.batch_execute(&sql).await?;
        Ok(())
    }

    /// The webhook says this to the event of this number.
    fn answer(&self, number: u32, status: u16) {
        self.receiver.answer_to(ENDPOINT, &id(number), status);
    }

    /// Which events were sent, in order.
    fn sent(&self) -> Vec<String> {
        let requests = self.receiver.requests(ENDPOINT);
        requests.into_iter().map(|request| request.id).collect()
    }

    /// Which events the webhook took, in order.
    fn taken(&self) -> Vec<String> {
        let requests = self.receiver.requests(ENDPOINT).into_iter();
        let taken = requests.filter(|request| request.status < 300);
        taken.map(|request| request.id).collect()
    }

    async fn until_taken(&self, numbers: &[u32]) -> Result<()> {
        let wanted: Vec<_> = numbers.iter().copied().map(id).collect();
        until(SOON, &format!("webhooks {numbers:?}"), async || {
            let taken = self.taken();
            Ok(Look::when(taken == wanted, format!("{taken:?}")))
        })
        .await
    }

    async fn text(&self, sql: &str) -> Result<String> {
        let session = self.scenario.database().session().await?;
        let sql = format!("SELECT coalesce(({sql})::text, '')");
        Ok(session.query_one(&sql, &[]).await?.get(0))
    }

    async fn until_text(&self, sql: &str, wanted: &str) -> Result<()> {
        until(SOON, wanted, async || {
            let text = self.text(sql).await?;
            Ok(Look::when(text == wanted, text))
        })
        .await
    }

    /// What waits in lanes, in order.
    async fn until_lane(&self, wanted: &str) -> Result<()> {
        let sql = "SELECT string_agg(status, ' ' ORDER BY id) FROM cdc.lane_event";
        self.until_text(sql, wanted).await
    }

    /// So many events wait, and so many keys are held, as `status` has it.
    async fn until_waiting(&self, records: u64, held_keys: u64) -> Result<()> {
        until(SOON, "what waits", async || {
            let status: serde_json::Value = serde_json::from_str(&self.command("status --json")?)?;
            let waiting = &status["groups"][0]["waiting"];
            let is_so = waiting["records"] == records && waiting["held_keys"] == held_keys;
            Ok(Look::when(is_so, status.to_string()))
        })
        .await
    }

    /// What is in the store of failed events, in order.
    async fn until_failed(&self, wanted: &str) -> Result<()> {
        let sql = "SELECT string_agg(right(event_id, 1) || ' ' || status || ' ' || error_code, ', ' ORDER BY event_id)
                     FROM cdc.failed_event";
        self.until_text(sql, wanted).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn level_up_2_waits_for_level_up_1_also_through_a_crash_and_others_pass() -> Result<()> {
    level_up_2_waits(Backend::Lanes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_kafka_alone_level_up_2_waits_for_level_up_1_also_through_a_crash_and_others_pass()
-> Result<()> {
    level_up_2_waits(Backend::RedirectTopic).await
}

async fn level_up_2_waits(backend: Backend) -> Result<()> {
    // For longer than all of it may take.
    let tiers = format!("[{}]", ["'2s'"; 32].join(", "));
    let game = Game::new(backend, "hold", &tiers).await?;
    let _relay = game.scenario.relay().await?;
    let notifier = game.scenario.start("notify")?;
    game.answer(1, 503);
    for (player, number) in [("mage", 1), ("mage", 2), ("elf", 3)] {
        game.commit(player, number).await?;
    }
    game.until_taken(&[3]).await?;
    game.until_waiting(2, 0).await?;
    ensure!(
        !game.sent().contains(&id(2)),
        "2 was sent before 1 was taken"
    );

    notifier.kill_9().await?;
    game.commit("mage", 4).await?;
    let notifier = game.scenario.start("notify")?;
    game.commit("elf", 5).await?;
    game.until_taken(&[3, 5]).await?;
    game.until_waiting(3, 0).await?;
    game.answer(1, 200);
    game.until_taken(&[3, 5, 1, 2, 4]).await?;
    game.until_waiting(0, 0).await?;
    until(SOON, "the metrics", async || {
        let waiting = notifier.admin().metric(backend.metric()).await?;
        Ok(Look::when(waiting == 0.0, waiting))
    })
    .await?;
    notifier.sigterm(SOON).await?;
    ensure!(
        game.text("SELECT count(*) FROM cdc.failed_event").await? == "0",
        "something was given up"
    );
    Ok(())
}

/// 1 is refused for good after a while, with 2 behind it.
async fn with_dead_head(backend: Backend, policy: &str) -> Result<(Game, cdc_e2e::relay::Relay)> {
    let game = Game::new(backend, policy, "['1s', '1s', '1s', '1s', '1s', '1s']").await?;
    game.answer(1, 503);
    let mut everything = game.scenario.start("run")?;
    everything.until_phase("streaming").await?;
    game.commit("mage", 1).await?;
    game.commit("mage", 2).await?;
    game.until_waiting(2, 0).await?;
    game.answer(1, 400);
    Ok((game, everything))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_behind_a_refused_event_is_held_until_that_is_replayed() -> Result<()> {
    held_until_replayed(Backend::Lanes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_kafka_alone_what_is_behind_a_refused_event_is_held_until_that_is_replayed() -> Result<()>
{
    held_until_replayed(Backend::RedirectTopic).await
}

async fn held_until_replayed(backend: Backend) -> Result<()> {
    let (game, everything) = with_dead_head(backend, "hold").await?;
    game.until_failed("1 open webhook-client-error").await?;
    game.until_waiting(2, 1).await?;
    game.commit("elf", 3).await?;
    game.until_taken(&[3]).await?;
    ensure!(!game.sent().contains(&id(2)), "2 was sent");
    let listed = game.command("recover list --json")?;
    ensure!(listed.contains(&id(1)), "{listed}");

    game.answer(1, 200);
    game.command("recover replay --all")?;
    game.until_taken(&[3, 1, 2]).await?;
    game.until_waiting(0, 0).await?;
    game.until_failed("1 replayed webhook-client-error").await?;
    everything.sigterm(SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_behind_a_refused_event_goes_on_when_that_is_discarded() -> Result<()> {
    let game = held_until_discarded(Backend::Lanes).await?;
    let told = "SELECT action || ' ' || actor || ' ' || note FROM cdc.lane_action";
    game.until_text(told, "discard me mistaken").await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_kafka_alone_what_is_behind_a_refused_event_goes_on_when_that_is_discarded() -> Result<()>
{
    held_until_discarded(Backend::RedirectTopic).await?;
    Ok(())
}

async fn held_until_discarded(backend: Backend) -> Result<Game> {
    let (game, everything) = with_dead_head(backend, "hold").await?;
    game.until_failed("1 open webhook-client-error").await?;
    game.until_waiting(2, 1).await?;
    game.command("recover discard --all --note mistaken --by me")?;
    game.until_taken(&[2]).await?;
    game.until_waiting(0, 0).await?;
    everything.sigterm(SOON).await?;
    Ok(game)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_behind_a_refused_event_goes_on_without_it_if_it_is_to_be_skipped() -> Result<()> {
    let (game, everything) = with_dead_head(Backend::Lanes, "skip").await?;
    game.until_taken(&[2]).await?;
    game.until_failed("1 open webhook-client-error").await?;
    game.until_lane("skipped").await?;
    game.answer(1, 200);
    game.command("recover replay --all")?;
    game.until_taken(&[2, 1]).await?;
    game.until_lane("").await?;
    everything.sigterm(SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_behind_a_refused_event_is_given_up_with_it_and_what_comes_later_is_not()
-> Result<()> {
    let (game, everything) = with_dead_head(Backend::Lanes, "dead_letter_lane").await?;
    game.until_failed("1 open webhook-client-error, 2 open behind-dead-head")
        .await?;
    game.commit("mage", 3).await?;
    game.until_taken(&[3]).await?;
    ensure!(!game.sent().contains(&id(2)), "2 was sent");
    everything.sigterm(SOON).await?;
    Ok(())
}
