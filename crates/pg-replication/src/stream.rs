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
//! without taking in more.

mod close;
mod feedback;
mod hold;
mod pace;
mod server_stop;

use std::time::Duration;

use bytes::Bytes;
use pg_lsn::Lsn;
use tokio::time::{Instant, timeout, timeout_at};

use self::feedback::Feedback;
use self::pace::Pace;
use self::server_stop::ServerStop;
use crate::backend::BackendMessage;
use crate::connect::Stream;
use crate::copy::{CopyMessage, PgTimestamp, PrimaryKeepalive, StandbyStatusUpdate};
use crate::error::Error;
use crate::framed::Framed;
use crate::pgoutput::{Begin, Commit, LogicalMessage, Message};
use crate::progress::{CommitToken, Progress};
use crate::server_error::{ServerError, SqlState};
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
    /// The server has sent everything before the token's position, and is in no transaction. Acknowledged, it lets
    /// the slot pass what other tables and databases wrote.
    Idle {
        /// Confirms the position.
        token: CommitToken,
        /// The server waits for an answer. One goes out by itself; a server that is shutting down, however, goes
        /// on only when this token is acknowledged.
        reply_requested: bool,
    },
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
    server_stop: ServerStop,
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
        let server_timeout = agree_on_timeout(&mut session, options.silence_limit).await?;
        let framed = session
            .start_replication(
                &options.slot,
                &options.publications,
                Lsn::ZERO,
                options.messages,
            )
            .await?;
        Ok(Self {
            pace: Pace::new(framed.get_ref().receive_buffer()),
            framed,
            progress: Progress::new(Lsn::ZERO),
            feedback: Feedback::new(
                options.status_interval,
                server_timeout,
                options.silence_limit,
                Instant::now(),
            ),
            server_stop: ServerStop::new(server_timeout),
            ended: false,
        })
    }

    /// The next event out of what has been read already; `None` means: await [`fill`](Self::fill).
    ///
    /// # Errors
    ///
    /// A server error that ended the stream, bytes that are not the protocol, or [`Error::ServerStopping`]. The
    /// stream is then over.
    pub fn try_next(&mut self) -> Result<Option<StreamEvent>, Error> {
        while let Some(frame) = self.framed.try_frame()? {
            let data = match BackendMessage::parse(frame)? {
                BackendMessage::CopyData(data) => data,
                BackendMessage::ErrorResponse(error) => return Err(Error::Server(error)),
                BackendMessage::NoticeResponse(warning) if passes_publication_over(&warning) => {
                    return Err(Error::PublicationPassedOver(warning));
                }
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
                self.server_stop.goes_on();
                self.pace.sent(chunk.sent_at);
                Ok(Some(self.track(LogicalMessage::parse(chunk.data)?)))
            }
            CopyMessage::PrimaryKeepalive(keepalive) => {
                self.pace.caught_up();
                self.answer(keepalive)?;
                let reply_requested = keepalive.reply_requested;
                let token = self.progress.keepalive(keepalive.end, reply_requested);
                Ok(token.map(|token| StreamEvent::Idle {
                    token,
                    reply_requested,
                }))
            }
        }
    }

    fn answer(&mut self, keepalive: PrimaryKeepalive) -> Result<(), Error> {
        if !keepalive.reply_requested {
            return Ok(());
        }
        self.feedback.reply_requested();
        let confirmed = self.progress.confirmed();
        self.server_stop
            .waits(Instant::now(), confirmed, keepalive.end)
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

    /// Everything before the token's position is durable elsewhere: the slot may move there. The server hears of
    /// it with the next status update. False, and nothing changes, when the token is of another stream.
    #[expect(clippy::needless_pass_by_value, reason = "a token is used up")]
    pub fn acknowledge(&mut self, token: CommitToken) -> bool {
        self.progress.acknowledge(&token)
    }

    /// The newest position that the server has sent.
    #[must_use]
    pub fn received(&self) -> Lsn {
        self.progress.received()
    }

    /// The newest position that was acknowledged.
    #[must_use]
    pub fn confirmed(&self) -> Lsn {
        self.progress.confirmed()
    }

    /// Whether the server is sending a backlog rather than what has just been committed.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.pace.is_behind()
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

/// pgoutput's warning that it goes on without a publication. Its SQLSTATE has other meanings, and its words are in the
/// server's language.
fn passes_publication_over(warning: &ServerError) -> bool {
    warning.code == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE
        && warning.routine.as_deref() == Some("LoadPublications")
}

/// After how long a silence the server ends this session; `None` when it never does.
///
/// A server that waited longer than we do would keep the slot for a connection that is dead, so the shorter limit holds
/// for both sides. That there is none is left as it is: somebody chose it.
async fn agree_on_timeout(
    session: &mut Session,
    silence_limit: Duration,
) -> Result<Option<Duration>, Error> {
    let Some(server_timeout) = server_timeout(session).await? else {
        return Ok(None);
    };
    if server_timeout <= silence_limit {
        return Ok(Some(server_timeout));
    }
    let limit_ms = silence_limit.as_millis();
    session
        .simple_query(&format!("SET wal_sender_timeout = {limit_ms}"))
        .await?;
    Ok(Some(silence_limit))
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
