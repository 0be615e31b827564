//! HTTP/2 over TLS, just enough of it to say GOAWAY amid a stream, which no HTTP library does on demand.
//!
//! Frames are written by hand (RFC 9113); the request's header block is not read, so that every request is
//! one for OpenAI's chat completions. Requests of a connection are answered one after the other.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::answer::Shape;
use super::openai::Chat;
use super::script::Act;
use super::server::State;
use super::stats::Received;

const PREFACE: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status 200` by its place in the static table, and the name `content-type` by its own (RFC 7541, appendix A).
const STATUS_OK: u8 = 0x88;
const CONTENT_TYPE: [u8; 2] = [0x0f, 0x10];
/// The most bytes of a frame, until settings say otherwise.
const MOST: usize = 16_384;

/// A key pair of its own for `localhost`; the certificate is written to `certificate`, for clients to trust.
///
/// # Panics
/// When it cannot be written.
pub(super) fn acceptor(certificate: &Path) -> TlsAcceptor {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a key pair");
    std::fs::write(certificate, pair.cert.pem()).expect("the certificate can be written");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![pair.cert.der().clone()], key))
        .expect("a configuration of TLS");
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Accepts for ever.
#[allow(clippy::disallowed_methods, reason = "there is no builder here; connections end with their clients")]
pub(super) async fn serve(listener: TcpListener, tls: TlsAcceptor, state: Arc<State>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let _counted = state.counters.connected();
            if let Ok(stream) = tls.accept(socket).await {
                // A client that goes away ends its connection, nothing else.
                let _ = Connection { stream, state, bodies: HashMap::new() }.run().await;
            }
        });
    }
}

struct Connection<S> {
    stream: S,
    state: Arc<State>,
    /// What has come of each request's body.
    bodies: HashMap<u32, Vec<u8>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(mut self) -> io::Result<()> {
        self.stream.read_exact(&mut [0; PREFACE]).await?;
        self.frame(SETTINGS, 0, 0, &[]).await?;
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await?;
            let [a, b, c, kind, flags, id @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.stream.read_exact(&mut payload).await?;
            let id = u32::from_be_bytes(id) & 0x7fff_ffff;
            match kind {
                SETTINGS if flags & ACK == 0 => self.frame(SETTINGS, ACK, 0, &[]).await?,
                PING if flags & ACK == 0 => self.frame(PING, ACK, 0, &payload).await?,
                DATA => {
                    self.bodies.entry(id).or_default().extend_from_slice(&payload);
                    if flags & END_STREAM != 0 && !self.answer(id).await? {
                        return self.stream.shutdown().await;
                    }
                }
                _ => {}
            }
        }
    }

    /// Answers a request; false where the connection is to end.
    async fn answer(&mut self, id: u32) -> io::Result<bool> {
        let body = Bytes::from(self.bodies.remove(&id).unwrap_or_default());
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        let Ok(question) = Chat.question(&"/v1/chat/completions".parse().expect("a path"), json) else {
            return Ok(false);
        };
        let received = Received { path: "/v1/chat/completions".to_owned(), headers: [].into(), body };
        let mut open = self.state.counters.begin(received, &question.model, &question.prompt);
        let act = self.state.next(&question);
        if act == Act::GoAway(0) {
            open.finish();
            self.go_away(0).await?;
            return Ok(false);
        }
        let answer = question.answer();
        let (kind, frames) = match question.stream {
            true => {
                let frames = Chat.frames(&question, &answer);
                ("text/event-stream", frames.iter().map(|frame| frame.written("\n")).collect())
            }
            false => ("application/json", vec![Chat.whole(&question, &answer).to_string()]),
        };
        let length = u8::try_from(kind.len()).expect("a short name");
        let block = [&[STATUS_OK][..], &CONTENT_TYPE, &[length], kind.as_bytes()].concat();
        self.frame(HEADERS, END_HEADERS, id, &block).await?;
        for (at, frame) in frames.iter().enumerate() {
            if act == Act::GoAway(at) {
                open.finish();
                self.go_away(id).await?;
                return Ok(false);
            }
            for piece in frame.as_bytes().chunks(MOST) {
                self.frame(DATA, 0, id, piece).await?;
            }
        }
        open.finish();
        self.frame(DATA, END_STREAM, id, &[]).await?;
        Ok(true)
    }

    /// Says that nothing after the stream `last` was or will be looked at, without an error.
    async fn go_away(&mut self, last: u32) -> io::Result<()> {
        self.frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat()).await
    }

    async fn frame(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &id.to_be_bytes()].concat();
        self.stream.write_all(&[&head, payload].concat()).await?;
        self.stream.flush().await
    }
}
