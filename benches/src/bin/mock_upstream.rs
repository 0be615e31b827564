//! An upstream that answers at once, so that what is between it and the caller can be measured: `/v1/chat/completions`
//! with a whole answer, or when the request asks for a stream, with 36 frames that are all there at once; with one
//! every 5 ms for a user called `paced`. Prints its port.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark's own program"
)]

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Frames of a stream, the terminator not counted.
const FRAMES: usize = 36;

fn whole() -> Bytes {
    let text =
        "The weather is fine, and so are the crops; rain is expected by the end of the week. ".repeat(4);
    let body = serde_json::json!({
        "id": "chatcmpl-bench0000000000000000000", "object": "chat.completion", "created": 1_790_000_000_u64,
        "model": "mock-1", "system_fingerprint": "fp_0000000000",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null},
                     "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 250, "completion_tokens": 80, "total_tokens": 330,
                  "prompt_tokens_details": {"cached_tokens": 0}},
    });
    body.to_string().into()
}

fn frames() -> Vec<Bytes> {
    let chunk = |choices: serde_json::Value, usage: serde_json::Value| {
        let body = serde_json::json!({
            "id": "chatcmpl-bench0000000000000000000", "object": "chat.completion.chunk",
            "created": 1_790_000_000_u64, "model": "mock-1", "choices": choices, "usage": usage,
        });
        Bytes::from(format!("data: {body}\n\n"))
    };
    let text =
        |text: &str| serde_json::json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}]);
    let mut frames: Vec<Bytes> =
        (0..FRAMES - 2).map(|at| chunk(text(&format!(" word{at}")), serde_json::Value::Null)).collect();
    frames.push(chunk(
        serde_json::json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]),
        serde_json::Value::Null,
    ));
    let usage = serde_json::json!({"prompt_tokens": 250, "completion_tokens": 34, "total_tokens": 284});
    frames.push(chunk(serde_json::json!([]), usage));
    frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
    frames
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let (whole, frames) = (whole(), frames());
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (whole, frames) = (whole.clone(), frames.clone());
        let answer = service_fn(move |request: Request<Incoming>| {
            let (whole, frames) = (whole.clone(), frames.clone());
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let says = |text: &[u8]| body.windows(text.len()).any(|window| window == text);
                let streams = says(b"\"stream\":true");
                let pause = says(b"\"user\":\"paced\"").then_some(Duration::from_millis(5));
                let response = match streams {
                    true => {
                        let frames = stream::iter(frames).then(move |frame| async move {
                            if let Some(pause) = pause {
                                tokio::time::sleep(pause).await;
                            }
                            Ok::<_, Infallible>(Frame::data(frame))
                        });
                        Response::builder()
                            .header("content-type", "text/event-stream")
                            .body(Either::Left(StreamBody::new(Box::pin(frames))))
                    }
                    false => Response::builder()
                        .header("content-type", "application/json")
                        .body(Either::Right(Full::new(whole))),
                };
                Ok::<_, Infallible>(response.unwrap())
            }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), answer),
        );
    }
}
