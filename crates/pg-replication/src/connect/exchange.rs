//! Messages over an open connection, one after the other: what startup and queries have in common.

use std::collections::BTreeMap;
use std::io;

use bytes::BytesMut;

use super::stream::Stream;
use crate::backend::BackendMessage;
use crate::error::Error;
use crate::framed::{Framed, FramedOptions};

/// A connection and what the server told about itself.
#[derive(Debug)]
pub(crate) struct Exchange {
    framed: Framed<Stream>,
    parameters: BTreeMap<String, String>,
}

impl Exchange {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            framed: Framed::new(stream, FramedOptions::default()),
            parameters: BTreeMap::new(),
        }
    }

    /// The server's latest value of a setting that it reports.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Adds one message to what is sent next.
    pub(crate) fn queue(
        &mut self,
        doing: &'static str,
        message: impl FnOnce(&mut BytesMut) -> io::Result<()>,
    ) -> Result<(), Error> {
        let mut buffer = BytesMut::new();
        message(&mut buffer).map_err(|source| Error::Io { doing, source })?;
        self.framed.write_buffer().extend_from_slice(&buffer);
        Ok(())
    }

    /// Sends what is queued. Cancellation safe: the rest stays queued.
    pub(crate) async fn flush(&mut self, doing: &'static str) -> Result<(), Error> {
        self.framed
            .flush()
            .await
            .map_err(|source| Error::Io { doing, source })
    }

    /// The next message that is an answer: notices and notifications are left out, settings are remembered.
    /// Cancellation safe.
    pub(crate) async fn receive(&mut self, doing: &'static str) -> Result<BackendMessage, Error> {
        loop {
            while let Some(frame) = self.framed.try_frame()? {
                match BackendMessage::parse(frame)? {
                    BackendMessage::NoticeResponse(notice) => {
                        tracing::debug!("notice from PostgreSQL: {notice}");
                    }
                    BackendMessage::NotificationResponse { .. } => {}
                    BackendMessage::ParameterStatus(status) => {
                        self.parameters.insert(status.name, status.value);
                    }
                    answer => return Ok(answer),
                }
            }
            match self.framed.fill().await {
                Ok(0) => return Err(Error::Closed),
                Ok(_) => {}
                Err(source) => return Err(Error::Io { doing, source }),
            }
        }
    }

    /// The next answer; an ErrorResponse as the error that it is.
    pub(crate) async fn receive_success(
        &mut self,
        doing: &'static str,
    ) -> Result<BackendMessage, Error> {
        match self.receive(doing).await? {
            BackendMessage::ErrorResponse(error) => Err(Error::Server(error)),
            answer => Ok(answer),
        }
    }

    pub(crate) fn into_framed(self) -> Framed<Stream> {
        self.framed
    }
}
