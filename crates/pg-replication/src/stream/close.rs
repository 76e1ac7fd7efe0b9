//! The stream's end in order.

use std::time::Duration;

use pg_lsn::Lsn;
use tokio::time::timeout;

use super::ReplicationStream;
use crate::backend::BackendMessage;
use crate::error::Error;

impl ReplicationStream {
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
}
