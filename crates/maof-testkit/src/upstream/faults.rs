//! Bodies that misbehave: which bytes leave when, and what happens between them.

use std::collections::VecDeque;
use std::io::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;

use super::connection::Fuse;
use super::script::Act;
use super::stats::Open;

const MIB: usize = 1 << 20;
/// How long what was sent takes to be on the wire, before something happens to the connection.
const ON_THE_WIRE: Duration = Duration::from_millis(20);

/// What a body does next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Send(Bytes),
    /// The same, this many times.
    Repeat(Bytes, usize),
    Pause(Duration),
    /// Nothing more; the connection stays.
    Stall,
    /// The transfer's next chunk is spoiled.
    Garble,
    /// The connection is cut.
    Break,
}

fn send(bytes: &[u8]) -> Step {
    Step::Send(Bytes::copy_from_slice(bytes))
}

/// The steps of a whole answer; none where the act is not one of its body.
pub(super) fn whole(act: &Act, body: &str) -> Option<VecDeque<Step>> {
    let bytes = body.as_bytes();
    let (head, tail) = bytes.split_at(middle(body));
    Some(match act {
        Act::Split(size) => split(bytes, *size),
        Act::Cut(after) => VecDeque::from([send(&bytes[..(*after).min(bytes.len() - 1)]), Step::Break]),
        Act::Stall(after) => VecDeque::from([send(&bytes[..(*after).min(bytes.len() - 1)]), Step::Stall]),
        Act::Late(ms) => VecDeque::from([Step::Pause(Duration::from_millis(*ms)), send(bytes)]),
        Act::Nul(_) => VecDeque::from([send(head), send(&[0; 3]), send(tail)]),
        Act::InvalidUtf8(_) => invalid(head, tail).into(),
        Act::MalformedChunk(_) => VecDeque::from([Step::Garble, send(bytes)]),
        Act::Huge(mib) => VecDeque::from([send(head), Step::Repeat(filling(), *mib), send(tail)]),
        _ => return None,
    })
}

/// The steps of a stream of these frames.
pub(super) fn stream(act: &Act, frames: Vec<String>) -> VecDeque<Step> {
    if let Act::Split(size) = act {
        return split(frames.concat().as_bytes(), *size);
    }
    let last = frames.len().saturating_sub(1);
    let mut steps = VecDeque::new();
    for (at, frame) in frames.iter().enumerate() {
        let (head, tail) = frame.as_bytes().split_at(middle(frame));
        match act {
            Act::Late(ms) if at == 0 => steps.push_back(Step::Pause(Duration::from_millis(*ms))),
            Act::Stall(after) if at == *after => steps.push_back(Step::Stall),
            Act::MalformedChunk(after) if at == last.min(*after) => steps.push_back(Step::Garble),
            Act::Nul(after) if at == last.min(*after) => {
                steps.extend([send(head), send(&[0; 3]), send(tail)]);
                continue;
            }
            Act::InvalidUtf8(after) if at == last.min(*after) => {
                steps.extend(invalid(head, tail));
                continue;
            }
            Act::Huge(mib) if at == last.min(1) => {
                steps.extend([send(head), Step::Repeat(filling(), *mib), send(tail)]);
                continue;
            }
            _ => {}
        }
        steps.push_back(send(frame.as_bytes()));
    }
    if let Act::Cut(_) = act {
        steps.push_back(Step::Break);
    }
    steps
}

/// Amid the text that is said, where there is one: what is put there is put into a JSON string.
fn middle(text: &str) -> usize {
    let said = ["\"content\":\"", "\"text\":\""].iter().find_map(|key| Some(text.find(key)? + key.len()));
    said.unwrap_or_else(|| text.floor_char_boundary(text.len() / 2))
}

/// The first two bytes of the three of a euro sign, then one that cannot come after them, in two writes.
fn invalid(head: &[u8], tail: &[u8]) -> [Step; 3] {
    [send(&[head, &[0xe2, 0x82]].concat()), Step::Pause(ON_THE_WIRE), send(&[b"(", tail].concat())]
}

fn filling() -> Bytes {
    "x".repeat(MIB).into()
}

/// The bytes in pieces of `size`, wherever that falls.
fn split(bytes: &[u8], size: usize) -> VecDeque<Step> {
    bytes.chunks(size.max(1)).map(send).collect()
}

/// A few kilobytes that unpack to `mib` MiB: one compressed MiB of spaces, over and over, which the format
/// allows (RFC 1952, section 2.2).
pub(super) fn bomb(mib: usize) -> Vec<u8> {
    let mut member = GzEncoder::new(Vec::new(), Compression::best());
    member.write_all(&vec![b' '; MIB]).expect("a vector takes all");
    member.finish().expect("a vector takes all").repeat(mib)
}

/// Plays the steps; what was sent is on the wire before something happens to the connection.
pub(super) fn play(steps: VecDeque<Step>, pause: Duration, fuse: &Fuse, open: Open) -> Body {
    let fuse = fuse.clone();
    Body::from_stream(stream::unfold((steps, open), move |(mut steps, mut open)| {
        let fuse = fuse.clone();
        async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            loop {
                let Some(step) = steps.pop_front() else {
                    open.finish();
                    return None;
                };
                match step {
                    Step::Send(bytes) => {
                        open.sent();
                        return Some((Ok(bytes), (steps, open)));
                    }
                    Step::Repeat(_, 0) => {}
                    Step::Repeat(bytes, times) => {
                        steps.push_front(Step::Repeat(bytes.clone(), times - 1));
                        return Some((Ok(bytes), (steps, open)));
                    }
                    Step::Pause(time) => tokio::time::sleep(time).await,
                    Step::Stall => std::future::pending().await,
                    Step::Garble => {
                        tokio::time::sleep(ON_THE_WIRE).await;
                        fuse.garble();
                    }
                    Step::Break => {
                        open.finish();
                        tokio::time::sleep(ON_THE_WIRE).await;
                        let cut = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
                        return Some((Err(cut), (steps, open)));
                    }
                }
            }
        }
    }))
}
