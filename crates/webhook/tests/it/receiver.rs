//! Receivers of webhooks, in this process.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A server that stops with this value.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: JoinSet<()>,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Receiver {
    /// Hands every connection to `handle`.
    pub(crate) async fn raw<H, F>(handle: H) -> Self
    where
        H: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let counter = Arc::clone(&connections);
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                open.spawn(handle(socket));
            }
        });
        Self {
            address,
            connections,
            seen: Arc::default(),
            _tasks: tasks,
        }
    }

    /// Writes these bytes once a request has come, and closes the connection.
    pub(crate) async fn saying(words: impl Into<Vec<u8>>) -> Self {
        let words = Arc::new(words.into());
        Self::raw(move |mut socket| {
            let words = Arc::clone(&words);
            async move {
                read_request(&mut socket).await;
                drop(tokio::io::AsyncWriteExt::write_all(&mut socket, &words).await);
            }
        })
        .await
    }

    /// Answers every request, over HTTP/1.1 without encryption.
    pub(crate) async fn answering<A>(answer: A) -> Self
    where
        A: Fn(&Seen) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
    {
        Self::with(None, answer).await
    }

    /// Answers every request, over whichever protocol is agreed on in the handshake.
    pub(crate) async fn encrypted<A>(acceptor: TlsAcceptor, answer: A) -> Self
    where
        A: Fn(&Seen) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
    {
        Self::with(Some(acceptor), answer).await
    }

    async fn with<A>(acceptor: Option<TlsAcceptor>, answer: A) -> Self
    where
        A: Fn(&Seen) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let receiver = Self::raw(move |socket| {
            let (acceptor, answer, log) = (acceptor.clone(), answer.clone(), Arc::clone(&log));
            async move {
                let Some(acceptor) = acceptor else {
                    return serve(socket, false, answer, log).await;
                };
                if let Ok(stream) = acceptor.accept(socket).await {
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    serve(stream, http2, answer, log).await;
                }
            }
        })
        .await;
        Self { seen, ..receiver }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// With a name that its certificate has.
    pub(crate) fn https_url(&self) -> String {
        format!("https://localhost:{}/hook", self.address.port())
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads until the end of a request with a body of a known length.
pub(crate) async fn read_request(socket: &mut TcpStream) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.trim().parse().unwrap()) {
                return;
            }
        }
        if socket.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

async fn serve<I, A>(io: I, http2: bool, answer: A, log: Arc<Mutex<Vec<Seen>>>)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    A: Fn(&Seen) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
{
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (answer, log) = (answer.clone(), Arc::clone(&log));
        async move {
            let (head, body) = request.into_parts();
            let seen = Seen {
                method: head.method,
                uri: head.uri,
                version: head.version,
                headers: head.headers,
                body: body
                    .collect()
                    .await
                    .map(http_body_util::Collected::to_bytes)
                    .unwrap_or_default(),
            };
            let response = answer(&seen);
            log.lock().unwrap().push(seen);
            Ok::<_, Infallible>(response)
        }
    });
    let served = if http2 {
        http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(io), service)
            .await
    } else {
        http1::Builder::new()
            .serve_connection(TokioIo::new(io), service)
            .await
    };
    // A sender that gives up in the middle is no failure of the receiver.
    served.ok();
}

/// An answer with a status and no body.
pub(crate) fn status(status: u16) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .body(Full::default())
        .unwrap()
}
