//! Stands for a connection pooler: passes SQL on, but drops the start-up parameter `replication`, as some do.

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const SSL_REQUEST: u32 = 80_877_103;

/// A pooler in front of `server` (`host:port`); it ends when dropped.
#[derive(Debug)]
pub(crate) struct Pooler {
    /// Where it listens, as `host:port`.
    pub(crate) address: String,
    _sessions: JoinSet<()>,
}

impl Pooler {
    pub(crate) async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut sessions = JoinSet::new();
        sessions.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = server.clone();
                open.spawn(async move {
                    // A session that breaks is the client's to report.
                    drop(serve(client, &server).await);
                });
            }
        });
        Self {
            address,
            _sessions: sessions,
        }
    }
}

async fn serve(mut client: TcpStream, server: &str) -> std::io::Result<()> {
    let mut start = packet(&mut client).await?;
    if start[..4] == SSL_REQUEST.to_be_bytes() {
        client.write_all(b"N").await?;
        start = packet(&mut client).await?;
    }
    let mut server = TcpStream::connect(server).await?;
    server.write_all(&without_replication(&start)).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// The body of a packet without a type byte.
async fn packet(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = client.read_u32().await?;
    let mut body = vec![0; length as usize - 4];
    let mut filled = 0;
    while filled < body.len() {
        match client.read(&mut body[filled..]).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    Ok(body)
}

fn without_replication(start: &[u8]) -> Vec<u8> {
    let (version, parameters) = start.split_at(4);
    let mut body = version.to_vec();
    let mut texts = parameters.split(|byte| *byte == 0);
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        if !name.is_empty() && name != b"replication" {
            body.extend_from_slice(name);
            body.push(0);
            body.extend_from_slice(value);
            body.push(0);
        }
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).unwrap();
    [&length.to_be_bytes()[..], &body].concat()
}
