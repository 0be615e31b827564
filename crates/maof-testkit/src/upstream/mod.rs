//! A scripted upstream: a server on loopback that answers deterministically, misbehaves as it is told, and
//! counts what it received. It speaks OpenAI's chat completions, embeddings and responses, Anthropic's
//! messages and Gemini's contents, whole and streamed; the path tells which.
//!
//! A chat is answered with `echo: ` and the text of the last message; a text's vector follows from its hash.
//! A request that offers tools of its own is answered with a call of the one it names, else of the first,
//! with arguments by the tool's schema; once the last message is a tool's result, only where a call is
//! demanded. A request that gives its answer's JSON schema is answered with such an object, texts being that
//! text. A request that enables thinking gets it, with a signature where the provider gives one. Every
//! word counts as a token.
//! The same server runs in process ([`Upstream::start`]) and as a program (`maof-upstream`).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use maof_testkit::{Act, Script, Upstream};
//! let script = Script::default().model("flaky", [Act::status(500), Act::Ok]);
//! let upstream = Upstream::start(script).await;
//! assert!(upstream.base_url().starts_with("http://127.0.0.1:"));
//! assert_eq!(upstream.stats().requests, 0);
//! # }
//! ```

mod answer;
mod anthropic;
mod connection;
mod deaf;
mod faults;
mod gemini;
mod http2;
mod openai;
mod responses;
mod schema;
mod script;
mod server;
mod stats;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use deaf::Deaf;
pub use openai::vector;
pub use script::{Act, Script};
pub use stats::{ModelStats, Received, Stats};

/// A scripted upstream that runs until it is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    state: Arc<server::State>,
    task: JoinHandle<()>,
    secure: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn start(script: Script) -> Upstream {
        Self::start_on(0, script).await
    }

    /// Starts on `port` of 127.0.0.1; 0 takes a free one.
    ///
    /// # Panics
    /// When the port cannot be had.
    #[allow(
        clippy::disallowed_methods,
        reason = "there is no builder here; the task ends when it is dropped"
    )]
    pub async fn start_on(port: u16, script: Script) -> Upstream {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a port of 127.0.0.1");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(server::State::new(script));
        let task = tokio::spawn(server::serve(listener, Arc::clone(&state)));
        Upstream { address, state, task, secure: None }
    }

    /// The same answers over TLS and HTTP/2, at OpenAI's chat completions alone, on a free port that it gives;
    /// writes the certificate of `localhost`, which clients are to trust, to `certificate`.
    ///
    /// # Panics
    /// When no port can be had, or the file cannot be written.
    #[allow(clippy::disallowed_methods, reason = "as in `start_on`")]
    pub async fn start_tls(&mut self, certificate: &Path) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port of 127.0.0.1");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let serving = http2::serve(listener, http2::acceptor(certificate), Arc::clone(&self.state));
        self.secure = Some(tokio::spawn(serving));
        port
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for clients, which ends in `/v1`.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.origin())
    }

    /// The URL without a path, for clients that add the version themselves.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has counted so far.
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }

    /// The latest requests, oldest first; at most 256.
    pub fn received(&self) -> Vec<Received> {
        self.state.received()
    }

    /// Replaces the script; counts go on.
    pub fn play(&self, script: Script) {
        self.state.play(script);
    }

    /// Waits until `wanted` holds of the counts.
    ///
    /// # Panics
    /// When it does not within ten seconds.
    pub async fn until(&self, wanted: impl Fn(&Stats) -> bool) -> Stats {
        for _ in 0..1000 {
            let stats = self.stats();
            if wanted(&stats) {
                return stats;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the upstream's counts never became what the test waits for: {:?}", self.stats())
    }

    /// Runs until it is dropped.
    pub async fn run(mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(secure) = &self.secure {
            secure.abort();
        }
    }
}

#[cfg(test)]
mod broken;
#[cfg(test)]
mod dialects;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod tests;
