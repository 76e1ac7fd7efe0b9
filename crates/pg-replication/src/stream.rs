//! The stream of changes of one slot, with explicit acknowledgement.
//!
//! ```text
//!   server ──XLogData──▶ try_next() ──▶ StreamEvent … Commit(_, token) ──▶ caller makes it durable
//!      ▲                                                                        │
//!      └───── status update ◀── Progress ◀────────── acknowledge(token) ◀───────┘
//! ```
//!
//! Feedback never waits for the caller's sink: while the caller has no room it awaits
//! [`ReplicationStream::hold`] in place of [`ReplicationStream::fill`], which goes on sending status updates
//! without reading.

mod feedback;
mod pace;

use std::time::Duration;

use bytes::Bytes;
use pg_lsn::Lsn;
use tokio::time::{Instant, timeout, timeout_at};

use self::feedback::Feedback;
use self::pace::Pace;
use crate::backend::BackendMessage;
use crate::connect::Stream;
use crate::copy::{CopyMessage, PgTimestamp, StandbyStatusUpdate};
use crate::error::Error;
use crate::framed::Framed;
use crate::pgoutput::{Begin, Commit, LogicalMessage, Message};
use crate::progress::{CommitToken, Progress};
use crate::session::{PublicationName, Session};
use crate::slot::SlotName;

/// What to stream and how to keep the connection alive.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// The logical slot, made with the `pgoutput` plugin.
    pub slot: SlotName,
    /// The publications whose tables are streamed; at least one.
    pub publications: Vec<PublicationName>,
    /// Whether `pg_logical_emit_message` is streamed too (PostgreSQL 14 and newer).
    pub messages: bool,
    /// At most this often the server is told that the confirmed position moved. 1 s repeats little after a
    /// crash and costs nothing.
    pub status_interval: Duration,
    /// When the server has not sent a byte for this long, although asked to, the connection counts as dead.
    pub silence_limit: Duration,
}

/// One step of the stream, in the order of the write-ahead log's commits.
#[derive(Debug)]
pub enum StreamEvent {
    /// A transaction starts. It is committed already: protocol version 1 sends no others.
    Begin(Begin),
    /// Something inside a transaction, or a relation's or type's description.
    Change(LogicalMessage),
    /// The transaction's end, and the token that confirms it.
    Commit(Commit, CommitToken),
    /// A message from outside of any transaction (`pg_logical_emit_message(false, …)`), and its token.
    Standalone(Message, CommitToken),
}

/// What a [`fill`](ReplicationStream::fill) brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// Bytes from the server, perhaps whole events.
    Bytes,
    /// Only the time for feedback came.
    Nothing,
}

/// A slot being streamed. Dropping it closes the connection; what was acknowledged but not yet told to the
/// server is then sent again after a reconnect. [`close`](Self::close) tells it first.
#[derive(Debug)]
pub struct ReplicationStream {
    framed: Framed<Stream>,
    progress: Progress,
    feedback: Feedback,
    pace: Pace,
    ended: bool,
}

impl ReplicationStream {
    /// Starts streaming from the slot's confirmed position.
    ///
    /// # Errors
    ///
    /// The server's refusals keep their SQLSTATE: 55006 when another process holds the slot, 42704 when slot
    /// or publication is missing, 55000 when the slot was invalidated.
    pub async fn start(mut session: Session, options: &StreamOptions) -> Result<Self, Error> {
        let server_timeout = server_timeout(&mut session).await?;
        let framed = session
            .start_replication(
                &options.slot,
                &options.publications,
                Lsn::ZERO,
                options.messages,
            )
            .await?;
        Ok(Self {
            framed,
            progress: Progress::new(Lsn::ZERO),
            feedback: Feedback::new(
                options.status_interval,
                server_timeout,
                options.silence_limit,
                Instant::now(),
            ),
            pace: Pace::default(),
            ended: false,
        })
    }

    /// The next event out of what has been read already; `None` means: await [`fill`](Self::fill).
    ///
    /// # Errors
    ///
    /// A server error that ended the stream, or bytes that are not the protocol. The stream is then over.
    pub fn try_next(&mut self) -> Result<Option<StreamEvent>, Error> {
        while let Some(frame) = self.framed.try_frame()? {
            let data = match BackendMessage::parse(frame)? {
                BackendMessage::CopyData(data) => data,
                BackendMessage::ErrorResponse(error) => return Err(Error::Server(error)),
                BackendMessage::CopyDone => {
                    self.ended = true;
                    continue;
                }
                _ => continue,
            };
            if let Some(event) = self.interpret(data)? {
                return Ok(Some(event));
            }
        }
        if self.ended {
            Err(Error::Closed)
        } else {
            Ok(None)
        }
    }

    fn interpret(&mut self, data: Bytes) -> Result<Option<StreamEvent>, Error> {
        match CopyMessage::parse(data)? {
            CopyMessage::XLogData(chunk) => {
                self.pace.sent(chunk.sent_at);
                Ok(Some(self.track(LogicalMessage::parse(chunk.data)?)))
            }
            CopyMessage::PrimaryKeepalive(keepalive) => {
                self.progress.keepalive(keepalive.end);
                self.pace.caught_up();
                if keepalive.reply_requested {
                    self.feedback.reply_requested();
                }
                Ok(None)
            }
        }
    }

    fn track(&mut self, message: LogicalMessage) -> StreamEvent {
        match message {
            LogicalMessage::Begin(begin) => {
                self.progress.begin();
                self.pace.begin(begin.commit_time);
                StreamEvent::Begin(begin)
            }
            LogicalMessage::Commit(commit) => {
                let token = self.progress.commit(commit.end_lsn);
                StreamEvent::Commit(commit, token)
            }
            LogicalMessage::Message(message) if !message.transactional => {
                // The end of the message's record. Nothing may be added to it: the next commit can start there.
                let token = self.progress.commit(message.lsn);
                StreamEvent::Standalone(message, token)
            }
            other => StreamEvent::Change(other),
        }
    }

    /// Reads more of the stream, and sends what feedback is due. Returns when bytes came, or when feedback fell due:
    /// the caller may have acknowledgements to add.
    ///
    /// Cancellation safe: what was read stays in the buffer.
    ///
    /// # Errors
    ///
    /// [`Error::Silent`] when the server sent nothing for the silence limit; an I/O error; [`Error::Closed`].
    pub async fn fill(&mut self) -> Result<Filled, Error> {
        self.feedback.resume(Instant::now());
        self.send_due_status().await?;
        self.pace.nap();
        let deadline = self.feedback.deadline(self.progress.confirmed());
        match timeout_at(deadline, self.framed.fill()).await {
            Ok(Ok(0)) => Err(Error::Closed),
            Ok(Ok(count)) => {
                self.feedback.heard(Instant::now());
                self.pace.read(count);
                Ok(Filled::Bytes)
            }
            Ok(Err(source)) => Err(Error::Io {
                doing: "read the stream",
                source,
            }),
            Err(_elapsed) => self
                .feedback
                .check_silence(Instant::now())
                .map(|()| Filled::Nothing),
        }
    }

    /// Keeps the connection alive without reading, for as long as the caller has no room for more. Only an
    /// error ends it.
    ///
    /// Cancellation safe.
    ///
    /// # Errors
    ///
    /// An I/O error from writing.
    pub async fn hold(&mut self) -> Result<std::convert::Infallible, Error> {
        loop {
            self.feedback.pause();
            self.send_due_status().await?;
            tokio::time::sleep_until(self.feedback.deadline(self.progress.confirmed())).await;
        }
    }

    /// Everything up to and with this transaction is durable elsewhere: the slot may move past it. The server
    /// hears of it with the next status update. False, and nothing changes, when the token is of another
    /// stream.
    #[expect(clippy::needless_pass_by_value, reason = "a token is used up")]
    pub fn acknowledge(&mut self, token: CommitToken) -> bool {
        self.progress.acknowledge(&token)
    }

    /// The newest position that the server has sent.
    #[must_use]
    pub fn received(&self) -> Lsn {
        self.progress.received()
    }

    /// The newest position that was acknowledged, or passed while nothing was in flight.
    #[must_use]
    pub fn confirmed(&self) -> Lsn {
        self.progress.confirmed()
    }

    /// Whether the server is sending a backlog rather than what has just been committed.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.pace.is_behind()
    }

    /// Tells the server the confirmed position, ends the stream in order and waits for the server's word
    /// that it has taken it, for at most `limit`. What still arrives meanwhile is thrown away unconfirmed.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] when the server did not answer in time, as in the middle of a large transaction;
    /// the position was sent all the same.
    pub async fn close(mut self, limit: Duration) -> Result<Lsn, Error> {
        let confirmed = self.progress.confirmed();
        let farewell = async {
            self.queue_status(false);
            crate::copy::put_copy_done(self.framed.write_buffer());
            self.flush().await?;
            loop {
                while let Some(frame) = self.framed.try_frame()? {
                    match BackendMessage::parse(frame)? {
                        BackendMessage::ReadyForQuery(_) => return Ok(()),
                        BackendMessage::ErrorResponse(error) => return Err(Error::Server(error)),
                        _ => {}
                    }
                }
                match self.framed.fill().await {
                    Ok(0) => return Err(Error::Closed),
                    Ok(_) => {}
                    Err(source) => {
                        return Err(Error::Io {
                            doing: "end the stream",
                            source,
                        });
                    }
                }
            }
        };
        match timeout(limit, farewell).await {
            Ok(result) => result.map(|()| confirmed),
            Err(_elapsed) => Err(Error::TimedOut {
                doing: "end the stream",
                limit,
            }),
        }
    }

    async fn send_due_status(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if let Some(probe) = self.feedback.due(now, self.progress.confirmed()) {
            self.queue_status(probe);
            self.feedback.sent(now, self.progress.confirmed());
        }
        if self.framed.has_unsent() {
            let limit = self.feedback.silence_limit();
            timeout(limit, self.flush())
                .await
                .map_err(|_elapsed| Error::Silent { limit })??;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.framed.flush().await.map_err(|source| Error::Io {
            doing: "send a status update",
            source,
        })
    }

    fn queue_status(&mut self, reply_requested: bool) {
        let confirmed = self.progress.confirmed();
        let update = StandbyStatusUpdate {
            written: self.progress.received().max(confirmed),
            flushed: confirmed,
            applied: confirmed,
            sent_at: PgTimestamp::now(),
            reply_requested,
        };
        update.encode(self.framed.write_buffer());
    }
}

/// `wal_sender_timeout` of this session's server; `None` when it is off.
async fn server_timeout(session: &mut Session) -> Result<Option<Duration>, Error> {
    let rows = session
        .simple_query(
            "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'",
        )
        .await?;
    let milliseconds = rows
        .first()
        .and_then(|row| row.get(0))
        .and_then(|text| text.parse().ok());
    Ok(milliseconds
        .filter(|&value: &u64| value > 0)
        .map(Duration::from_millis))
}
