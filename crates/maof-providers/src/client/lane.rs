//! Who opens a connection to a host that may speak HTTP/2. While nobody knows what it speaks, or its connections are all
//! gone, one request opens one, and those that come meanwhile wait for it: over HTTP/2 they share it. Without this a
//! burst of requests to a host that was not asked yet opens a connection for each of them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What is known of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    /// Nothing, or nothing any more.
    #[default]
    Nothing,
    /// Somebody is opening a connection.
    Opening,
    /// It speaks HTTP/2, over this many connections now.
    Shared(usize),
    /// It speaks HTTP/1, so that each exchange has a connection of its own.
    OneEach,
}

#[derive(Debug, Default)]
struct State {
    known: Mutex<Known>,
    changed: Notify,
}

/// The way to one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane(Arc<State>);

impl Lane {
    /// Waits while another request opens a connection that this one may share. What comes back is kept until the
    /// exchange has an answer.
    pub(super) async fn enter(&self) -> Option<Turn> {
        let changed = self.0.changed.notified();
        tokio::pin!(changed);
        {
            let mut known = self.0.known.lock();
            match *known {
                Known::Nothing => {
                    *known = Known::Opening;
                    return Some(Turn(self.clone()));
                }
                Known::Shared(_) | Known::OneEach => return None,
                // Under the lock, so that no change is missed.
                Known::Opening => drop(changed.as_mut().enable()),
            }
        }
        // Once: where opening fails, each tries for itself, and nobody waits for one attempt after the other.
        changed.await;
        None
    }

    /// Another connection of HTTP/2 is there.
    fn shared(&self) {
        let mut known = self.0.known.lock();
        *known = match *known {
            Known::Shared(many) => Known::Shared(many + 1),
            _ => Known::Shared(1),
        };
        self.0.changed.notify_waiters();
    }

    fn one_each(&self) {
        *self.0.known.lock() = Known::OneEach;
        self.0.changed.notify_waiters();
    }

    /// A connection of HTTP/2 is gone.
    fn lost(&self) {
        let mut known = self.0.known.lock();
        *known = match *known {
            Known::Shared(many) if many > 1 => Known::Shared(many - 1),
            Known::Shared(_) => Known::Nothing,
            other => other,
        };
    }

    /// Whoever was to open a connection does not do it any more.
    fn given_up(&self) {
        let mut known = self.0.known.lock();
        if *known == Known::Opening {
            *known = Known::Nothing;
            self.0.changed.notify_waiters();
        }
    }
}

/// The turn of whoever opens the first connection; dropping it lets the others go on, however that ended.
#[derive(Debug)]
pub(super) struct Turn(Lane);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.given_up();
    }
}

/// A connector that tells the lane what it found.
#[derive(Clone, Debug)]
pub(super) struct Told<C> {
    pub(super) connector: C,
    pub(super) lane: Lane,
}

impl<C> tower_service::Service<http::Uri> for Told<C>
where
    C: tower_service::Service<http::Uri>,
    C::Response: Connection + Send + 'static,
    C::Error: Send + 'static,
    C::Future: Send + 'static,
{
    type Response = Counted<C::Response>;
    type Error = C::Error;
    type Future = BoxFuture<'static, Result<Self::Response, C::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, host: http::Uri) -> Self::Future {
        let (connecting, lane) = (self.connector.call(host), self.lane.clone());
        Box::pin(async move {
            let io = match connecting.await {
                Ok(io) => io,
                Err(error) => {
                    lane.given_up();
                    return Err(error);
                }
            };
            let begun = match io.connected().is_negotiated_h2() {
                true => Begun::Handshake,
                false => {
                    lane.one_each();
                    Begun::Alone
                }
            };
            Ok(Counted { io, lane, begun })
        })
    }
}

/// How far a connection is.
#[derive(Debug, PartialEq, Eq)]
enum Begun {
    /// It speaks HTTP/1.
    Alone,
    /// It speaks HTTP/2; the host has said nothing yet.
    Handshake,
    /// It is counted.
    Shared,
}

/// A connection. One of HTTP/2 can be shared, and is counted, once the host has said its first word: by then the client
/// has it in its pool.
#[derive(Debug)]
pub(super) struct Counted<T> {
    io: T,
    lane: Lane,
    begun: Begun,
}

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        match self.begun {
            Begun::Alone => {}
            Begun::Handshake => self.lane.given_up(),
            Begun::Shared => self.lane.lost(),
        }
    }
}

impl<T: Connection> Connection for Counted<T> {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

impl<T: Read + Unpin> Read for Counted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if self.begun == Begun::Handshake && matches!(read, Poll::Ready(Ok(()))) {
            self.begun = Begun::Shared;
            self.lane.shared();
        }
        read
    }
}

impl<T: Write + Unpin> Write for Counted<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_opens_and_the_others_wait_until_it_is_known_what_is_spoken() {
        let check = async |told: fn(&Lane), then: Option<bool>| {
            let lane = Lane::default();
            let turn = lane.enter().await;
            assert!(turn.is_some());
            let waits = lane.enter();
            tokio::pin!(waits);
            assert!(waits.as_mut().now_or_never().is_none(), "another opens a connection");
            told(&lane);
            assert!(waits.now_or_never().is_some_and(|turn| turn.is_none()), "and now one is there, or none");
            drop(turn);
            // None: nobody has to wait. Some: who comes next opens the next one.
            let next = lane.enter().now_or_never().map(|turn| turn.is_some());
            assert_eq!(next.filter(|opens| *opens), then);
        };
        check(Lane::shared, None).await;
        check(Lane::one_each, None).await;
        check(Lane::given_up, Some(true)).await;
        let lost = |lane: &Lane| (lane.shared(), lane.shared(), lane.lost(), lane.lost()).0;
        check(lost, Some(true)).await;
        let one_left = |lane: &Lane| (lane.shared(), lane.shared(), lane.lost()).0;
        check(one_left, None).await;
    }

    #[tokio::test]
    async fn whoever_goes_away_lets_the_others_go_on() {
        let lane = Lane::default();
        let turn = lane.enter().await;
        let waits = lane.enter();
        tokio::pin!(waits);
        assert!(waits.as_mut().now_or_never().is_none());
        drop(turn);
        assert!(waits.now_or_never().is_some());
    }
}
