//! Sound through real sockets: said as it is made, heard as it is understood, and paid for.
//!
//! Events are OpenAI's, as <https://docs.rs/async-openai/latest/src/async_openai/types/audio/stream.rs.html> (read November
//! 2026) has them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use futures::StreamExt as _;
use maof::{Name, Unit, Usage};
use maof_tests::served::Server;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

/// What an upstream answers: its media type, and pieces that each leave when they are let go.
struct Upstream {
    go: Sender<()>,
    asked: Receiver<String>,
    base_url: String,
}

/// How an answer ends.
#[derive(Clone, Copy)]
enum End {
    Properly,
    CutOff,
}

impl Upstream {
    fn start(kind: &'static str, pieces: &'static [&'static str], end: End) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let ((go, gone), (ask, asked)) = (channel(), channel());
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            ask.send(request(&socket)).unwrap();
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: ";
            write!(socket, "{head}{kind}\r\n\r\n").unwrap();
            for piece in pieces {
                if gone.recv().is_err() {
                    return;
                }
                write!(socket, "{:x}\r\n{piece}\r\n", piece.len()).unwrap();
                socket.flush().unwrap();
            }
            if let End::Properly = end {
                write!(socket, "0\r\n\r\n").unwrap();
            }
        });
        Upstream { go, asked, base_url }
    }

    /// Lets so many pieces leave.
    fn go(&self, pieces: usize) {
        (0..pieces).for_each(|_| self.go.send(()).unwrap());
    }

    async fn server(&self) -> Server {
        let config = format!(
            "providers: {{up: {{profile: openai, base_url: '{}', api_key: k}}}}\n\
             endpoints: [{{name: voice, provider: up, model: m, operations: [speech, transcribe]}}]",
            self.base_url
        );
        Server::start(&config).await
    }
}

/// A request's body.
fn request(socket: &TcpStream) -> String {
    let mut reader = BufReader::new(socket);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some((_, value)) = line.to_ascii_lowercase().split_once("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

fn speech(server: &Server, more: &Value) -> RequestBuilder {
    let mut body = json!({"model": "voice", "input": "Grüß dich", "voice": "alloy"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.post("/v1/audio/speech", &body)
}

fn form(fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| {
        let file = if *name == "file" { "; filename=\"a.wav\"" } else { "" };
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n")
    };
    fields.iter().map(field).collect::<String>() + "--B--\r\n"
}

fn transcription(server: &Server, fields: &[(&str, &str)]) -> RequestBuilder {
    let post = server.client.post(format!("{}/v1/audio/transcriptions", server.base));
    let post = post.header("content-type", "multipart/form-data; boundary=B");
    post.bearer_auth(&server.key).body(form(fields))
}

const HEARD: [(&str, &str); 3] = [("file", "RIFF"), ("model", "voice"), ("stream", "true")];

/// What the one request is billed by.
async fn used(server: &Server) -> Usage {
    server.maof.ledger().flush().await.unwrap();
    let rows = server.maof.ledger().attempts(&Name::new("acme").unwrap(), None, 9).await.unwrap();
    let [row] = rows.as_slice() else { panic!("one row: {rows:?}") };
    row.usage
}

fn kind(response: &Response) -> String {
    response.headers()["content-type"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_passed_on_as_it_is_made() {
    let upstream = Upstream::start("audio/mpeg", &["ID3 one", ": two", "three"], End::Properly);
    let server = upstream.server().await;
    upstream.go(1);
    let response = speech(&server, &json!({"response_format": "mp3"})).send().await.unwrap();
    assert_eq!((response.status().as_u16(), kind(&response).as_str()), (200, "audio/mpeg"));
    assert_eq!(response.headers()["x-maof-endpoint"], "voice");
    let mut body = response.bytes_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), "ID3 one", "the second piece has not left yet");
    upstream.go(2);
    let mut rest = Vec::new();
    while let Some(bytes) = body.next().await {
        rest.extend_from_slice(&bytes.unwrap());
    }
    assert_eq!(rest, b": twothree", "nothing is put in between");
    let usage = used(&server).await;
    assert_eq!((usage.get(Unit::Character), usage.estimated), (9, false));
    let sent: Value = serde_json::from_str(&upstream.asked.recv().unwrap()).unwrap();
    assert_eq!(sent["model"], "m");
    assert!(sent.get("stream").is_none(), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_is_cut_off_is_not_taken_for_all_of_it() {
    let upstream = Upstream::start("audio/mpeg", &["ID3 one", "two"], End::CutOff);
    let server = upstream.server().await;
    upstream.go(1);
    let response = speech(&server, &json!({})).send().await.unwrap();
    assert!(response.status().is_success());
    let mut body = response.bytes_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), "ID3 one");
    upstream.go(1);
    let mut broken = false;
    while let Some(bytes) = body.next().await {
        broken |= bytes.is_err();
    }
    assert!(broken, "an end that looks proper would be taken for one");
    assert_eq!(used(&server).await.get(Unit::Character), 9);
}

const SPOKEN: &[&str] = &[
    "data: {\"type\":\"speech.audio.delta\",\"audio\":\"SUQz\"}\n\n",
    "data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":3,\"output_tokens\":20,\"total_tokens\":23}}\n\n",
];
const TRANSCRIPT: &[&str] = &[
    "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Hel\",\"logprobs\":[]}\n\n",
    "data: {\"type\":\"transcript.text.delta\",\"delta\":\"lo\"}\n\n",
    "data: {\"type\":\"transcript.text.done\",\"text\":\"Hello\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\
     \"input_token_details\":{\"text_tokens\":4,\"audio_tokens\":10},\"output_tokens\":2,\"total_tokens\":16}}\n\n",
];

#[tokio::test(flavor = "multi_thread")]
async fn events_pass_as_they_came_and_say_what_was_used() {
    let upstream = Upstream::start("text/event-stream", SPOKEN, End::Properly);
    let server = upstream.server().await;
    upstream.go(SPOKEN.len());
    let response = speech(&server, &json!({"stream_format": "sse"})).send().await.unwrap();
    assert_eq!(kind(&response), "text/event-stream");
    assert_eq!(response.text().await.unwrap(), SPOKEN.concat());
    let usage = used(&server).await;
    let units = [Unit::Character, Unit::Input, Unit::AudioOutput].map(|unit| usage.get(unit));
    assert_eq!((units, usage.estimated), ([9, 3, 20], false));

    let upstream = Upstream::start("text/event-stream; charset=utf-8", TRANSCRIPT, End::Properly);
    let server = upstream.server().await;
    upstream.go(1);
    let response = transcription(&server, &HEARD).send().await.unwrap();
    assert_eq!(kind(&response), "text/event-stream");
    let mut body = response.bytes_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), TRANSCRIPT[0], "the second event has not left yet");
    upstream.go(2);
    let mut rest = Vec::new();
    while let Some(bytes) = body.next().await {
        rest.extend_from_slice(&bytes.unwrap());
    }
    assert_eq!(String::from_utf8(rest).unwrap(), TRANSCRIPT[1..].concat());
    let usage = used(&server).await;
    let units = [Unit::Input, Unit::AudioInput, Unit::Output].map(|unit| usage.get(unit));
    assert_eq!((units, usage.estimated), ([4, 10, 2], false));
    assert!(upstream.asked.recv().unwrap().contains("name=\"stream\"\r\n\r\ntrue"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_stream_gets_one_of_an_upstream_that_does_not_stream() {
    let whole = &["{\"text\":\"Hello\",\"usage\":{\"type\":\"duration\",\"seconds\":2}}"];
    let upstream = Upstream::start("application/json", whole, End::Properly);
    let server = upstream.server().await;
    upstream.go(1);
    let text = transcription(&server, &HEARD).send().await.unwrap().text().await.unwrap();
    let events: Vec<Value> =
        text.split_terminator("\n\n").map(|e| serde_json::from_str(&e[6..]).unwrap()).collect();
    assert_eq!(events[0], json!({"type": "transcript.text.delta", "delta": "Hello"}), "{text}");
    assert_eq!(events[1], json!({"type": "transcript.text.done", "text": "Hello"}), "{text}");
    assert_eq!(events.len(), 2, "{text}");
    assert_eq!(used(&server).await.get(Unit::AudioMs), 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcript_that_breaks_off_says_so() {
    let upstream = Upstream::start("text/event-stream", &TRANSCRIPT[..1], End::Properly);
    let server = upstream.server().await;
    upstream.go(1);
    let text = transcription(&server, &HEARD).send().await.unwrap().text().await.unwrap();
    assert!(text.starts_with(TRANSCRIPT[0]) && text.contains("data: {\"error\":{"), "{text}");
    assert!(used(&server).await.estimated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_cannot_be_heard_is_refused_by_field() {
    let upstream = Upstream::start("application/json", &[], End::Properly);
    let server = upstream.server().await;
    let check = async |request: RequestBuilder, status: u16, param: Value| {
        let (got, error) = maof_tests::served::json_of(request).await;
        assert_eq!((got.as_u16(), &error["error"]["param"]), (status, &param), "{error}");
        assert!(error["error"]["type"].is_string(), "{error}");
    };
    let with = |fields: &[(&str, &str)]| transcription(&server, fields);
    check(with(&[("model", "voice")]), 400, json!("file")).await;
    check(with(&[("file", "RIFF")]), 400, json!("model")).await;
    check(with(&[("file", "RIFF"), ("model", "voice"), ("stream", "maybe")]), 400, json!("stream")).await;
    check(with(&[("file", "RIFF"), ("model", "nobody")]), 404, json!("model")).await;
    check(server.post("/v1/audio/transcriptions", &json!({"model": "voice"})), 400, Value::Null).await;
    let stranger = server.client.post(format!("{}/v1/audio/transcriptions", server.base));
    check(stranger.body(form(&HEARD)), 401, Value::Null).await;
    check(speech(&server, &json!({"stream": true})), 400, json!("stream")).await;
    assert!(upstream.asked.recv_timeout(Duration::from_millis(1)).is_err(), "nobody was asked");
}
