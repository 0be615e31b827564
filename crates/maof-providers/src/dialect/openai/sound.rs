//! Sound on its way: what is heard as events (`transcript.text.*`), what is said as events (`speech.audio.*`) or as
//! the bytes of a file.
//!
//! The events are OpenAI's, as <https://docs.rs/async-openai/latest/src/async_openai/types/audio/stream.rs.html> (read
//! November 2026) has them. Frames of other kinds, such as those of vLLM that look like a chat's, pass as well.

use bytes::Bytes;
use maof_core::{Call, Decoder, Delta, Encoder, Error, Event, Frame, Result, Usage};
use serde_json::{Value, json};

use super::usage::UsageCounts;
use super::wire::NAME;
use super::{error, media};
use crate::dialect::object::Object;
use crate::dialect::said;
use crate::sound::characters;

fn malformed(cause: impl std::fmt::Display) -> Error {
    Error::protocol("a frame of the upstream's stream is malformed").because(cause.to_string())
}

/// A fold over events about sound: each is checked, and passes as it came.
#[derive(Debug)]
pub(super) struct Heard {
    /// What is billed by the text that is said.
    characters: Usage,
    over: bool,
}

impl Heard {
    pub(super) fn new(call: &Call) -> Self {
        Heard { characters: characters(call).unwrap_or_default(), over: false }
    }

    fn deltas(&mut self, object: &Object<'_>) -> Result<Vec<Delta>> {
        let kind = object.text("type").unwrap_or_default();
        match kind.as_str() {
            "transcript.text.delta" => Ok(said_more(object.text("delta"))),
            "transcript.text.done" => {
                self.over = true;
                Ok(media::heard(object)?.map(Delta::Usage).into_iter().collect())
            }
            "speech.audio.done" => {
                self.over = true;
                let usage = media::spoken(object, self.characters);
                Ok(vec![Delta::Usage(usage)])
            }
            _ => {
                let choices = object.read::<Value>("choices").unwrap_or_default();
                let mut deltas = said_more(choices[0]["delta"]["content"].as_str().map(str::to_owned));
                let usage = object.read::<UsageCounts>("usage").map(|counts| counts.usage());
                deltas.extend(usage.filter(|usage| !usage.is_zero()).map(Delta::Usage));
                Ok(deltas)
            }
        }
    }
}

fn said_more(text: Option<String>) -> Vec<Delta> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| Delta::Text { choice: 0, text }).into_iter().collect()
}

impl Decoder for Heard {
    fn frame(&mut self, _: Option<&str>, data: &[u8], raw: Bytes) -> Result<Option<Event>> {
        let data = data.trim_ascii();
        if self.over || data.is_empty() {
            return Ok(None);
        }
        let deltas = match data {
            b"[DONE]" => {
                self.over = true;
                Vec::new()
            }
            data => {
                let object = Object::parse(data).map_err(malformed)?;
                if let Some(raw) = object.get("error").filter(|error| *error != "null") {
                    return Err(said::inside(raw));
                }
                self.deltas(&object)?
            }
        };
        Ok(Some(Event { frame: Some(Frame { dialect: NAME, bytes: raw }), deltas }))
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn close(&mut self) -> Result<Option<Event>> {
        match self.over {
            true => Ok(None),
            false => Err(Error::protocol("the upstream's stream ended before its answer did")),
        }
    }
}

/// Writes a transcript for a caller: events of this dialect as they came, others in its words.
#[derive(Debug, Default)]
pub(super) struct Told {
    text: String,
    usage: Option<Usage>,
    /// Whether the words are ours, and so their ending.
    ours: bool,
}

impl Told {
    fn write(event: &Value, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(event.to_string().as_bytes());
        out.extend_from_slice(b"\n\n");
    }
}

impl Encoder for Told {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if let Some(frame) = event.frame.as_ref().filter(|frame| frame.dialect == NAME) {
            return out.extend_from_slice(&frame.bytes);
        }
        self.ours = true;
        for delta in &event.deltas {
            match delta {
                Delta::Text { text, .. } => {
                    self.text.push_str(text);
                    Self::write(&json!({"type": "transcript.text.delta", "delta": text}), out);
                }
                Delta::Usage(usage) => self.usage = Some(*usage),
                _ => {}
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.ours {
            return;
        }
        let mut done = json!({"type": "transcript.text.done", "text": self.text});
        if let Some(usage) = self.usage.filter(|usage| usage.total_tokens() > 0) {
            done["usage"] = json!({
                "type": "tokens", "input_tokens": usage.input_tokens(),
                "output_tokens": usage.output_tokens(), "total_tokens": usage.total_tokens(),
            });
        }
        Self::write(&done, out);
    }

    fn error(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error::encode(error));
        out.extend_from_slice(b"\n\n");
    }
}

#[cfg(test)]
mod tests {
    use maof_core::ErrorKind;
    use maof_testkit::endpoint::call;

    use super::*;

    #[test]
    fn every_event_is_checked_and_passes_and_the_last_ends_it() {
        let check = |frames: &[&str], said: &str, ends: Result<(), ErrorKind>| {
            let mut fold = Heard::new(&call("x"));
            let mut text = String::new();
            let read = frames.iter().try_for_each(|data| {
                let raw = Bytes::from(format!("data: {data}\n\n"));
                let Some(event) = fold.frame(None, data.as_bytes(), raw.clone())? else { return Ok(()) };
                assert_eq!(event.frame.map(|frame| frame.bytes), Some(raw));
                for delta in event.deltas {
                    if let Delta::Text { text: more, .. } = delta {
                        text += &more;
                    }
                }
                Ok(())
            });
            let end = read.and_then(|()| fold.close().map(drop));
            assert_eq!((text.as_str(), end.map_err(|e: Error| e.kind())), (said, ends), "{frames:?}");
        };
        let (delta, done) = (
            r#"{"type":"transcript.text.delta","delta":"a"}"#,
            r#"{"type":"transcript.text.done","text":"a"}"#,
        );
        check(&[delta, done], "a", Ok(()));
        check(&[delta, done, "broken"], "a", Ok(()));
        check(&[delta], "a", Err(ErrorKind::Protocol));
        check(&[delta, "{"], "a", Err(ErrorKind::Protocol));
        check(&[r#"{"type":"transcript.text.segment","text":"a"}"#, done], "", Ok(()));
        // `TranscriptionStreamResponse` of vLLM's server.
        let chunk = r#"{"object":"transcription.chunk","choices":[{"delta":{"content":"a"}}]}"#;
        check(&[chunk, chunk, "[DONE]"], "aa", Ok(()));
        check(&[r#"{"error":{"message":"m","type":"server_error"}}"#], "", Err(ErrorKind::Unavailable));
    }
}
