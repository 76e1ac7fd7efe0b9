//! ParameterStatus: a setting of the server that concerns clients.

use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// A setting of the server, at the start of a session and whenever it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParameterStatus {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl ParameterStatus {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        Ok(Self {
            name: body.string("the name")?,
            value: body.string("the value")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn decode(body: &'static [u8]) -> Result<ParameterStatus, ProtocolError> {
        Body::read_all(
            "ParameterStatus",
            Bytes::from_static(body),
            ParameterStatus::decode,
        )
    }

    #[test]
    fn reads_name_and_value() {
        assert_eq!(
            decode(b"server_version\x0015.18\0"),
            Ok(ParameterStatus {
                name: "server_version".to_owned(),
                value: "15.18".to_owned()
            })
        );
    }

    #[test]
    fn refuses_a_name_without_a_value() {
        decode(b"server_version\0").unwrap_err();
        decode(b"server_version\x0015.18").unwrap_err();
    }
}
