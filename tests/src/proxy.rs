//! A TCP proxy in front of PostgreSQL that fails in ways a server does not.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The most that is moved at once, in bytes.
const BUFFER: usize = 64 * 1024;

/// What the proxy does to the bytes that pass. It can be changed at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// Nothing moves; sockets stay open and new ones get no answer.
    pub frozen: bool,
    /// Every piece waits for this long before it is passed on.
    pub delay: Duration,
    /// Pieces are cut to this many bytes, each a TCP segment of its own.
    pub piece: NonZeroUsize,
    /// Connections that were made before this number was raised are cut.
    generation: u64,
    /// The server is not told of a cut.
    unnoticed: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        let piece = NonZeroUsize::new(BUFFER).unwrap_or(NonZeroUsize::MIN);
        Self {
            frozen: false,
            delay: Duration::ZERO,
            piece,
            generation: 0,
            unnoticed: false,
        }
    }
}

/// Forwards connections to one server until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    behaviour: watch::Sender<Behaviour>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port in front of `server` (`host:port`).
    ///
    /// # Errors
    /// Fails if the name is unknown or there is no port to be had.
    pub async fn in_front_of(server: &str) -> Result<Self> {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), server).await
    }

    /// Listens on `address`, where nobody did before: until now the server was "down".
    ///
    /// # Errors
    /// Fails if the name is unknown or the port is taken.
    pub async fn at(address: SocketAddr, server: &str) -> Result<Self> {
        let server = lookup_host(server)
            .await?
            .next()
            .context("the server has no address")?;
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (behaviour, watched) = watch::channel(Behaviour::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, watched));
        Ok(Self {
            address,
            behaviour,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it does to bytes.
    pub fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        self.behaviour.send_modify(change);
    }

    /// Cuts all connections; new ones are served.
    pub fn cut(&self) {
        self.set(|behaviour| behaviour.generation += 1);
    }

    /// Cuts all connections, and the server hears nothing of it, as if a router between had forgotten them; new ones are
    /// served.
    pub fn cut_unnoticed_by_the_server(&self) {
        self.set(|behaviour| {
            behaviour.unnoticed = true;
            behaviour.generation += 1;
        });
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, behaviour: watch::Receiver<Behaviour>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        connections.spawn(serve(client, server, behaviour.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(client: TcpStream, server: SocketAddr, behaviour: watch::Receiver<Behaviour>) {
    let generation = behaviour.borrow().generation;
    let is_cut = || {
        let mut behaviour = behaviour.clone();
        async move {
            let cut = behaviour.wait_for(|behaviour| behaviour.generation != generation);
            cut.await.ok();
        }
    };
    let connected = async {
        thawed(&mut behaviour.clone()).await;
        let server = TcpStream::connect(server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        std::io::Result::Ok(server)
    };
    let mut server = tokio::select! {
        Ok(server) = connected => server,
        () = is_cut() => return,
    };
    let (mut from_server, mut to_server) = server.split();
    let (mut from_client, mut to_client) = client.into_split();
    tokio::select! {
        // Either side hung up; both sockets close with the end of this task.
        _ = pump(&mut from_client, &mut to_server, behaviour.clone()) => return,
        _ = pump(&mut from_server, &mut to_client, behaviour.clone()) => return,
        () = is_cut() => {}
    }
    drop((from_client, to_client));
    if behaviour.borrow().unnoticed {
        std::future::pending::<()>().await;
    }
}

/// Moves bytes until one side closes.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut behaviour: watch::Receiver<Behaviour>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        thawed(&mut behaviour).await;
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            thawed(&mut behaviour).await;
            let Behaviour { delay, piece, .. } = *behaviour.borrow();
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let (piece, later) = rest.split_at(piece.get().min(rest.len()));
            to.write_all(piece).await?;
            rest = later;
        }
    }
}

async fn thawed(behaviour: &mut watch::Receiver<Behaviour>) {
    // An error means that the proxy is gone, and this task with it.
    behaviour.wait_for(|behaviour| !behaviour.frozen).await.ok();
}
