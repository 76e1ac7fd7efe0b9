//! A request and its answer over one connection.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use tokio::time::{Instant, timeout_at};

use super::WORDS_AFTER_SUCCESS;
use super::deadline::Deadline;
use crate::error::{SendError, Stage};

/// A kept connection's task may still have to notice that its last answer is complete.
const READY: Duration = Duration::from_millis(100);

type Message = Request<Full<Bytes>>;

/// An open connection to an endpoint.
#[derive(Debug)]
pub(super) struct Link {
    sender: Sender,
    peer: SocketAddr,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An answer.
pub(super) struct Heard {
    pub(super) head: http::response::Parts,
    /// The beginning of the body, within the limit.
    pub(super) body: Vec<u8>,
    /// Whether there was more of it, or may have been.
    pub(super) cut: bool,
    /// The connection, if it can take another request.
    pub(super) link: Option<Link>,
}

/// No answer.
pub(super) struct Broken {
    pub(super) error: SendError,
    /// Nothing of the request was written.
    pub(super) unsent: bool,
}

impl Link {
    pub(super) const fn http1(sender: http1::SendRequest<Full<Bytes>>, peer: SocketAddr) -> Self {
        Self {
            sender: Sender::Http1(sender),
            peer,
        }
    }

    pub(super) const fn http2(sender: http2::SendRequest<Full<Bytes>>, peer: SocketAddr) -> Self {
        Self {
            sender: Sender::Http2(sender),
            peer,
        }
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether it takes several requests at once.
    pub(super) const fn is_shared(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Another handle of a connection that takes several requests at once.
    pub(super) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Self::http2(sender.clone(), self.peer)),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    fn is_ready(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_ready(),
            Sender::Http2(sender) => sender.is_ready(),
        }
    }

    /// Sends the request and reads the answer: at most `limit` bytes of its body, as long as the deadline allows.
    pub(super) async fn exchange(
        mut self,
        message: Message,
        deadline: Deadline,
        limit: usize,
    ) -> Result<Heard, Broken> {
        self.ready(deadline).await?;
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                timeout_at(deadline.at, sender.try_send_request(message)).await
            }
            Sender::Http2(sender) => {
                timeout_at(deadline.at, sender.try_send_request(message)).await
            }
        };
        let answer: Response<Incoming> = match answer {
            Ok(answer) => answer.map_err(broken)?,
            Err(_) => {
                return Err(Broken {
                    error: deadline.exceeded(Stage::Answer),
                    unsent: false,
                });
            }
        };
        let (head, body) = answer.into_parts();
        let until = if head.status.is_success() {
            deadline.within(WORDS_AFTER_SUCCESS)
        } else {
            deadline
        };
        let (body, cut) = read(body, limit, until.at).await;
        // What has not been read to its end cannot be followed by another answer.
        let link = (!cut && !self.is_shared()).then_some(self);
        Ok(Heard {
            head,
            body,
            cut,
            link,
        })
    }

    async fn ready(&mut self, deadline: Deadline) -> Result<(), Broken> {
        if self.is_ready() {
            return Ok(());
        }
        let until = deadline.within(READY);
        let ready = match &mut self.sender {
            Sender::Http1(sender) => timeout_at(until.at, sender.ready()).await,
            Sender::Http2(sender) => timeout_at(until.at, sender.ready()).await,
        };
        match ready {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Broken {
                error: SendError::ClosedEarly(error),
                unsent: true,
            }),
            Err(_) => Err(Broken {
                error: until.exceeded(Stage::Handshake),
                unsent: true,
            }),
        }
    }
}

/// Hyper gives the request back only if it wrote nothing of it.
fn broken(mut refused: TrySendError<Message>) -> Broken {
    let unsent = refused.take_message().is_some();
    let error = refused.into_error();
    let error = if unsent {
        SendError::ClosedEarly(error)
    } else if error.is_parse() {
        SendError::Protocol(error)
    } else {
        SendError::Closed(error)
    };
    Broken { error, unsent }
}

/// The first bytes of the body, and whether that is not all of it.
async fn read(mut body: Incoming, limit: usize, until: Instant) -> (Vec<u8>, bool) {
    let mut kept = Vec::new();
    loop {
        let frame = match timeout_at(until, body.frame()).await {
            Ok(None) => return (kept, false),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) | Err(_) => return (kept, true),
        };
        // What is no data is a trailer, which says nothing that matters.
        if let Ok(data) = frame.into_data() {
            let fits = data.len().min(limit - kept.len());
            kept.extend_from_slice(&data[..fits]);
            if fits < data.len() {
                return (kept, true);
            }
        }
    }
}
