//! Many questions to PostgreSQL in one round trip.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::Error;

/// What is done with a batch.
pub(crate) trait Work: Send + 'static {
    /// A question.
    type Item: Send + Sync + 'static;
    /// Its answer.
    type Answer: Send + 'static;

    /// Answers all of them, in their order.
    fn run(
        &mut self,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, Error>> + Send;
}

/// How large a batch may become, and how long it is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimits {
    /// Questions of one round trip.
    pub(crate) items: usize,
    /// How long a question that comes alone waits for others.
    pub(crate) wait: Duration,
}

/// Asks one kind of question for everybody: what comes while a round trip is under way is the next batch.
#[derive(Debug)]
pub(crate) struct Batcher<W: Work> {
    questions: mpsc::Sender<Question<W>>,
}

struct Question<W: Work> {
    item: W::Item,
    answer: oneshot::Sender<Result<W::Answer, Arc<Error>>>,
}

impl<W: Work> Batcher<W> {
    /// Starts the task that asks. It ends with the batcher, or at once when `stop` is cancelled.
    pub(crate) fn start(
        work: W,
        limits: BatchLimits,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let (questions, receiver) = mpsc::channel(limits.items.saturating_mul(4).max(1));
        let stop = stop.clone();
        tasks.spawn(async move {
            stop.run_until_cancelled(run(work, receiver, limits)).await;
        });
        Self { questions }
    }

    /// Asks. A dropped question may be asked all the same.
    ///
    /// # Errors
    ///
    /// That of the batch, which its questions share; [`Error::Stopping`].
    pub(crate) async fn ask(&self, item: W::Item) -> Result<W::Answer, Arc<Error>> {
        let (sender, receiver) = oneshot::channel();
        let question = Question {
            item,
            answer: sender,
        };
        if self.questions.send(question).await.is_err() {
            return Err(Arc::new(Error::Stopping));
        }
        receiver
            .await
            .unwrap_or_else(|_| Err(Arc::new(Error::Stopping)))
    }
}

async fn run<W: Work>(
    mut work: W,
    mut questions: mpsc::Receiver<Question<W>>,
    limits: BatchLimits,
) {
    let mut batch = Vec::with_capacity(limits.items);
    while questions.recv_many(&mut batch, limits.items).await > 0 {
        // Several have come together, or while the last round trip was under way: then it goes on like that.
        if batch.len() == 1 && limits.items > 1 && !limits.wait.is_zero() {
            sleep(limits.wait).await;
            fill(&mut batch, &mut questions, limits.items);
        }
        let (items, senders): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|question| (question.item, question.answer))
            .unzip();
        let answers = match work.run(&items).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(error) => {
                let error = Arc::new(error);
                items
                    .iter()
                    .map(|_| Err(Arc::clone(&error)))
                    .collect::<Vec<_>>()
            }
        };
        for (sender, answer) in senders.into_iter().zip(answers) {
            // Whoever asked may be gone.
            drop(sender.send(answer));
        }
    }
}

fn fill<W: Work>(
    batch: &mut Vec<Question<W>>,
    questions: &mut mpsc::Receiver<Question<W>>,
    items: usize,
) {
    while batch.len() < items {
        match questions.try_recv() {
            Ok(question) => batch.push(question),
            Err(_) => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Double {
        sizes: mpsc::Sender<usize>,
    }

    impl Work for Double {
        type Item = u32;
        type Answer = u32;

        async fn run(&mut self, items: &[u32]) -> Result<Vec<u32>, Error> {
            self.sizes.send(items.len()).await.unwrap();
            if items.contains(&0) {
                Err(Error::Stopping)
            } else {
                Ok(items.iter().map(|item| item * 2).collect())
            }
        }
    }

    fn batcher(
        items: usize,
    ) -> (
        Arc<Batcher<Double>>,
        mpsc::Receiver<usize>,
        CancellationToken,
    ) {
        let (sizes, receiver) = mpsc::channel(1000);
        let limits = BatchLimits {
            items,
            wait: Duration::from_millis(2),
        };
        let stop = CancellationToken::new();
        let batcher = Batcher::start(Double { sizes }, limits, &TaskTracker::new(), &stop);
        (Arc::new(batcher), receiver, stop)
    }

    #[tokio::test(start_paused = true)]
    async fn gives_each_question_its_own_answer_in_batches_of_bounded_size() {
        let (batcher, mut sizes, _stop) = batcher(10);
        let mut asking = tokio::task::JoinSet::new();
        for item in 1..=35 {
            let batcher = Arc::clone(&batcher);
            asking.spawn(async move { (item, batcher.ask(item).await.unwrap()) });
        }
        for (item, answer) in asking.join_all().await {
            assert_eq!(answer, item * 2);
        }
        let mut seen = Vec::new();
        while let Ok(size) = sizes.try_recv() {
            seen.push(size);
        }
        assert_eq!(seen.iter().sum::<usize>(), 35);
        assert!(
            seen.len() <= 5 && seen.iter().all(|size| *size <= 10),
            "{seen:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_batch_fails_its_questions_and_no_others() {
        let (batcher, _sizes, _stop) = batcher(10);
        let (zero, one) = tokio::join!(batcher.ask(0), batcher.ask(1));
        assert!(zero.is_err() && one.is_err());
        assert_eq!(batcher.ask(2).await.unwrap(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_batcher_that_was_stopped() {
        let (batcher, _sizes, stop) = batcher(10);
        stop.cancel();
        assert!(matches!(
            *batcher.ask(1).await.unwrap_err(),
            Error::Stopping
        ));
    }
}
