//! Many questions to PostgreSQL in one round trip.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
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

/// How long those wait for more who come with many others: a small round trip costs nearly as much as a large one, and where
/// many come, the more of them are soon there.
const MORE: Duration = Duration::from_millis(2);

impl<W: Work> Batcher<W> {
    /// Starts the task that asks, with as many round trips at the same time as there are `workers`. It ends with the
    /// batcher, or at once when `stop` is cancelled.
    pub(crate) fn start(
        workers: Vec<W>,
        limits: BatchLimits,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let (questions, receiver) = mpsc::channel(limits.items.saturating_mul(4).max(1));
        let stop = stop.clone();
        tasks.spawn(async move {
            stop.run_until_cancelled(run(workers, receiver, limits))
                .await;
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

/// Takes questions only when a round trip could begin: to be woken for each of them costs more than to read them.
async fn run<W: Work>(
    mut idle: Vec<W>,
    mut questions: mpsc::Receiver<Question<W>>,
    limits: BatchLimits,
) {
    let mut batch = Vec::with_capacity(limits.items);
    let mut busy = FuturesUnordered::new();
    loop {
        if busy.is_empty()
            && batch.is_empty()
            && questions.recv_many(&mut batch, limits.items).await == 0
        {
            return;
        }
        // A second round trip begins beside the first only when it is a large one.
        let wanted = if busy.is_empty() { 1 } else { limits.large() };
        if batch.len() >= wanted
            && let Some(work) = idle.pop()
        {
            if let Some(pause) = limits.pause(batch.len()) {
                sleep(pause).await;
            }
            fill(&mut batch, &mut questions, limits.items);
            busy.push(answer(work, std::mem::take(&mut batch)));
        } else if idle.is_empty() {
            idle.extend(busy.next().await);
            fill(&mut batch, &mut questions, limits.items);
        } else {
            if let Ok(work) = timeout(MORE, busy.next()).await {
                idle.extend(work);
            }
            fill(&mut batch, &mut questions, limits.items);
        }
    }
}

impl BatchLimits {
    /// The size of a batch that is worth its round trip.
    const fn large(self) -> usize {
        self.items.div_ceil(2)
    }

    /// How long a batch of this size waits for more.
    fn pause(self, size: usize) -> Option<Duration> {
        let large = self.large();
        match size {
            1 if large > 1 => Some(self.wait).filter(|wait| !wait.is_zero()),
            _ => (large / 2..large).contains(&size).then_some(MORE),
        }
    }
}

/// Asks one batch, and gives the worker back.
async fn answer<W: Work>(mut work: W, batch: Vec<Question<W>>) -> W {
    let (items, senders): (Vec<_>, Vec<_>) = batch
        .into_iter()
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
    work
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
        let batcher = Batcher::start(vec![Double { sizes }], limits, &TaskTracker::new(), &stop);
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
    async fn where_many_come_the_next_go_with_them_and_where_few_come_nobody_waits() {
        for (at_once, expected) in [(30, vec![60]), (10, vec![10, 10])] {
            let (batcher, mut sizes, _stop) = batcher(100);
            let mut asking = tokio::task::JoinSet::new();
            for _ in 0..2 {
                for item in 1..=at_once {
                    let batcher = Arc::clone(&batcher);
                    asking.spawn(async move { batcher.ask(item).await.unwrap() });
                }
                sleep(Duration::from_millis(1)).await;
            }
            asking.join_all().await;
            let mut seen = Vec::new();
            while let Ok(size) = sizes.try_recv() {
                seen.push(size);
            }
            assert_eq!(seen, expected);
        }
    }

    /// Takes a second for each batch, and says how many are under way.
    struct Slow {
        under_way: Arc<std::sync::atomic::AtomicUsize>,
        most: mpsc::Sender<usize>,
    }

    impl Work for Slow {
        type Item = u32;
        type Answer = u32;

        async fn run(&mut self, items: &[u32]) -> Result<Vec<u32>, Error> {
            use std::sync::atomic::Ordering::SeqCst;
            let now = self.under_way.fetch_add(1, SeqCst) + 1;
            self.most.send(now).await.unwrap();
            sleep(Duration::from_secs(1)).await;
            self.under_way.fetch_sub(1, SeqCst);
            Ok(items.to_vec())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_batches_at_once_as_there_are_workers_and_only_if_much_waits() {
        for (questions, count, expected) in [(1000, 1, 1), (1000, 3, 3), (70, 3, 1), (3, 3, 1)] {
            let (most, mut seen) = mpsc::channel(1000);
            let under_way = Arc::default();
            let workers = std::iter::repeat_with(|| Slow {
                under_way: Arc::clone(&under_way),
                most: most.clone(),
            });
            let limits = BatchLimits {
                items: 100,
                wait: Duration::from_millis(2),
            };
            let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
            let batcher = Batcher::start(workers.take(count).collect(), limits, &tasks, &stop);
            let batcher = Arc::new(batcher);
            let mut asking = tokio::task::JoinSet::new();
            for item in 0..questions {
                let batcher = Arc::clone(&batcher);
                asking.spawn(async move { assert_eq!(batcher.ask(item).await.unwrap(), item) });
            }
            drop(batcher);
            asking.join_all().await;
            tasks.close();
            tasks.wait().await;
            drop(most);
            let mut most = 0;
            while let Ok(now) = seen.try_recv() {
                most = most.max(now);
            }
            assert_eq!(most, expected, "{questions} questions");
        }
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
