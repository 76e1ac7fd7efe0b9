//! Authentication: what the server wants to see, or that it is content.

use bytes::Bytes;

use crate::body::Body;
use crate::protocol_error::ProtocolError;

/// A step of authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// Nothing more is needed.
    Ok,
    CleartextPassword,
    Md5 {
        salt: [u8; 4],
    },
    /// The mechanisms that the server offers, the ones it likes best first.
    Sasl {
        mechanisms: Vec<String>,
    },
    SaslContinue(Bytes),
    SaslFinal(Bytes),
    /// Any other method (Kerberos, GSSAPI, SSPI), by its number in the protocol.
    Unsupported(i32),
}

impl Authentication {
    pub(super) fn decode(body: &mut Body) -> Result<Self, ProtocolError> {
        Ok(match body.i32("the authentication method")? {
            0 => Self::Ok,
            3 => Self::CleartextPassword,
            5 => Self::Md5 {
                salt: body.u32("the salt")?.to_be_bytes(),
            },
            10 => Self::Sasl {
                mechanisms: mechanisms(body)?,
            },
            11 => Self::SaslContinue(body.rest()),
            12 => Self::SaslFinal(body.rest()),
            other => {
                body.rest();
                Self::Unsupported(other)
            }
        })
    }
}

fn mechanisms(body: &mut Body) -> Result<Vec<String>, ProtocolError> {
    let mut names = Vec::new();
    loop {
        match body.string("a SASL mechanism or the end of the list")? {
            name if name.is_empty() => return Ok(names),
            name => names.push(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: &'static [u8]) -> Result<Authentication, ProtocolError> {
        Body::read_all(
            "Authentication",
            Bytes::from_static(body),
            Authentication::decode,
        )
    }

    #[test]
    fn reads_every_method() {
        let mechanisms = vec!["SCRAM-SHA-256-PLUS".to_owned(), "SCRAM-SHA-256".to_owned()];
        for (body, expected) in [
            (&b"\0\0\0\0"[..], Authentication::Ok),
            (b"\0\0\0\x03", Authentication::CleartextPassword),
            (
                b"\0\0\0\x05\x01\x02\x03\x04",
                Authentication::Md5 { salt: [1, 2, 3, 4] },
            ),
            (
                b"\0\0\0\x0ASCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",
                Authentication::Sasl { mechanisms },
            ),
            (
                b"\0\0\0\x0Br=x",
                Authentication::SaslContinue(Bytes::from_static(b"r=x")),
            ),
            (
                b"\0\0\0\x0Cv=x",
                Authentication::SaslFinal(Bytes::from_static(b"v=x")),
            ),
            (b"\0\0\0\x07", Authentication::Unsupported(7)),
            (b"\0\0\0\x08token", Authentication::Unsupported(8)),
        ] {
            assert_eq!(decode(body), Ok(expected));
        }
    }

    #[test]
    fn refuses_broken_ones() {
        for body in [
            &b"\0\0\0"[..],
            b"\0\0\0\0x",
            b"\0\0\0\x05\x01\x02\x03",
            b"\0\0\0\x0ASCRAM-SHA-256\0",
            b"\0\0\0\x0ASCRAM-SHA-256",
        ] {
            decode(body).unwrap_err();
        }
    }
}
