//! A wire to a service that can be cut: to whoever is connected through it, the service is away.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes on what goes to a service and back, until it is cut.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    cut: Arc<watch::Sender<bool>>,
    listening: JoinHandle<()>,
}

impl Relay {
    /// A relay to `address`, on a port of its own of this machine.
    #[allow(clippy::disallowed_methods, reason = "the relay itself ends its tasks")]
    pub async fn to(address: String) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(watch::Sender::new(false));
        let is_cut = cut.subscribe();
        let listening = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                // Dropped, it is closed.
                if !*is_cut.borrow() {
                    tokio::spawn(pass_on(caller, address.clone(), is_cut.clone()));
                }
            }
        });
        Relay { port, cut, listening }
    }

    /// The port that callers connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes every connection, and takes no new one. What comes after it does not go through.
    pub async fn cut(&self) {
        self.cut.send_replace(true);
        // Each connection listens, and the relay itself.
        while self.cut.receiver_count() > 1 {
            tokio::task::yield_now().await;
        }
    }

    /// Takes new connections again.
    pub fn mend(&self) {
        self.cut.send_replace(false);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut.send_replace(true);
        self.listening.abort();
    }
}

async fn pass_on(mut caller: TcpStream, address: String, mut is_cut: watch::Receiver<bool>) {
    let Ok(mut service) = TcpStream::connect(address).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut caller, &mut service) => {}
        _ = is_cut.wait_for(|cut| *cut) => {}
    }
}
