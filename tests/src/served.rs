//! A server as callers see it: a real socket, a real SQLite file, a key.

#![allow(clippy::unwrap_used, reason = "it is for tests")]

use maof::{Config, Maof};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A server that stops with the test.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub base: String,
    /// A key of a user.
    pub key: String,
    /// A key of an administrator.
    pub admin: String,
    /// Asks it.
    pub client: Client,
    /// The handle that it serves.
    pub maof: Maof,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
    dir: TempDir,
}

impl Server {
    /// A server with this configuration, and files of its own.
    pub async fn start(more: &str) -> Server {
        Server::start_in(tempfile::tempdir().unwrap(), more).await
    }

    /// Stops it as an operator does, and starts another one on its files, with new keys of the same callers.
    pub async fn restart(self, more: &str) -> Server {
        let Server { stop, served, dir, maof, .. } = self;
        drop((stop, maof));
        served.await.unwrap();
        Server::start_in(dir, more).await
    }

    /// Writes another configuration, which it does not know until it is reloaded.
    pub fn write_config(&self, more: &str) {
        std::fs::write(self.dir.path().join(FILE), more).unwrap();
    }

    async fn start_in(dir: TempDir, more: &str) -> Server {
        maof::init();
        let place = dir.path().to_owned();
        std::fs::write(place.join(FILE), if more.is_empty() { "{}" } else { more }).unwrap();
        let read = move || {
            let mut config = Config::load(&place.join(FILE))?;
            config.server.listen = "127.0.0.1:0".to_owned();
            config.store.path = place.join("maof.db");
            config.server.keys = place.join("keys.json");
            Ok(config)
        };
        let config = read().unwrap();
        let (key, user) = entry("test", maof::Role::User);
        let (admin, administrator) = entry("admin", maof::Role::Admin);
        let keys = json!({"version": 1, "keys": [user, administrator]});
        std::fs::write(&config.server.keys, keys.to_string()).unwrap();
        let listener = maof_http::bind(&config.server.listen).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let maof = Maof::builder(config).with_keys().reloads(read).build().await.unwrap();
        maof.work();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = maof.clone();
        #[allow(clippy::disallowed_methods, reason = "the server ends with the test")]
        let served = tokio::spawn(async move {
            maof_http::serve(listener, served, async { drop(stopped.await) }).await.unwrap();
        });
        Server { base, key, admin, client: Client::new(), maof, stop, served, dir }
    }

    /// A GET with the key.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    /// A POST with the key.
    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.key).json(body)
    }
}

/// The configuration's file.
const FILE: &str = "maof.yaml";

/// A key, and what is kept of it.
fn entry(label: &str, role: maof::Role) -> (String, Value) {
    let name = |text: &str| maof::Name::new(text).unwrap();
    let made = maof::KeyEntry::generate(name(label), name("acme"), name("u"), vec![role]).unwrap();
    (made.0.expose().to_owned(), json!(made.1))
}

/// The status and the JSON of an answer.
pub async fn json_of(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap())
}
