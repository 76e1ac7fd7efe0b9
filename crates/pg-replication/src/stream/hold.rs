//! Waiting without taking in more.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::ReplicationStream;
use crate::backend::BackendMessage;
use crate::copy::CopyMessage;
use crate::error::Error;
use crate::framed::Frame;

/// Who holds for less than this is at the bound of a busy sink: nothing needs to be known of the server.
const LOOK_AHEAD_AFTER: Duration = Duration::from_millis(200);

/// Bytes that may wait unread in our buffer while nobody takes them.
const LOOK_AHEAD: usize = 1 << 20;

impl ReplicationStream {
    /// Keeps the connection alive for as long as the caller has no room for more. Only an error ends it.
    ///
    /// When that lasts, up to 1 MiB is read ahead (and stays for [`try_next`](Self::try_next)), so that a server
    /// that shuts down is noticed: it must not wait for a sink that is stuck. Behind a larger backlog it can't be
    /// noticed here; [`Client::ended`](crate::Client::ended) of an ordinary session tells.
    ///
    /// Cancellation safe: what was read stays in the buffer.
    ///
    /// # Errors
    ///
    /// [`Error::ServerStopping`]; an I/O error; [`Error::Closed`], or the server's last words.
    pub async fn hold(&mut self) -> Result<Infallible, Error> {
        loop {
            let since = self.feedback.pause(Instant::now());
            self.look_ahead()?;
            self.send_due_status().await?;
            let deadline = self.feedback.deadline(self.progress.confirmed());
            let quiet = since + LOOK_AHEAD_AFTER;
            if self.framed.buffered() >= LOOK_AHEAD {
                sleep_until(deadline).await;
            } else if Instant::now() < quiet {
                sleep_until(deadline.min(quiet)).await;
            } else {
                match timeout_at(deadline, self.framed.fill()).await {
                    Ok(Ok(0)) => return Err(Error::Closed),
                    Ok(Ok(_)) | Err(_) => {}
                    Ok(Err(source)) => {
                        return Err(Error::Io {
                            doing: "read the stream",
                            source,
                        });
                    }
                }
            }
        }
    }

    /// Looks at what has been read for what can't wait until it is taken.
    fn look_ahead(&mut self) -> Result<(), Error> {
        while let Some((tag, body)) = self.framed.peek_frame()? {
            match (tag, body.first()) {
                (b'd', Some(b'k')) => {
                    let content = Bytes::copy_from_slice(body);
                    if let CopyMessage::PrimaryKeepalive(keepalive) = CopyMessage::parse(content)? {
                        self.answer(keepalive)?;
                    }
                }
                (b'd', _) => self.server_stop.goes_on(),
                (b'E', _) => {
                    let body = Bytes::copy_from_slice(body);
                    if let BackendMessage::ErrorResponse(error) =
                        BackendMessage::parse(Frame { tag, body })?
                    {
                        return Err(Error::Server(error));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
