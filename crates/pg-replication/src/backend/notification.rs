//! NotificationResponse: another session used NOTIFY.

use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// What another session said with NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notification {
    pub(crate) channel: String,
    pub(crate) payload: String,
}

impl Notification {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        body.u32("the process id")?;
        Ok(Self {
            channel: body.string("the channel")?,
            payload: body.string("the payload")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn reads_every_field() {
        let body = Bytes::from_static(b"\0\0\x10\x92jobs\0new\0");
        assert_eq!(
            Body::read_all("NotificationResponse", body, Notification::decode),
            Ok(Notification {
                channel: "jobs".to_owned(),
                payload: "new".to_owned()
            })
        );
    }
}
