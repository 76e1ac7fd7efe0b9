//! The example `sns`, as a user runs it: who subscribed to an author hears of each post once, whatever is killed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cdc_e2e::Scenario;
use cdc_e2e::browser::Browser;
use cdc_e2e::sns::{Format, Mode, Sns};
use cdc_e2e::topics::records_in;
use cdc_e2e::wait::{Look, until};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use serde_json::json;

use crate::outlet::SOON;

/// An SNS with an author and a subscriber, of whose posts one was heard.
async fn sns(mode: Mode) -> Result<(Sns, i64)> {
    let sns = Sns::start(Scenario::shared().await?, mode).await?;
    let author = sns.join("mina").await?;
    sns.subscribe(author, "anna", Format::Json).await?;
    let first = sns.post(author, "The first").await?;
    sns.until_heard(&[first.event_id], &["anna"], SOON).await?;
    Ok((sns, author))
}

/// What is posted last comes last: whatever is missing then does not come any more.
async fn crash_and_go_on(mode: Mode) -> Result<bool> {
    let (mut sns, author) = sns(mode).await?;
    let crashed = sns.post_and_crash(author, "The doomed").await?;
    if mode != Mode::Direct {
        sns.until_heard(std::slice::from_ref(&crashed), &["anna"], SOON)
            .await?;
    }
    let last = sns.post(author, "The last").await?;
    let heard = sns.until_heard(&[last.event_id], &["anna"], SOON).await?;
    ensure!(heard.repeated() == 0, "{mode}: heard twice: {heard:?}");
    let lost = !heard.missing(&[crashed], &["anna"]).is_empty();
    sns.stop().await?;
    Ok(lost)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_commit_and_send_loses_the_post_only_when_it_is_sent_directly() -> Result<()>
{
    let (direct, polling, cdc) = tokio::try_join!(
        crash_and_go_on(Mode::Direct),
        crash_and_go_on(Mode::Polling),
        crash_and_go_on(Mode::Cdc)
    )?;
    ensure!(direct, "direct did not lose it: it shows nothing any more");
    ensure!(!polling, "polling lost it");
    ensure!(!cdc, "cdc lost it");
    Ok(())
}

/// The other half fails while the first half is sent, and is well when the consumers are back.
#[tokio::test(flavor = "multi_thread")]
async fn consumers_that_die_after_half_of_the_webhooks_send_only_the_other_half() -> Result<()> {
    const POSTS: usize = 5;
    let first_half = ["anna", "ben"];
    let second_half = ["cho", "dan"];
    let (mut sns, author) = sns(Mode::Cdc).await?;
    sns.subscribe(author, "ben", Format::Jandi).await?;
    sns.subscribe(author, "cho", Format::Json).await?;
    sns.subscribe(author, "dan", Format::Jandi).await?;
    for hook in second_half {
        sns.answer(hook, "fail").await?;
    }
    // A subscription counts when the notifier has read it, which it does every few seconds.
    until(SOON, "all four to be asked", async || {
        let probe = sns.post(author, "Is everybody there?").await?;
        let asked = until(Duration::from_secs(2), "four requests", async || {
            let heard = sns.heard().await?;
            let asked = ["anna", "ben", "cho", "dan"].map(|hook| heard.at(&probe.event_id, hook));
            Ok(Look::when(asked.iter().all(Option::is_some), "fewer"))
        });
        asked.await?;
        Ok(Look::Ready(()))
    })
    .await?;

    let mut events = Vec::new();
    for number in 1..=POSTS {
        let posted = sns.post(author, &format!("Post no. {number}")).await?;
        events.push(posted.event_id);
    }
    sns.until_heard(&events, &first_half, SOON).await?;
    let session = sns.scenario().database().session().await?;
    until(SOON, "the first half to be written down", async || {
        let open = "SELECT count(*) FROM cdc.delivery WHERE state = 'claimed'";
        let open: i64 = session.query_one(open, &[]).await?.get(0);
        Ok(Look::when(open == 0, open))
    })
    .await?;

    sns.kill_consumers().await?;
    for hook in second_half {
        sns.answer(hook, "ok").await?;
    }
    let heard = sns.until_heard(&events, &second_half, SOON).await?;
    ensure!(heard.repeated() == 0, "somebody heard twice: {heard:?}");
    for (event, hook) in events
        .iter()
        .flat_map(|event| first_half.map(|hook| (event, hook)))
    {
        let webhook = heard.at(event, hook).context("it was heard")?;
        ensure!(webhook.refused == 0, "{hook} was asked again: {webhook:?}");
    }
    sns.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_kafka_delivers_twice_is_heard_once() -> Result<()> {
    let (sns, author) = sns(Mode::Cdc).await?;
    let event = "6f1f2c4e-0a55-4a34-9a57-0c6a1f3c8e11";
    let value = json!({ "eventId": event, "postId": 7, "authorId": author, "title": "Again" });
    let (key, value) = (author.to_string(), value.to_string());
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", sns.scenario().kafka_brokers())
        .set("partitioner", "murmur2_random")
        .create()?;
    let topic = sns.post_topic();
    for _ in 0..2 {
        let record = FutureRecord::to(&topic).key(&key).payload(&value);
        let sent = producer.send(record, Timeout::After(SOON)).await;
        sent.map_err(|(error, _)| error)?;
    }
    // Of the same author, so behind them.
    let last = sns.post(author, "The last").await?;
    let events = [event.to_owned(), last.event_id];
    let heard = sns.until_heard(&events, &["anna"], SOON).await?;
    let webhook = heard.at(event, "anna").context("it was heard")?;
    ensure!((webhook.accepted, webhook.refused) == (1, 0), "{webhook:?}");
    // Nor was it refused the second time: the one behind it would have come only when it had been put aside.
    let retry_topic = sns.retry_topic();
    let aside = records_in(sns.scenario().kafka_brokers(), |topic| topic == retry_topic)?;
    ensure!(aside == 0, "{aside} records were put aside");
    sns.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_of_an_unknown_author_becomes_a_dead_letter_and_a_replay_announces_it_after_all()
-> Result<()> {
    let sns = Sns::start(Scenario::shared().await?, Mode::Cdc).await?;
    // The first member gets number 1.
    sns.subscribe(1, "anna", Format::Json).await?;
    let early = sns.post(1, "Too early").await?;
    let session = sns.scenario().database().session().await?;
    until(SOON, "the dead letter in the store", async || {
        let open = "SELECT error_code, attempts FROM cdc.failed_event WHERE status = 'open'";
        let rows = session.query(open, &[]).await?;
        let row = rows.first().context("none yet")?;
        let (code, attempts): (&str, i32) = (row.get(0), row.get(1));
        // Three times in its place, then in two retry topics.
        ensure!((code, attempts) == ("author-unknown", 5), "{row:?}");
        Ok(Look::Ready(()))
    })
    .await?;
    let author = sns.join("mina").await?;
    ensure!(author == 1, "the first member has number {author}");
    let replay = sns
        .scenario()
        .command("recover replay --code author-unknown")?
        .output()?;
    let said = String::from_utf8_lossy(&replay.stderr);
    ensure!(replay.status.success(), "{said}");
    let heard = sns.until_heard(&[early.event_id], &["anna"], SOON).await?;
    ensure!(heard.repeated() == 0, "heard twice: {heard:?}");
    sns.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_a_member_a_post_and_the_webhook_that_arrives_while_it_is_open() -> Result<()>
{
    let Some(program) = Browser::find() else {
        println!("skipped: no Chromium; `scripts/setup browser` installs it");
        return Ok(());
    };
    let (sns, author) = sns(Mode::Cdc).await?;
    let url = format!("http://{}/", sns.subscriber_service().address());
    let mut page = Browser::open(&program, &url).await?;
    shows(&mut page, "live", "● live").await?;
    shows(&mut page, "members", "mina").await?;
    shows(&mut page, "posts", "The first").await?;
    shows(&mut page, "webhooks", "The first").await?;

    sns.post(author, "Seen <b>live</b>").await?;
    // Text stays text.
    shows(&mut page, "webhooks", "Seen <b>live</b>").await?;
    shows(&mut page, "posts", "Seen <b>live</b>").await?;
    let count = "document.querySelectorAll('#webhooks li').length";
    let count = page.evaluate(count).await?;
    ensure!(count == 2, "{count} webhooks are shown");

    // A member who joins on the page.
    let joining = "document.querySelector('#join input').value = 'noah'; document.querySelector('#join button').click()";
    page.evaluate(joining).await?;
    shows(&mut page, "members", "noah").await?;
    page.close().await?;
    sns.stop().await
}

/// Waits until an element's text has `text` in it.
async fn shows(page: &mut Browser, id: &str, text: &str) -> Result<()> {
    let read = format!("document.getElementById('{id}')?.innerText ?? ''");
    until(SOON, &format!("{text:?} in #{id}"), async || {
        let shown = page.evaluate(&read).await?;
        let found = shown.as_str().is_some_and(|shown| shown.contains(text));
        Ok(Look::when(found, shown))
    })
    .await
}
