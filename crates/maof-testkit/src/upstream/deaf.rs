//! A host that nobody can connect to, and that does not say so.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Duration, timeout};

/// Connections that are tried to fill a queue of one; systems round it up.
const MOST: usize = 64;
/// A connection on loopback that takes longer than this is never made.
const NEVER: Duration = Duration::from_millis(200);

/// A port of 127.0.0.1 that listens and accepts nothing: its queue is full, so that the system drops what asks to be
/// connected, as a firewall does. It does so until this is dropped.
#[derive(Debug)]
pub struct Deaf {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Deaf {
    /// On a free port.
    ///
    /// # Panics
    /// When no port can be had, or its queue does not fill.
    pub async fn start() -> Deaf {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port of 127.0.0.1");
        let listener = socket.listen(1).expect("a bound socket listens");
        let address = listener.local_addr().expect("a bound listener has an address");
        let mut queue = Vec::new();
        while let Ok(connected) = timeout(NEVER, TcpStream::connect(address)).await {
            queue.push(connected.expect("there is somebody who listens"));
            assert!(queue.len() < MOST, "the queue does not fill");
        }
        Deaf { address, _listener: listener, _queue: queue }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its API would be.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}
