//! Sends requests.
//!
//! Built on hyper's connections and not on a whole client, for three things that those do not offer: to know for certain
//! whether a request was sent, to vet and pin addresses at every attempt while connections are kept, and to bound the idle
//! connections of all endpoints together.

mod connect;
mod deadline;
mod exchange;
mod names;
mod pool;
mod settings;
mod tasks;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::Full;
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use self::connect::Connector;
use self::deadline::Deadline;
use self::exchange::{Broken, Link};
use self::names::Names;
use self::pool::Pool;
pub use self::settings::{InvalidSettings, Settings};
use self::tasks::Tasks;
use crate::attempt::{Answer, Attempt, Connection};
use crate::error::{SendError, Stage};
use crate::excerpt::excerpt;
use crate::guard::{Guard, Target, TargetHost};
use crate::request::Request;
use crate::resolve::{Resolve, SystemResolver};
use crate::retry_after::retry_after;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Once an endpoint has said yes, its words matter no more: they get this long, so that the connection can be kept.
const WORDS_AFTER_SUCCESS: Duration = Duration::from_millis(500);

/// Sends webhooks. A clone shares connections and limits.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    user_agent: HeaderValue,
    names: Names,
    connector: Connector,
    pool: Arc<Pool>,
    tasks: Tasks,
    _stop: DropGuard,
}

impl Client {
    /// A client that looks hosts up as the operating system does.
    ///
    /// # Errors
    ///
    /// [`InvalidSettings`] says which setting cannot be used.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new(settings: Settings) -> Result<Self, InvalidSettings> {
        Self::with_resolver(settings, SystemResolver::default())
    }

    /// A client with a resolver of the caller's.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    pub fn with_resolver(
        settings: Settings,
        resolver: impl Resolve,
    ) -> Result<Self, InvalidSettings> {
        let user_agent = settings.checked_user_agent()?;
        let (tasks, stop) = Tasks::new();
        let pool = Arc::new(Pool::new(settings.max_idle, settings.idle_timeout));
        tasks.spawn(Arc::clone(&pool).sweep_for_ever());
        let inner = Inner {
            names: Names::new(resolver, settings.dns_cache),
            connector: Connector::new(&settings, tasks.clone())?,
            user_agent,
            settings,
            pool,
            tasks,
            _stop: stop,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The guard, to check URLs by.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.inner.settings.guard
    }

    /// Sends a request, once: redirects are not followed, no proxy is asked, and nothing is sent a second time. The
    /// one exception sends nothing twice either: when a kept connection turns out to be closed before anything of the
    /// request was written, another connection is used.
    ///
    /// Ends within [`Settings::timeout`], which covers DNS, connection, encryption and the whole answer. Once the status
    /// has come it decides, whatever happens to the body.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives the request up and closes its connection; the endpoint may have received it.
    pub async fn send(&self, request: &Request<'_>) -> Attempt {
        let started = Instant::now();
        let mut connection = None;
        let result = self.inner.attempt(request, started, &mut connection).await;
        Attempt {
            result,
            duration: started.elapsed(),
            connection,
        }
    }

    /// Closes all connections and waits until their tasks have ended. Requests under way fail.
    pub async fn close(&self) {
        self.inner.tasks.stop().await;
    }
}

impl Inner {
    async fn attempt(
        &self,
        request: &Request<'_>,
        started: Instant,
        connection: &mut Option<Connection>,
    ) -> Result<Answer, SendError> {
        let Settings {
            timeout,
            max_request_bytes: limit,
            ..
        } = self.settings;
        let deadline = Deadline::new(started, timeout);
        let target = request.target;
        self.settings
            .guard
            .check_target(target)
            .map_err(SendError::Refused)?;
        let bytes = request.body.bytes.len();
        if bytes > limit {
            return Err(SendError::TooLarge { bytes, limit });
        }
        let addresses = deadline.limit(Stage::Lookup, self.vetted(target)).await??;
        let signed = self.headers(request);
        loop {
            let kept = self.pool.take(target.shared_origin(), &addresses);
            let reused = kept.is_some();
            let link = match kept {
                Some(link) => link,
                // In a box, since it is seldom done and would be nine tenths of what every request carries along.
                None => Box::pin(self.open(target, &addresses, deadline)).await?,
            };
            *connection = Some(if reused {
                Connection::Reused
            } else {
                Connection::Fresh
            });
            let message = message(&link, request, signed.clone());
            match link
                .exchange(message, deadline, self.settings.max_response_bytes)
                .await
            {
                Ok(heard) => {
                    if let Some(link) = heard.link {
                        self.pool.put(target.shared_origin(), link);
                    }
                    return Ok(self.answer(&heard.head, &heard.body, heard.cut));
                }
                Err(Broken { error, unsent }) => {
                    // Others would wait on it as this request did.
                    self.pool.forget_shared(target.shared_origin());
                    if !(unsent && reused) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// The addresses of the target, all of them vetted. If one is refused, all are: an answer that mixes public and other
    /// addresses is an attempt to get through.
    async fn vetted(&self, target: &Target) -> Result<Vec<SocketAddr>, SendError> {
        let at = |address| SocketAddr::new(address, target.port());
        let addresses: Vec<_> = match target.host() {
            TargetHost::Address(address) => vec![at(*address)],
            TargetHost::Name(name) => {
                let found = self
                    .names
                    .addresses(name)
                    .await
                    .map_err(SendError::Lookup)?;
                found.iter().copied().map(at).collect()
            }
        };
        for address in &addresses {
            self.settings
                .guard
                .check_address(*address)
                .map_err(SendError::Refused)?;
        }
        Ok(addresses)
    }

    async fn open(
        &self,
        target: &Target,
        addresses: &[SocketAddr],
        deadline: Deadline,
    ) -> Result<Link, SendError> {
        let within = deadline.within(self.settings.connect_timeout);
        let link = self
            .connector
            .connect(target, addresses, &self.settings.guard, within)
            .await?;
        if let Some(shared) = link.share() {
            self.pool.put(target.shared_origin(), shared);
        }
        Ok(link)
    }

    fn headers(&self, request: &Request<'_>) -> HeaderMap {
        let extra = request.headers.as_map();
        let mut headers = HeaderMap::with_capacity(extra.len() + 8);
        headers.extend(
            extra
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        headers.insert(header::CONTENT_TYPE, request.body.content_type());
        if let Some(accept) = request.body.accept() {
            headers.insert(header::ACCEPT, accept);
        }
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        let seconds = request
            .at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        headers.insert(WEBHOOK_ID, request.id.header());
        headers.insert(WEBHOOK_TIMESTAMP, seconds.into());
        if let Some(secrets) = request.secrets {
            headers.insert(
                WEBHOOK_SIGNATURE,
                secrets.sign(request.id, seconds, &request.body.bytes),
            );
        }
        headers
    }

    fn answer(&self, head: &http::response::Parts, body: &[u8], cut: bool) -> Answer {
        Answer {
            status: head.status,
            retry_after: retry_after(&head.headers, SystemTime::now()),
            excerpt: excerpt(&head.headers, body, cut, self.settings.max_response_bytes),
        }
    }
}

/// The request as the protocol of the connection wants it.
fn message(
    link: &Link,
    request: &Request<'_>,
    mut headers: HeaderMap,
) -> http::Request<Full<Bytes>> {
    let target = request.target;
    let uri = if link.is_shared() {
        target.absolute()
    } else {
        headers.insert(header::HOST, target.host_header().clone());
        target.relative()
    };
    let mut message = http::Request::new(Full::new(request.body.bytes.clone()));
    *message.method_mut() = http::Method::POST;
    *message.uri_mut() = uri.clone();
    *message.headers_mut() = headers;
    message
}
