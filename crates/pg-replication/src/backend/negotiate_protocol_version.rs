//! NegotiateProtocolVersion: the server does not know all that the start-up message asked for.

use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// The server offers less than the start-up message asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NegotiateProtocolVersion {
    /// The newest minor version of protocol 3 that the server speaks.
    pub(crate) newest_minor: u32,
    /// Protocol options that it does not know.
    pub(crate) unknown_options: Vec<String>,
}

impl NegotiateProtocolVersion {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        let newest_minor = body.u32("the newest minor version")?;
        let count = body.u32("the number of unknown options")?;
        let unknown_options = (0..count)
            .map(|_| body.string("the name of an option"))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            newest_minor,
            unknown_options,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn decode(body: &'static [u8]) -> Result<NegotiateProtocolVersion, ProtocolError> {
        let bytes = Bytes::from_static(body);
        Body::read_all(
            "NegotiateProtocolVersion",
            bytes,
            NegotiateProtocolVersion::decode,
        )
    }

    #[test]
    fn reads_every_field() {
        assert_eq!(
            decode(b"\0\0\0\0\0\0\0\x02_pq_.a\0_pq_.b\0"),
            Ok(NegotiateProtocolVersion {
                newest_minor: 0,
                unknown_options: vec!["_pq_.a".to_owned(), "_pq_.b".to_owned()],
            })
        );
    }

    #[test]
    fn a_promise_of_options_that_do_not_come_costs_nothing() {
        decode(b"\0\0\0\0\xff\xff\xff\xff").unwrap_err();
    }
}
