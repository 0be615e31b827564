//! A frame of a streamed chat, as far as it is understood.
//!
//! Nearly all frames are of one simple kind: a few texts. Those are scanned; what has more to it is read by serde.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::dialect::object::{elements_at, members_at, plain};
use crate::dialect::scan;

/// A value as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a>(pub(super) &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Raw(raw.get()))
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub(super) choices: Option<Vec<ChunkChoice<'a>>>,
    #[serde(borrow, default)]
    pub(super) usage: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub(super) error: Option<Raw<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ChunkChoice<'a> {
    #[serde(default)]
    pub(super) index: Option<u32>,
    #[serde(borrow, default)]
    pub(super) delta: Option<ChunkDelta<'a>>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ChunkDelta<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub(super) reasoning_content: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub(super) reasoning: Option<Raw<'a>>,
    #[serde(borrow, default)]
    pub(super) reasoning_details: Option<Raw<'a>>,
    #[serde(default)]
    pub(super) refusal: Option<String>,
    #[serde(borrow, default)]
    pub(super) tool_calls: Option<Vec<ChunkCall<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ChunkCall<'a> {
    #[serde(default)]
    pub(super) index: Option<i64>,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(borrow, default)]
    pub(super) function: Option<ChunkFunction<'a>>,
    #[serde(default)]
    pub(super) extra_content: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct ChunkFunction<'a> {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(borrow, default)]
    pub(super) arguments: Option<Raw<'a>>,
}

impl<'a> Chunk<'a> {
    /// Reads a frame of the simple kind, in one pass; none when serde has to look at it, be it only to say what is
    /// wrong.
    pub(super) fn scan(text: &'a str) -> Option<Self> {
        let (mut chunk, mut seen) = (Chunk::default(), Seen::default());
        let end = members_at(text, scan::blank(text.as_bytes(), 0), |name, at| match name {
            r#""id""# => seen.raw(0, &mut chunk.id, text, at),
            r#""model""# => seen.raw(1, &mut chunk.model, text, at),
            r#""usage""# => seen.raw(2, &mut chunk.usage, text, at),
            r#""error""# => seen.raw(3, &mut chunk.error, text, at),
            r#""choices""# => seen.other(4, &mut chunk.choices, text, at, |choices| {
                elements_at(text, at, |at| {
                    let mut choice = ChunkChoice::default();
                    let end = choice.scan(text, at)?;
                    choices.push(choice);
                    Some(end)
                })
            }),
            other => unknown(other, text, at),
        })?;
        (scan::blank(text.as_bytes(), end) == text.len()).then_some(chunk)
    }
}

impl<'a> ChunkChoice<'a> {
    fn scan(&mut self, text: &'a str, at: usize) -> Option<usize> {
        let mut seen = Seen::default();
        members_at(text, at, |name, at| match name {
            r#""index""# => seen.other(0, &mut self.index, text, at, |index| {
                let end = scan::value(text.as_bytes(), at)?;
                *index = text.get(at..end)?.parse().ok()?;
                Some(end)
            }),
            r#""delta""# => seen.other(1, &mut self.delta, text, at, |delta| delta.scan(text, at)),
            r#""finish_reason""# => seen.other(2, &mut self.finish_reason, text, at, |reason| {
                let end = scan::value(text.as_bytes(), at)?;
                *reason = plain(text.get(at..end)?)?.into_owned();
                Some(end)
            }),
            other => unknown(other, text, at),
        })
    }
}

impl<'a> ChunkDelta<'a> {
    fn scan(&mut self, text: &'a str, at: usize) -> Option<usize> {
        let mut seen = Seen::default();
        members_at(text, at, |name, at| match name {
            r#""content""# => seen.raw(0, &mut self.content, text, at),
            r#""reasoning_content""# => seen.raw(1, &mut self.reasoning_content, text, at),
            r#""reasoning""# => seen.raw(2, &mut self.reasoning, text, at),
            r#""reasoning_details""# => seen.raw(3, &mut self.reasoning_details, text, at),
            // Rare, and of many forms.
            r#""refusal""# | r#""tool_calls""# => null(text, at),
            other => unknown(other, text, at),
        })
    }
}

/// The end of a null.
fn null(text: &str, at: usize) -> Option<usize> {
    text.get(at..)?.starts_with("null").then_some(at + 4)
}

/// The end of the value of a name that is not known, unless it only looks like that: an escape may stand for a letter.
fn unknown(name: &str, text: &str, at: usize) -> Option<usize> {
    if name.contains('\\') {
        return None;
    }
    scan::value(text.as_bytes(), at)
}

/// Which names have come.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    /// A name has come, for the first time.
    fn once(&mut self, name: u8) -> Option<()> {
        let bit = 1 << name;
        let is_first = self.0 & bit == 0;
        self.0 |= bit;
        is_first.then_some(())
    }

    /// Takes a value as it came.
    fn raw<'a>(&mut self, name: u8, place: &mut Option<Raw<'a>>, text: &'a str, at: usize) -> Option<usize> {
        self.once(name)?;
        if let Some(end) = null(text, at) {
            return Some(end);
        }
        let end = scan::value(text.as_bytes(), at)?;
        *place = Some(Raw(text.get(at..end)?));
        Some(end)
    }

    /// Takes a value that `read` reads, unless it is null.
    fn other<T: Default>(
        &mut self,
        name: u8,
        place: &mut Option<T>,
        text: &str,
        at: usize,
        read: impl FnOnce(&mut T) -> Option<usize>,
    ) -> Option<usize> {
        self.once(name)?;
        match null(text, at) {
            Some(end) => Some(end),
            None => read(place.insert(T::default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scanned_is_what_serde_reads() {
        let check = |text: &str, scanned: bool| {
            let chunk = Chunk::scan(text).map(|chunk| format!("{chunk:?}"));
            assert_eq!(chunk.is_some(), scanned, "{text}");
            if let Some(chunk) = chunk {
                let read: Chunk<'_> = serde_json::from_str(text).unwrap();
                assert_eq!(chunk, format!("{read:?}"), "{text}");
            }
        };
        check("{}", true);
        check(r#"{"id":"x","model":null,"other":[1],"choices":[],"usage":{"a":1}}"#, true);
        check(r#"{"id":5,"choices":null,"error":{"message":"m"}}"#, true);
        check(
            r#" {"choices" : [ {"index" : 0,"delta" : {"content" : "a\u00e9"}, "finish_reason":null} ] } "#,
            true,
        );
        check(
            r#"{"choices":[{"delta":{"role":"assistant","content":"","refusal":null,"tool_calls":null}}]}"#,
            true,
        );
        check(r#"{"choices":[{"index":null,"delta":null,"finish_reason":"st\u006fp"},{"index":1}]}"#, true);
        check(
            r#"{"choices":[{"delta":{"reasoning":"r","reasoning_content":"s","reasoning_details":[{}]}}]}"#,
            true,
        );
        check(r#"{"choices":[{"delta":{"content":[{"text":"x"}]}}]}"#, true);
        check(r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#, false);
        check(r#"{"choices":[{"delta":{"refusal":"no"}}]}"#, false);
        check(r#"{"choices":[{"index":-1}]}"#, false);
        check(r#"{"choices":[{"index":0.5}]}"#, false);
        check(r#"{"choices":[{"index":0,"index":1}]}"#, false);
        check(r#"{"choices":{},"id":"x"}"#, false);
        check(r#"{"id":"x","id":"y"}"#, false);
        check(r#"{"ch\u006fices":[]}"#, false);
        check(r#"{"id":"x"} x"#, false);
        check(r#"{"id":"x""#, false);
        check("[]", false);
    }
}
