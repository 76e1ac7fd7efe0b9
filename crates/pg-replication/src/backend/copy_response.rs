//! CopyBothResponse, CopyInResponse, CopyOutResponse: the session changes into a mode of copying.

use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// Checks the body that all three share. What it says of formats concerns COPY only: in replication it
/// is empty.
pub(super) fn check(body: &mut Body) -> Result<(), ProtocolError> {
    body.u8("the overall format")?;
    let columns = body.u16("the number of columns")?;
    for _ in 0..columns {
        body.u16("the format of a column")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::backend::BackendMessage;
    use crate::framed::Frame;
    use crate::protocol_error::ProtocolError;

    fn parse(tag: u8, body: &'static [u8]) -> Result<BackendMessage, ProtocolError> {
        BackendMessage::parse(Frame {
            tag,
            body: Bytes::from_static(body),
        })
    }

    #[test]
    fn tells_the_three_apart() {
        assert_eq!(parse(b'W', b"\0\0\0"), Ok(BackendMessage::CopyBothResponse));
        assert_eq!(
            parse(b'G', b"\x01\0\x02\0\x01\0\x01"),
            Ok(BackendMessage::CopyInResponse)
        );
        assert_eq!(
            parse(b'H', b"\0\0\x01\0\0"),
            Ok(BackendMessage::CopyOutResponse)
        );
    }

    #[test]
    fn refuses_other_lengths() {
        parse(b'W', b"\0\0").unwrap_err();
        parse(b'W', b"\0\0\x02\0\0").unwrap_err();
        parse(b'W', b"\0\0\0\0").unwrap_err();
    }
}
