//! A fold over the frames of a streamed message: each is checked, and what it adds is told; its bytes pass on.

use std::borrow::Cow;

use bytes::Bytes;
use maof_core::{Decoder, Delta, Error, Event, Frame, Part, Result};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::block;
use super::wire::{self, NAME, UsageCounts};
use crate::dialect::object::{members_at, plain};
use crate::dialect::sealed::seal;
use crate::dialect::{said, scan};

/// Blocks that a stream may have.
const MOST: usize = 1024;

/// What has been seen of a stream.
#[derive(Debug, Default)]
pub(super) struct Fold {
    started: bool,
    ended: bool,
    over: bool,
    counts: UsageCounts,
    blocks: Vec<Block>,
    calls: u32,
}

/// What a block is, by the way its pieces are told.
#[derive(Debug, Default)]
enum Block {
    /// Text or thoughts: told as they come.
    Said { signed: bool },
    /// A tool call, under an index of its own.
    Call { index: u32, given: String, begun: bool },
    /// What only the dialect knows: told as a whole when it ends.
    Kept { value: Value, input: String },
    #[default]
    Closed,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    index: usize,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(default)]
    delta: Option<Piece>,
    #[serde(default)]
    usage: Option<UsageCounts>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Piece {
    #[serde(rename = "type")]
    kind: String,
    text: String,
    thinking: String,
    signature: String,
    partial_json: String,
    citation: Value,
    stop_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Head {
    id: String,
    model: String,
    usage: UsageCounts,
}

fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::protocol("a frame of the upstream's stream is malformed").because(cause.to_string())
}

/// What a frame adds that adds a text, which is what nearly all of them do; none when serde has to look at it, be it
/// only to say what is wrong.
fn text_piece(text: &str) -> Option<Cow<'_, str>> {
    let value = |at: usize| {
        let end = scan::value(text.as_bytes(), at)?;
        Some((text.get(at..end)?, end))
    };
    let (mut kinds, mut indexes, mut said) = ([0; 2], 0, None);
    let end = members_at(text, 0, |name, at| match name {
        r#""type""# => {
            kinds[0] += 1;
            value(at).filter(|(kind, _)| *kind == r#""content_block_delta""#).map(|(_, end)| end)
        }
        r#""index""# => {
            indexes += 1;
            value(at).filter(|(index, _)| index.parse::<usize>().is_ok()).map(|(_, end)| end)
        }
        r#""delta""# if kinds[1] == 0 => members_at(text, at, |name, at| {
            let (piece, end) = value(at)?;
            match name {
                r#""type""# if piece == r#""text_delta""# => kinds[1] += 1,
                r#""text""# if said.is_none() => said = Some(plain(piece)?),
                _ => return None,
            }
            Some(end)
        }),
        _ => None,
    })?;
    said.filter(|_| end == text.len() && kinds == [1, 1] && indexes <= 1)
}

impl Decoder for Fold {
    fn frame(&mut self, _: Option<&str>, data: &[u8], raw: Bytes) -> Result<Option<Event>> {
        let text = std::str::from_utf8(data).map_err(malformed)?.trim();
        // Some servers end a stream of this dialect as those of another.
        if self.over || text.is_empty() || text == "[DONE]" {
            return Ok(None);
        }
        let mut deltas = Vec::new();
        if let Some(piece) = text_piece(text) {
            self.push_text(piece.into_owned(), &mut deltas);
            return Ok(Some(Event { frame: Some(Frame { dialect: NAME, bytes: raw }), deltas }));
        }
        let said: Said<'_> = serde_json::from_str(text).map_err(malformed)?;
        let mut again = false;
        match said.kind.as_str() {
            "message_start" => self.begin(&said, &mut deltas)?,
            "content_block_start" => self.open(&said, &mut deltas)?,
            "content_block_delta" => self.piece(said.index, said.delta.unwrap_or_default(), &mut deltas)?,
            "content_block_stop" => self.close_block(said.index, &mut deltas)?,
            "message_delta" => again = self.end(said, &mut deltas),
            "message_stop" => self.over = true,
            "error" => return Err(said::inside(said.error.map_or("null", RawValue::get))),
            // Signs of life, and kinds of a later version of the API.
            _ => {}
        }
        // An answer ends once: of a frame that ends it again only the usage is passed on.
        let frame = (!again).then_some(Frame { dialect: NAME, bytes: raw });
        Ok((frame.is_some() || !deltas.is_empty()).then_some(Event { frame, deltas }))
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn is_answered(&self) -> bool {
        self.ended
    }

    fn close(&mut self) -> Result<Option<Event>> {
        match (self.over, self.ended) {
            (true, _) => Ok(None),
            (false, true) => {
                self.over = true;
                let bytes = Bytes::from_static(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
                Ok(Some(Event { frame: Some(Frame { dialect: NAME, bytes }), deltas: Vec::new() }))
            }
            (false, false) => Err(Error::protocol("the upstream's stream ended before its answer did")),
        }
    }
}

impl Fold {
    fn begin(&mut self, said: &Said<'_>, deltas: &mut Vec<Delta>) -> Result<()> {
        let head: Head = serde_json::from_str(said.message.map_or("{}", RawValue::get)).map_err(malformed)?;
        self.counts.update(head.usage);
        if !std::mem::replace(&mut self.started, true) {
            deltas.push(Delta::Start { id: head.id, model: head.model });
        }
        Ok(())
    }

    fn open(&mut self, said: &Said<'_>, deltas: &mut Vec<Delta>) -> Result<()> {
        if said.index >= MOST {
            return Err(malformed("there are more than 1024 blocks"));
        }
        let raw = said.content_block.ok_or_else(|| malformed("a block begins without a block"))?;
        let value: Value = serde_json::from_str(raw.get()).map_err(malformed)?;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let block = match value["type"].as_str().unwrap_or_default() {
            "text" => {
                deltas.push(Delta::Next { choice: 0 });
                self.push_text(text("text"), deltas);
                Block::Said { signed: false }
            }
            "thinking" => {
                deltas.push(Delta::Next { choice: 0 });
                let (thought, signature) = (text("thinking"), text("signature"));
                if !thought.is_empty() {
                    deltas.push(Delta::Reasoning { choice: 0, text: thought });
                }
                let signed = !signature.is_empty();
                if signed {
                    deltas.push(Delta::Signature { choice: 0, signature: seal(NAME, &signature) });
                }
                Block::Said { signed }
            }
            "tool_use" => {
                let index = self.calls;
                self.calls += 1;
                let (id, name) = (Some(text("id")), Some(text("name")));
                let arguments = String::new();
                deltas.push(Delta::ToolCall { choice: 0, index, id, name, arguments, signature: None });
                let given =
                    if value["input"].is_null() { "{}".to_owned() } else { value["input"].to_string() };
                Block::Call { index, given, begun: false }
            }
            _ => Block::Kept { value, input: String::new() },
        };
        if self.blocks.len() <= said.index {
            self.blocks.resize_with(said.index + 1, Block::default);
        }
        if let Some(place) = self.blocks.get_mut(said.index) {
            *place = block;
        }
        Ok(())
    }

    fn push_text(&self, text: String, deltas: &mut Vec<Delta>) {
        if !text.is_empty() {
            deltas.push(Delta::Text { choice: 0, text });
        }
    }

    fn piece(&mut self, index: usize, piece: Piece, deltas: &mut Vec<Delta>) -> Result<()> {
        match piece.kind.as_str() {
            "text_delta" => self.push_text(piece.text, deltas),
            "thinking_delta" if !piece.thinking.is_empty() => {
                deltas.push(Delta::Reasoning { choice: 0, text: piece.thinking });
            }
            "signature_delta" if !piece.signature.is_empty() => {
                // Of a signature in pieces, the first one bears the name.
                let again = match self.blocks.get_mut(index) {
                    Some(Block::Said { signed }) => std::mem::replace(signed, true),
                    _ => false,
                };
                let signature = if again { piece.signature } else { seal(NAME, &piece.signature) };
                deltas.push(Delta::Signature { choice: 0, signature });
            }
            "citations_delta" => {
                deltas.push(Delta::Part { choice: 0, part: Box::new(block::citation(piece.citation)) });
            }
            "input_json_delta" => match self.blocks.get_mut(index) {
                Some(Block::Call { index, begun, .. }) if !piece.partial_json.is_empty() => {
                    *begun = true;
                    deltas.push(Delta::ToolCall {
                        choice: 0,
                        index: *index,
                        id: None,
                        name: None,
                        arguments: piece.partial_json,
                        signature: None,
                    });
                }
                Some(Block::Kept { input, .. }) => input.push_str(&piece.partial_json),
                Some(Block::Call { .. }) => {}
                _ => return Err(malformed("a piece of a block that has not begun")),
            },
            _ => {}
        }
        Ok(())
    }

    fn close_block(&mut self, index: usize, deltas: &mut Vec<Delta>) -> Result<()> {
        match self.blocks.get_mut(index).map(std::mem::take) {
            // Arguments that did not come in pieces.
            Some(Block::Call { index, given, begun: false }) => deltas.push(Delta::ToolCall {
                choice: 0,
                index,
                id: None,
                name: None,
                arguments: given,
                signature: None,
            }),
            Some(Block::Kept { mut value, input }) => {
                if !input.is_empty() {
                    value["input"] = serde_json::from_str(&input).map_err(malformed)?;
                }
                let part = match (value["type"].as_str(), value["data"].as_str()) {
                    (Some("redacted_thinking"), Some(data)) => Part::Redacted { data: seal(NAME, data) },
                    _ => Part::Other { value },
                };
                deltas.push(Delta::Part { choice: 0, part: Box::new(part) });
            }
            _ => {}
        }
        Ok(())
    }

    /// The frame that says why the answer ends, and what was used; whether the answer had ended before.
    fn end(&mut self, said: Said<'_>, deltas: &mut Vec<Delta>) -> bool {
        if let Some(counts) = said.usage {
            self.counts.update(counts);
            deltas.push(Delta::Usage(self.counts.usage()));
        }
        let Some(word) = said.delta.and_then(|delta| delta.stop_reason) else { return false };
        let again = std::mem::replace(&mut self.ended, true);
        if !again {
            deltas.push(Delta::Finish { choice: 0, reason: wire::stop_of(&word) });
        }
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_pieces_of_text_are_read_without_serde() {
        let check =
            |text: &str, expect: Option<&str>| assert_eq!(text_piece(text).as_deref(), expect, "{text}");
        let said = |delta: &str| format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#);
        check(&said(r#"{"type":"text_delta","text":" a\u00e9"}"#), Some(" aé"));
        check(&said(r#" { "text" : "" , "type" : "text_delta" } "#), Some(""));
        check(r#"{"delta":{"type":"text_delta","text":"x"},"type":"content_block_delta"}"#, Some("x"));
        check(&said(r#"{"type":"thinking_delta","thinking":"x"}"#), None);
        check(&said(r#"{"type":"text_delta","text":1}"#), None);
        check(&said(r#"{"type":"text_delta"}"#), None);
        check(&said(r#"{"text":"x"}"#), None);
        check(&said(r#"{"type":"text_delta","text":"x","text":"y"}"#), None);
        check(r#"{"type":"message_start","delta":{"type":"text_delta","text":"x"}}"#, None);
        check(r#"{"index":-1,"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}}"#, None);
        check(r#"{"delta":{"type":"text_delta","text":"x"}}"#, None);
        check(&said(r#"{"type":"text_delta","text":"x"}"#).replace("}}", "}"), None);
    }
}
