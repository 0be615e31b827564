//! A Redis for each test, which may be flushed, stopped and started again without disturbing another. It is run and asked by
//! the programs of its package; `MAOF_TEST_REDIS_URL` says that they are there.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use parking_lot::Mutex;

use crate::ids::UniqueIds;
use maof_core::Ids as _;

/// A server of one test, empty at first; stopped when this is dropped.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    folder: PathBuf,
    server: Mutex<Option<Child>>,
}

/// A new server on a port of its own, where `MAOF_TEST_REDIS_URL` says that there is Redis; none where there is none.
pub async fn redis() -> Option<Redis> {
    super::url("redis")?;
    let folder = std::env::temp_dir().join(format!("maof-redis-{}", UniqueIds.next().simple()));
    std::fs::create_dir(&folder).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let redis = Redis { port, folder, server: Mutex::default() };
    redis.start().await;
    Some(redis)
}

impl Redis {
    /// Where it is.
    pub fn url(&self) -> String {
        self.at_port(self.port)
    }

    /// The same server by another port of this machine.
    #[allow(clippy::unused_self, reason = "as of a database")]
    pub fn at_port(&self, port: u16) -> String {
        format!("redis://127.0.0.1:{port}")
    }

    /// The address at which it listens: host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Runs a command, and gives what it says.
    pub fn command(&self, words: &[&str]) -> String {
        let mut asked = Command::new("redis-cli");
        let said = asked.args(["-p", &self.port.to_string()]).args(words).output();
        let said = said.expect("`redis-cli` cannot be run, which tests with Redis need");
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    }

    /// Kills it, as a machine that fails does.
    pub fn stop(&self) {
        if let Some(mut server) = self.server.lock().take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// Starts it, with what was last saved.
    pub async fn start(&self) {
        let started = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(&self.folder)
            .stdout(Stdio::null())
            .spawn();
        *self.server.lock() =
            Some(started.expect("`redis-server` cannot be run, which tests with Redis need"));
        for _ in 0..500 {
            if self.command(&["PING"]) == "PONG" {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("Redis does not start at port {}", self.port);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
