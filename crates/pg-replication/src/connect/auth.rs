//! Proves to the server who we are: nothing, a password in clear or as MD5, or SCRAM-SHA-256 with channel
//! binding where TLS gives one.

use std::io;

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    self, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::frontend;
use tokio_postgres::config::ChannelBinding;

use super::exchange::Exchange;
use crate::backend::{Authentication, BackendMessage};
use crate::error::Error;
use crate::options::ConnectOptions;
use crate::protocol_error::ProtocolError;

const DOING: &str = "authenticate";

/// Why authentication failed before the server itself refused us.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// The server asks for a password and there is none.
    #[error(
        "the server asks for a password: give one in the connection string or in PGPASSWORD (password files \
         are not read)"
    )]
    NoPassword,
    /// The server asks for something that isn't implemented.
    #[error(
        "the server asks for {method}; supported are trust, password, md5, scram-sha-256 and client \
         certificates (pg_hba.conf decides)"
    )]
    Unsupported {
        /// The method, as far as it has a name.
        method: String,
    },
    /// `channel_binding=require` and there is none.
    #[error("channel_binding=require, but the server did not use it (it needs TLS and SCRAM)")]
    NoChannelBinding,
    /// The exchange went wrong; above all when the server doesn't know the password either.
    #[error("the SCRAM exchange with the server failed")]
    Scram(#[source] io::Error),
    /// The ordinary SQL session's own authentication.
    #[error("the SQL session's authentication failed")]
    Client(#[source] tokio_postgres::Error),
}

/// Answers the server until it says that authentication is done.
pub(super) async fn authenticate(
    exchange: &mut Exchange,
    options: &ConnectOptions,
    end_point: Option<Vec<u8>>,
) -> Result<(), Error> {
    let failed = |source| Error::Authentication {
        user: options.user().to_owned(),
        source,
    };
    let password = || {
        options
            .password()
            .ok_or_else(|| failed(AuthenticationError::NoPassword))
    };
    let unbound = || match options.channel_binding() {
        ChannelBinding::Require => Err(failed(AuthenticationError::NoChannelBinding)),
        _ => Ok(()),
    };
    match receive(exchange).await? {
        Authentication::Ok => return unbound(),
        Authentication::CleartextPassword => {
            unbound()?;
            let password = password()?;
            send(exchange, |buffer| {
                frontend::password_message(password, buffer)
            })
            .await?;
        }
        Authentication::Md5 { salt } => {
            unbound()?;
            let hash = md5_hash(options.user().as_bytes(), password()?, salt);
            send(exchange, |buffer| {
                frontend::password_message(hash.as_bytes(), buffer)
            })
            .await?;
        }
        Authentication::Sasl { mechanisms } => {
            let (mechanism, binding) =
                choose(&mechanisms, options.channel_binding(), end_point).map_err(failed)?;
            if mechanism != SCRAM_SHA_256_PLUS {
                unbound()?;
            }
            let client = ScramSha256::new(password()?, binding);
            scram(exchange, mechanism, client, failed).await?;
        }
        Authentication::Unsupported(code) => {
            return Err(failed(AuthenticationError::Unsupported {
                method: method_name(code),
            }));
        }
        Authentication::SaslContinue(_) | Authentication::SaslFinal(_) => return Err(OUT_OF_TURN),
    }
    match receive(exchange).await? {
        Authentication::Ok => Ok(()),
        _ => Err(OUT_OF_TURN),
    }
}

/// The strongest mechanism that both sides can do.
fn choose(
    offered: &[String],
    wanted: ChannelBinding,
    end_point: Option<Vec<u8>>,
) -> Result<(&'static str, sasl::ChannelBinding), AuthenticationError> {
    let offers = |mechanism: &str| offered.iter().any(|offer| offer == mechanism);
    let end_point = end_point.filter(|_| wanted != ChannelBinding::Disable);
    match end_point {
        Some(hash) if offers(SCRAM_SHA_256_PLUS) => Ok((
            SCRAM_SHA_256_PLUS,
            sasl::ChannelBinding::tls_server_end_point(hash),
        )),
        _ if !offers(SCRAM_SHA_256) => Err(AuthenticationError::Unsupported {
            method: format!("SASL {}", offered.join(", ")),
        }),
        // Says that we could have bound: the server then knows of anybody who took its offer away.
        Some(_) => Ok((SCRAM_SHA_256, sasl::ChannelBinding::unrequested())),
        None => Ok((SCRAM_SHA_256, sasl::ChannelBinding::unsupported())),
    }
}

/// The whole exchange, including the server's proof that it knows the password.
async fn scram(
    exchange: &mut Exchange,
    mechanism: &'static str,
    mut client: ScramSha256,
    failed: impl Fn(AuthenticationError) -> Error,
) -> Result<(), Error> {
    send(exchange, |buffer| {
        frontend::sasl_initial_response(mechanism, client.message(), buffer)
    })
    .await?;
    let Authentication::SaslContinue(challenge) = receive(exchange).await? else {
        return Err(OUT_OF_TURN);
    };
    client
        .update(&challenge)
        .map_err(|error| failed(AuthenticationError::Scram(error)))?;
    send(exchange, |buffer| {
        frontend::sasl_response(client.message(), buffer)
    })
    .await?;
    let Authentication::SaslFinal(proof) = receive(exchange).await? else {
        return Err(OUT_OF_TURN);
    };
    client
        .finish(&proof)
        .map_err(|error| failed(AuthenticationError::Scram(error)))
}

/// Names of the protocol's authentication codes (PostgreSQL documentation, "Message Formats").
fn method_name(code: i32) -> String {
    match code {
        2 => "Kerberos V5".to_owned(),
        7 | 8 => "GSSAPI".to_owned(),
        9 => "SSPI".to_owned(),
        other => format!("authentication method {other}"),
    }
}

const OUT_OF_TURN: Error = Error::Protocol(ProtocolError::UnexpectedMessage {
    found: "Authentication",
    expected: "the next step of the same authentication",
});

async fn send(
    exchange: &mut Exchange,
    message: impl FnOnce(&mut BytesMut) -> io::Result<()>,
) -> Result<(), Error> {
    exchange.queue(DOING, message)?;
    exchange.flush(DOING).await
}

async fn receive(exchange: &mut Exchange) -> Result<Authentication, Error> {
    match exchange.receive_success(DOING).await? {
        BackendMessage::Authentication(request) => Ok(request),
        other => Err(other.unexpected("Authentication").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mechanism(
        offered: &[&str],
        wanted: ChannelBinding,
        end_point: Option<Vec<u8>>,
    ) -> &'static str {
        let offered: Vec<String> = offered.iter().map(|&name| name.to_owned()).collect();
        choose(&offered, wanted, end_point).map_or("none", |(mechanism, _)| mechanism)
    }

    #[test]
    fn binds_to_the_channel_where_both_sides_can() {
        let both = [SCRAM_SHA_256_PLUS, SCRAM_SHA_256];
        let hash = || Some(vec![1]);
        assert_eq!(
            mechanism(&both, ChannelBinding::Prefer, hash()),
            SCRAM_SHA_256_PLUS
        );
        assert_eq!(
            mechanism(&both, ChannelBinding::Disable, hash()),
            SCRAM_SHA_256
        );
        assert_eq!(
            mechanism(&both, ChannelBinding::Prefer, None),
            SCRAM_SHA_256
        );
        assert_eq!(
            mechanism(&[SCRAM_SHA_256], ChannelBinding::Prefer, hash()),
            SCRAM_SHA_256
        );
        assert_eq!(
            mechanism(&["OAUTHBEARER"], ChannelBinding::Prefer, None),
            "none"
        );
    }
}
