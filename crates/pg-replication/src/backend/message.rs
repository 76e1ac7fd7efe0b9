//! Any message of the server.

use bytes::Bytes;

use super::{
    Authentication, DataRow, NegotiateProtocolVersion, Notification, ParameterStatus,
    RowDescription, TransactionStatus, copy_response,
};
use crate::body::Body;
use crate::framed::Frame;
use crate::protocol_error::ProtocolError;
use crate::server_error::ServerError;

/// Any message that a server sends to a session which authenticates, runs simple queries and streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BackendMessage {
    Authentication(Authentication),
    /// What a cancel request would name. The secret is dropped: nothing is cancelled here.
    BackendKeyData,
    CommandComplete {
        tag: String,
    },
    CopyBothResponse,
    CopyData(Bytes),
    CopyDone,
    CopyInResponse,
    CopyOutResponse,
    DataRow(DataRow),
    EmptyQueryResponse,
    ErrorResponse(ServerError),
    NegotiateProtocolVersion(NegotiateProtocolVersion),
    NoticeResponse(ServerError),
    NotificationResponse(Notification),
    ParameterStatus(ParameterStatus),
    ReadyForQuery(TransactionStatus),
    RowDescription(RowDescription),
}

impl BackendMessage {
    /// Parses the whole of a frame; values are not copied.
    pub(crate) fn parse(frame: Frame) -> Result<Self, ProtocolError> {
        let Frame { tag, body } = frame;
        match tag {
            b'd' => Ok(Self::CopyData(body)),
            b'R' => Body::read_all("Authentication", body, Authentication::decode)
                .map(Self::Authentication),
            b'K' => Body::read_all("BackendKeyData", body, skip_key_data),
            b'C' => Body::read_all("CommandComplete", body, |body| {
                body.string("the command tag")
            })
            .map(|tag| Self::CommandComplete { tag }),
            b'W' => Body::read_all("CopyBothResponse", body, copy_response::check)
                .map(|()| Self::CopyBothResponse),
            b'G' => Body::read_all("CopyInResponse", body, copy_response::check)
                .map(|()| Self::CopyInResponse),
            b'H' => Body::read_all("CopyOutResponse", body, copy_response::check)
                .map(|()| Self::CopyOutResponse),
            b'c' => Body::read_all("CopyDone", body, |_| Ok(Self::CopyDone)),
            b'D' => Body::read_all("DataRow", body, DataRow::decode).map(Self::DataRow),
            b'I' => Body::read_all("EmptyQueryResponse", body, |_| Ok(Self::EmptyQueryResponse)),
            b'E' => {
                Body::read_all("ErrorResponse", body, ServerError::decode).map(Self::ErrorResponse)
            }
            b'v' => Body::read_all(
                "NegotiateProtocolVersion",
                body,
                NegotiateProtocolVersion::decode,
            )
            .map(Self::NegotiateProtocolVersion),
            b'N' => Body::read_all("NoticeResponse", body, ServerError::decode)
                .map(Self::NoticeResponse),
            b'A' => Body::read_all("NotificationResponse", body, Notification::decode)
                .map(Self::NotificationResponse),
            b'S' => Body::read_all("ParameterStatus", body, ParameterStatus::decode)
                .map(Self::ParameterStatus),
            b'Z' => Body::read_all("ReadyForQuery", body, TransactionStatus::decode)
                .map(Self::ReadyForQuery),
            b'T' => Body::read_all("RowDescription", body, RowDescription::decode)
                .map(Self::RowDescription),
            tag => Err(ProtocolError::UnknownMessage {
                family: "message of a server",
                tag,
            }),
        }
    }

    /// The message's name in PostgreSQL's documentation.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Authentication(_) => "Authentication",
            Self::BackendKeyData => "BackendKeyData",
            Self::CommandComplete { .. } => "CommandComplete",
            Self::CopyBothResponse => "CopyBothResponse",
            Self::CopyData(_) => "CopyData",
            Self::CopyDone => "CopyDone",
            Self::CopyInResponse => "CopyInResponse",
            Self::CopyOutResponse => "CopyOutResponse",
            Self::DataRow(_) => "DataRow",
            Self::EmptyQueryResponse => "EmptyQueryResponse",
            Self::ErrorResponse(_) => "ErrorResponse",
            Self::NegotiateProtocolVersion(_) => "NegotiateProtocolVersion",
            Self::NoticeResponse(_) => "NoticeResponse",
            Self::NotificationResponse(_) => "NotificationResponse",
            Self::ParameterStatus(_) => "ParameterStatus",
            Self::ReadyForQuery(_) => "ReadyForQuery",
            Self::RowDescription(_) => "RowDescription",
        }
    }

    /// The error for this message where only `expected` is allowed.
    pub(crate) fn unexpected(&self, expected: &'static str) -> ProtocolError {
        ProtocolError::UnexpectedMessage {
            found: self.kind(),
            expected,
        }
    }
}

fn skip_key_data(body: &mut Body) -> Result<BackendMessage, ProtocolError> {
    body.u32("the process id")?;
    if body.remaining().is_empty() {
        return Err(body.truncated(0, "the secret key"));
    }
    // Protocol 3.2 (PostgreSQL 18) allows keys of up to 256 bytes.
    body.rest();
    Ok(BackendMessage::BackendKeyData)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(tag: u8, body: &'static [u8]) -> Result<BackendMessage, ProtocolError> {
        BackendMessage::parse(Frame {
            tag,
            body: Bytes::from_static(body),
        })
    }

    #[test]
    fn reads_messages_without_a_file_of_their_own() {
        for (tag, body, expected) in [
            (
                b'K',
                &b"\0\0\x10\x92\x01\x02\x03\x04"[..],
                BackendMessage::BackendKeyData,
            ),
            (
                b'C',
                b"SELECT 1\0",
                BackendMessage::CommandComplete {
                    tag: "SELECT 1".to_owned(),
                },
            ),
            (b'c', b"", BackendMessage::CopyDone),
            (
                b'd',
                b"abc",
                BackendMessage::CopyData(Bytes::from_static(b"abc")),
            ),
            (b'I', b"", BackendMessage::EmptyQueryResponse),
        ] {
            assert_eq!(parse(tag, body), Ok(expected));
        }
    }

    #[test]
    fn tells_an_error_from_a_notice() {
        let body = b"SERROR\0VERROR\0C42601\0Msyntax error\0\0";
        assert!(matches!(
            parse(b'E', body),
            Ok(BackendMessage::ErrorResponse(_))
        ));
        assert!(matches!(
            parse(b'N', body),
            Ok(BackendMessage::NoticeResponse(_))
        ));
    }

    #[test]
    fn refuses_unknown_messages_and_trailing_bytes() {
        for (tag, body) in [
            (b'x', &b""[..]),
            (b'K', b"\0\0\0\x01"),
            (b'C', b"SELECT 1"),
            (b'C', b"SELECT 1\0x"),
            (b'c', b"x"),
            (b'I', b"x"),
        ] {
            parse(tag, body).unwrap_err();
        }
    }

    #[test]
    fn says_what_came_instead() {
        let error = BackendMessage::CopyDone.unexpected("CopyBothResponse");
        assert_eq!(
            error.to_string(),
            "CopyDone came where CopyBothResponse is expected"
        );
    }
}
