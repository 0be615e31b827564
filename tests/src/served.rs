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
    /// Asks it.
    pub client: Client,
    /// The handle that it serves.
    pub maof: Maof,
    _stop: oneshot::Sender<()>,
    _dir: TempDir,
}

impl Server {
    /// A server with this configuration, and files of its own.
    pub async fn start(more: &str) -> Server {
        maof::init();
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::parse(if more.is_empty() { "{}" } else { more }).unwrap();
        config.server.listen = "127.0.0.1:0".to_owned();
        config.store.path = dir.path().join("maof.db");
        config.server.keys = dir.path().join("keys.json");
        let (secret, entry) = maof_security_key();
        std::fs::write(&config.server.keys, entry).unwrap();
        let listener = maof_http::bind(&config.server.listen).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let maof = Maof::builder(config).with_keys().build().await.unwrap();
        maof.work();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = maof.clone();
        #[allow(clippy::disallowed_methods, reason = "the server ends with the test")]
        tokio::spawn(async move { maof_http::serve(listener, served, async { drop(stopped.await) }).await });
        Server { base, key: secret, client: Client::new(), maof, _stop: stop, _dir: dir }
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

/// A key and its file.
fn maof_security_key() -> (String, String) {
    let name = |text: &str| maof::Name::new(text).unwrap();
    let roles = vec![maof::Role::User];
    let (secret, entry) = maof::KeyEntry::generate(name("test"), name("acme"), name("u"), roles).unwrap();
    (secret.expose().to_owned(), json!({"version": 1, "keys": [entry]}).to_string())
}

/// The status and the JSON of an answer.
pub async fn json_of(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap())
}
