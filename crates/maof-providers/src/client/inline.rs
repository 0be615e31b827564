//! The client for HTTP/1 in clear text: each connection is polled by the request that uses it, and by nothing else.
//!
//! A connection with a task of its own costs a spawn, two channels and two wakes for every exchange, and hands a
//! stream over frame by frame. Here the request's future lets the connection read and write, then looks at what came
//! of it; afterwards the body does. So dropping either closes the connection at once, and frames that came in one
//! packet are ready in one poll. An idle connection is polled by nobody: whether its host has closed it is found out
//! when it is taken out again.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures::future::poll_fn;
use futures::{FutureExt as _, Stream};
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::uri::{Authority, PathAndQuery};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use maof_core::{Clock, Error, Result};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::coop::unconstrained;
use tower_service::Service as _;

use super::connect::{Within, tcp, unanswered, unreachable};
use super::pool::Pool;
use super::{Answer, Request};

type Sent = http::Request<Full<Bytes>>;

/// Connections to one host that are kept for the next request.
#[derive(Debug)]
pub(super) struct Inline {
    connector: Within<HttpConnector>,
    host: Host,
    idle: Arc<Idle>,
}

/// The host, as connectors and as requests name it.
#[derive(Debug)]
struct Host {
    authority: Authority,
    header: HeaderValue,
    /// The path of the first request, which is that of most.
    path: OnceLock<PathAndQuery>,
}

struct Idle {
    pool: Mutex<Pool<Box<Line>>>,
    clock: Arc<dyn Clock>,
}

/// A connection, and the way to hand it a request.
struct Line {
    sender: SendRequest<Full<Bytes>>,
    /// None once it is over.
    connection: Option<Connection<TokioIo<TcpStream>, Full<Bytes>>>,
}

impl Inline {
    /// For requests to this host; none when it cannot be named in a header.
    pub(super) fn new(
        authority: Authority,
        connect_timeout: Duration,
        clock: Arc<dyn Clock>,
    ) -> Option<Self> {
        let header = match authority.port_u16() {
            None | Some(80) => HeaderValue::from_str(authority.host()),
            Some(port) => HeaderValue::from_str(&format!("{}:{port}", authority.host())),
        };
        Some(Inline {
            connector: Within { connector: tcp(), most: connect_timeout },
            host: Host { header: header.ok()?, authority, path: OnceLock::new() },
            idle: Arc::new(Idle { pool: Mutex::default(), clock }),
        })
    }

    /// Whether this host is the one that `url` is of.
    pub(super) fn serves(&self, url: &str) -> bool {
        self.path(url).is_some()
    }

    fn path<'u>(&self, url: &'u str) -> Option<&'u str> {
        let path = url.strip_prefix("http://")?.strip_prefix(self.host.authority.as_str())?;
        path.starts_with('/').then_some(path)
    }

    /// Sends a request to this host. As [`super::Http::send`].
    pub(super) async fn send(&self, request: Request) -> Result<Answer> {
        let mut sent = self.request(request)?;
        loop {
            let idle = self.idle.take();
            let fresh = idle.is_none();
            let mut line = match idle {
                Some(line) => line,
                None => self.connect().await?,
            };
            match line.exchange(sent).await {
                Ok(answer) => return Ok(self.answer(answer, line)),
                // Given back before a byte of it was sent: the connection was closed since it was looked at.
                Err(mut failed) => match failed.take_message().filter(|_| !fresh) {
                    Some(unsent) => sent = unsent,
                    None => return Err(unanswered(failed.into_error())),
                },
            }
        }
    }

    fn request(&self, request: Request) -> Result<Sent> {
        let path = self.host.path_of(self.path(&request.url).unwrap_or_default())?;
        let mut sent = http::Request::new(Full::new(request.body));
        *sent.method_mut() = request.method;
        *sent.uri_mut() = path.into();
        let mut headers = request.headers;
        headers.insert(USER_AGENT, HeaderValue::from_static(super::AGENT));
        headers.insert(HOST, self.host.header.clone());
        *sent.headers_mut() = headers;
        Ok(sent)
    }

    async fn connect(&self) -> Result<Box<Line>> {
        let most = self.connector.most;
        let address = http::Uri::builder().scheme("http").authority(self.host.authority.clone());
        let address = address.path_and_query("/").build();
        let address =
            address.map_err(|e| Error::internal("the upstream's address cannot be used").because(e))?;
        let mut connector = self.connector.clone();
        poll_fn(|cx| connector.poll_ready(cx)).await.map_err(|e| unreachable(&*e, most))?;
        let socket = connector.call(address).await.map_err(|e| unreachable(&*e, most))?;
        let (sender, connection) = handshake(socket).await.map_err(|e| unreachable(&e, most))?;
        Ok(Box::new(Line { sender, connection: Some(connection) }))
    }

    fn answer(&self, answer: http::Response<Incoming>, line: Box<Line>) -> Answer {
        let (head, incoming) = answer.into_parts();
        let body = Body { incoming, line: Some(line), idle: Arc::clone(&self.idle) };
        Answer { status: head.status.as_u16(), headers: head.headers, body: Box::pin(body) }
    }
}

impl Host {
    fn path_of(&self, path: &str) -> Result<PathAndQuery> {
        if let Some(known) = self.path.get().filter(|known| known.as_str() == path) {
            return Ok(known.clone());
        }
        let new = PathAndQuery::try_from(path)
            .map_err(|e| Error::internal("the upstream's address cannot be used").because(e))?;
        self.path.get_or_init(|| new.clone());
        Ok(new)
    }
}

impl Idle {
    /// A connection that is open as far as is known.
    fn take(&self) -> Option<Box<Line>> {
        loop {
            let taken = self.pool.lock().take(self.clock.instant());
            let mut line = taken?;
            if line.is_free() {
                return Some(line);
            }
        }
    }

    /// Keeps a connection whose answer has ended, unless it cannot be used again.
    fn put(&self, mut line: Box<Line>) {
        if line.is_free() {
            let out = self.pool.lock().put(line, self.clock.instant());
            // Closed outside of the lock.
            drop(out);
        }
    }
}

impl Line {
    /// Lets the connection read and write as far as it can.
    fn drive(&mut self, waker: &Waker) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(&mut Context::from_waker(waker)).is_ready()
        {
            // Why it is over was told to whoever waits for its answer, if anybody does.
            self.connection = None;
        }
    }

    /// Whether it is open and waits for a request.
    fn is_free(&mut self) -> bool {
        // Unconstrained, because a task whose budget is used up is not shown that its host has closed.
        let _ = unconstrained(async { self.drive(Waker::noop()) }).now_or_never();
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Drives the connection until `look` sees something. `look` is woken by nothing: only the connection changes
    /// what it sees. What the connection does at first it does without a waker, so that it does not wake the very
    /// task that polls it; before that task waits, the connection is polled with its waker.
    fn poll_until<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut look: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let blind = &mut Context::from_waker(Waker::noop());
        for waker in [Waker::noop(), cx.waker()] {
            self.drive(waker);
            if let Poll::Ready(seen) = look(blind) {
                return Poll::Ready(seen);
            }
        }
        Poll::Pending
    }

    /// Sends a request and waits for the head of its answer.
    async fn exchange(&mut self, sent: Sent) -> Result<http::Response<Incoming>, TrySendError<Sent>> {
        // Unconstrained, because a budget that is used up would be told to a waker that wakes nothing.
        let mut answer = pin!(unconstrained(self.sender.try_send_request(sent)));
        poll_fn(|cx| self.poll_until(cx, |blind| answer.as_mut().poll(blind))).await
    }
}

/// The body of an answer. At its end the connection is kept; dropped before, it is closed.
struct Body {
    incoming: Incoming,
    /// None once the body has ended.
    line: Option<Box<Line>>,
    idle: Arc<Idle>,
}

impl Stream for Body {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let Some(line) = &mut this.line else { return Poll::Ready(None) };
            let mut look = |blind: &mut Context<'_>| Pin::new(&mut this.incoming).poll_frame(blind);
            // What came together with the head, or with the last bytes, is there already.
            let mut frame = look(&mut Context::from_waker(Waker::noop()));
            if frame.is_pending() {
                frame = line.poll_until(cx, look);
            }
            match frame {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => return Poll::Ready(Some(Ok(bytes))),
                    // Trailers say nothing that we know.
                    Err(_) => continue,
                },
                Poll::Ready(Some(Err(cause))) => {
                    this.line = None;
                    return Poll::Ready(Some(Err(cut_off(cause))));
                }
                Poll::Ready(None) => {
                    if let Some(line) = this.line.take() {
                        this.idle.put(line);
                    }
                    return Poll::Ready(None);
                }
                Poll::Pending if line.connection.is_none() => {
                    this.line = None;
                    return Poll::Ready(Some(Err(cut_off("the connection is over, its answer is not"))));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

fn cut_off(cause: impl std::fmt::Display) -> Error {
    Error::protocol("the upstream's answer was cut off").because(cause.to_string())
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
