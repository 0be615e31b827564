//! Connections that can be broken in ways that no HTTP server does by itself.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected as ConnectInfo;
use axum::serve::{IncomingStream, Listener};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

use super::stats::{Connected, Counters, Open};

/// What is written before a chunk of a transfer, so that its length is none.
const GARBLE: &[u8] = b"zz\r\n";

/// How the connection treats what is written from now on.
#[derive(Debug, Default)]
enum Mode {
    #[default]
    Proper,
    /// Nothing more is written, and the connection is reset.
    Reset,
    /// One byte in each of these times. The request has not ended before the connection has.
    Dribble(Duration, #[allow(dead_code, reason = "it is dropped with the connection")] Option<Open>),
    /// The next write begins with what does not belong there.
    Garbled,
}

/// Tells a connection how to misbehave.
#[derive(Clone, Debug, Default)]
pub(super) struct Fuse(Arc<Mutex<Mode>>);

impl Fuse {
    /// Resets the connection before the next byte.
    pub(super) fn blow(&self) {
        *self.0.lock() = Mode::Reset;
    }

    /// From now on one byte leaves in each of these times.
    pub(super) fn dribble(&self, each: Duration, open: Open) {
        *self.0.lock() = Mode::Dribble(each, Some(open));
    }

    /// Spoils the transfer's next chunk.
    pub(super) fn garble(&self) {
        *self.0.lock() = Mode::Garbled;
    }
}

/// A connection with its fuse.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    fuse: Fuse,
    pause: Option<Pin<Box<Sleep>>>,
    counted: Connected,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        let mut mode = this.fuse.0.lock();
        let most = match &*mode {
            Mode::Proper => buf.len(),
            Mode::Dribble(each, _) => {
                this.pause = Some(Box::pin(tokio::time::sleep(*each)));
                1
            }
            Mode::Reset => {
                // Closing now sends RST in place of FIN.
                let _ = this.socket.set_zero_linger();
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Mode::Garbled => {
                // The socket has room: what came before was written a while ago.
                let _ = ready!(Pin::new(&mut this.socket).poll_write(cx, GARBLE))?;
                *mode = Mode::Proper;
                buf.len()
            }
        };
        let written = ready!(Pin::new(&mut this.socket).poll_write(cx, &buf[..most.min(buf.len())]))?;
        this.counted.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Accepts connections with fuses, and counts them.
#[derive(Debug)]
pub(super) struct Fused(pub(super) TcpListener, pub(super) Counters);

impl Listener for Fused {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (socket, address) = Listener::accept(&mut self.0).await;
        let _ = socket.set_nodelay(true);
        let counted = self.1.connected();
        (Connection { socket, fuse: Fuse::default(), pause: None, counted }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl ConnectInfo<IncomingStream<'_, Fused>> for Fuse {
    fn connect_info(stream: IncomingStream<'_, Fused>) -> Fuse {
        stream.io().fuse.clone()
    }
}
