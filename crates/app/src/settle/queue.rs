//! The queue before the settlements, bounded in requests and in bytes, and the task that empties it.
//!
//! The task takes what waits and settles it at once. A batch that certainly left nothing behind is tried event by event,
//! so that one of them cannot fail the others. Invariant: whatever happens to a batch, its callers are answered and the
//! next batch is taken.

use super::{Answer, Command};
use crate::app::App;
use crate::error::{Error, Result};
use headwater_store::backend;
use std::future::Future;
use std::sync::{Arc, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Events that are settled in one transaction.
const BATCH_COMMANDS_MAX: usize = 256;
/// Requests that may wait; the next one is answered `Busy`.
const WAITING_COMMANDS_MAX: usize = 4096;
/// What all waiting requests may hold together; the next one is answered `Busy`.
const WAITING_KIBIBYTES_MAX: usize = 64 * 1024;

#[derive(Debug)]
struct Waiting {
    command: Command,
    answer: Answering,
}

/// Who waits for an answer; the memory is given back when it is there.
#[derive(Debug)]
struct Answering {
    caller: oneshot::Sender<Result<Answer>>,
    _memory: OwnedSemaphorePermit,
}

impl Answering {
    fn send(self, outcome: Result<Answer>) {
        // The caller may have gone away; what it asked for stands all the same.
        let _ = self.caller.send(outcome);
    }
}

/// The entry of the queue.
#[derive(Debug)]
pub struct Queue {
    entry: mpsc::Sender<Waiting>,
    memory: Arc<Semaphore>,
}

/// The other end of the queue.
#[derive(Debug)]
pub struct Settling(mpsc::Receiver<Waiting>);

/// A bounded queue.
pub fn queue() -> (Queue, Settling) {
    let (entry, waiting) = mpsc::channel(WAITING_COMMANDS_MAX);
    (Queue { entry, memory: Arc::new(Semaphore::new(WAITING_KIBIBYTES_MAX)) }, Settling(waiting))
}

impl Queue {
    /// Waits for the answer to a command.
    pub(super) async fn ask(&self, command: Command) -> Result<Answer> {
        let kibibytes = u32::try_from(command.bytes() / 1024 + 1).map_err(|_| Error::Busy)?;
        let memory = Arc::clone(&self.memory).try_acquire_many_owned(kibibytes).map_err(|_| Error::Busy)?;
        let (caller, answered) = oneshot::channel();
        let answer = Answering { caller, _memory: memory };
        self.entry.try_send(Waiting { command, answer }).map_err(|_| Error::Busy)?;
        answered.await.map_err(|_| Error::Store(backend::Error::Closed))?
    }
}

/// Settles until the application is gone.
pub async fn run(app: Weak<App>, settling: Settling) {
    serve(settling, |commands| {
        let app = app.upgrade()?;
        // On the heap: it would be the larger part of the task that waits for commands.
        Some(Box::pin(async move { super::settle_batch(&app, commands).await }))
    })
    .await;
}

/// Empties the queue with `settle`, which gives `None` when the application is gone.
async fn serve<S, F>(mut settling: Settling, settle: S)
where
    S: Fn(Arc<Vec<Command>>) -> Option<F>,
    F: Future<Output = Result<Vec<Answer>>> + Send + 'static,
{
    let mut taken = Vec::with_capacity(BATCH_COMMANDS_MAX);
    while settling.0.recv_many(&mut taken, BATCH_COMMANDS_MAX).await > 0 {
        let (commands, answers): (Vec<_>, Vec<_>) = taken.drain(..).map(|w| (w.command, w.answer)).unzip();
        metrics::histogram!("headwater_settlement_events")
            .record(f64::from(u32::try_from(commands.len()).unwrap_or(u32::MAX)));
        let commands = Arc::new(commands);
        let Some(settlement) = settle(Arc::clone(&commands)) else { return };
        let failed = match supervised(settlement).await {
            Ok(done) => {
                answers.into_iter().zip(done).for_each(|(answer, outcome)| answer.send(Ok(outcome)));
                continue;
            }
            Err(error) => error,
        };
        answer_failed(failed, &commands, answers, &settle).await;
    }
}

/// A batch of one is told why it failed. What cannot be tried again is told to ask again: its keys find what became of it.
async fn answer_failed<S, F>(failed: Error, commands: &[Command], mut answers: Vec<Answering>, settle: &S)
where
    S: Fn(Arc<Vec<Command>>) -> Option<F>,
    F: Future<Output = Result<Vec<Answer>>> + Send + 'static,
{
    if answers.len() == 1 {
        return answers.remove(0).send(Err(failed));
    }
    let may_retry = matches!(&failed, Error::Store(store) if store.left_nothing());
    tracing::warn!(error = %failed, events = commands.len(), may_retry, "a settlement of many events failed");
    for (answer, command) in answers.into_iter().zip(commands) {
        let alone = if may_retry { settle(Arc::new(vec![command.clone()])) } else { None };
        let Some(alone) = alone else {
            answer.send(Err(Error::Store(backend::Error::Closed)));
            continue;
        };
        answer.send(supervised(alone).await.map(|mut one| one.pop().expect("one command has one answer")));
    }
}

/// A task of its own, so that a panic ends the settlement and not the queue. Its transaction was dropped uncommitted.
async fn supervised(settlement: impl Future<Output = Result<Vec<Answer>>> + Send + 'static) -> Result<Vec<Answer>> {
    tokio::spawn(settlement).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a settlement panicked");
        Err(Error::Store(backend::Error::Abandoned("a settlement panicked".into())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_domain::ids::{AccountId, EventId};

    fn reject(event: i64) -> Command {
        Command::Reject { account: AccountId(1), event: EventId(event) }
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_event_and_the_queue_goes_on() {
        let (queue, settling) = queue();
        let queue = Arc::new(queue);
        let asking: Vec<_> = [1, 13, 2]
            .map(|event| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move { queue.ask(reject(event)).await })
            })
            .into();
        // All three wait before the first batch is taken.
        while queue.entry.max_capacity() - queue.entry.capacity() < 3 {
            tokio::task::yield_now().await;
        }
        tokio::spawn(serve(settling, |commands: Arc<Vec<Command>>| {
            Some(async move {
                assert!(!commands.iter().any(|c| matches!(c, Command::Reject { event: EventId(13), .. })), "thirteen");
                Ok(commands.iter().map(|_| Answer::NotUnverified).collect())
            })
        }));
        let mut told = Vec::new();
        for answer in asking {
            told.push(answer.await.expect("answers").ok());
        }
        assert_eq!(told, [Some(Answer::NotUnverified), None, Some(Answer::NotUnverified)]);
        assert_eq!(queue.ask(reject(3)).await.ok(), Some(Answer::NotUnverified));
        assert_eq!(queue.memory.available_permits(), WAITING_KIBIBYTES_MAX, "memory comes back");
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes() {
        let (queue, _settling) = queue();
        let held = Arc::clone(&queue.memory).try_acquire_many_owned(64 * 1024).expect("the queue is empty");
        assert!(matches!(queue.ask(reject(1)).await, Err(Error::Busy)));
        drop(held);
    }
}
