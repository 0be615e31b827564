//! Server-sent events from bytes, cut anywhere (WHATWG HTML, section 9.2).

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use maof_core::{Error, Result};

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its payload: the `data` lines, joined by line feeds.
    pub data: Bytes,
    /// The event as it came, the blank line included; always ends in a line feed.
    pub raw: Bytes,
}

/// Takes bytes and gives events: the same ones, however the bytes were cut.
#[derive(Debug)]
pub struct Events {
    buffer: BytesMut,
    /// How far the buffer has been looked through.
    seen: usize,
    /// Where the line begins that is being looked at.
    line: usize,
    /// Whether a line feed that comes next belongs to the carriage return before it.
    after_return: bool,
    begun: bool,
    most: usize,
}

impl Events {
    /// For events of at most `most` bytes.
    pub fn new(most: usize) -> Self {
        Events { buffer: BytesMut::new(), seen: 0, line: 0, after_return: false, begun: false, most }
    }

    /// Takes more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event that is complete. Comments and events without data are passed over.
    ///
    /// # Errors
    /// `protocol` when an event is larger than allowed.
    #[allow(clippy::should_implement_trait, reason = "an iterator could not be fed between two items")]
    pub fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            let Some(end) = self.block()? else { return Ok(None) };
            let block = self.buffer.split_to(end);
            (self.seen, self.line) = (0, 0);
            if let Some(frame) = frame(block) {
                return Ok(Some(frame));
            }
        }
    }

    /// What is left when the bytes have ended: an event whose blank line is missing.
    pub fn rest(&mut self) -> Option<Frame> {
        let mut block = self.buffer.split();
        (self.seen, self.line) = (0, 0);
        block.extend_from_slice(b"\n\n");
        frame(block)
    }

    /// Where the first block ends, if its blank line is there.
    fn block(&mut self) -> Result<Option<usize>> {
        if !self.skip_mark() {
            return Ok(None);
        }
        while let Some(byte) = self.buffer.get(self.seen).copied() {
            let joined = std::mem::replace(&mut self.after_return, byte == b'\r') && byte == b'\n';
            if joined && self.seen == 0 {
                // The second half of a line ending whose first half ended the block before.
                let _ = self.buffer.split_to(1);
                continue;
            }
            if byte != b'\n' && byte != b'\r' {
                self.seen = line_end(&self.buffer, self.seen);
                continue;
            }
            self.seen += 1;
            if joined {
                self.line = self.seen;
            } else {
                let blank = self.seen - self.line == 1;
                self.line = self.seen;
                if blank {
                    return self.bounded(self.seen).map(Some);
                }
            }
        }
        self.bounded(self.seen).map(|_| None)
    }

    fn bounded(&self, length: usize) -> Result<usize> {
        if length <= self.most {
            return Ok(length);
        }
        Err(Error::protocol(format!("an event of the upstream's stream is larger than {} bytes", self.most)))
    }

    /// Passes over a byte order mark at the very beginning; false while it may still be one.
    fn skip_mark(&mut self) -> bool {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if !self.begun {
            if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
                return false;
            }
            self.begun = true;
            if self.buffer.starts_with(MARK) {
                let _ = self.buffer.split_to(MARK.len());
            }
        }
        true
    }
}

/// The place of the first line feed or carriage return from `at` on, else the end. Sixteen bytes are compared at
/// once: a line is mostly one long payload.
fn line_end(bytes: &[u8], mut at: usize) -> usize {
    let ends = |byte: &u8| u8::from(*byte == b'\n') | u8::from(*byte == b'\r');
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>())
        && block.iter().fold(0, |found, byte| found | ends(byte)) == 0
    {
        at += 16;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| ends(byte) != 0).unwrap_or(rest.len())
}

/// The lines of `data` in a block.
enum Data {
    /// One, which is passed on as it lies there.
    Line(Range<usize>),
    /// Several, joined.
    Joined(BytesMut),
}

fn frame(mut block: BytesMut) -> Option<Frame> {
    let mut name = None;
    let mut data: Option<Data> = None;
    let mut next = 0;
    while next < block.len() {
        let (begin, end) = (next, line_end(&block, next));
        next = end + 1;
        let line = block.get(begin..end)?;
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = Some(String::from_utf8_lossy(value).into_owned()),
            b"data" => {
                data = Some(match data {
                    None => Data::Line(end - value.len()..end),
                    Some(before) => {
                        let mut joined = match before {
                            Data::Line(place) => block.get(place)?.into(),
                            Data::Joined(joined) => joined,
                        };
                        joined.extend_from_slice(b"\n");
                        joined.extend_from_slice(value);
                        Data::Joined(joined)
                    }
                });
            }
            _ => {}
        }
    }
    if block.last() == Some(&b'\r') {
        // Its line feed comes later, if at all; readers that look for one shall find it.
        block.extend_from_slice(b"\n");
    }
    let raw = block.freeze();
    let data = match data? {
        Data::Line(place) => raw.slice(place),
        Data::Joined(joined) => joined.freeze(),
    };
    Some(Frame { name: name.filter(|name| !name.is_empty()), data, raw })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The events, and whether the bytes were read to their end.
    fn outcome(pieces: &[&[u8]]) -> (Vec<Frame>, bool) {
        let mut events = Events::new(64);
        let mut frames = Vec::new();
        for piece in pieces {
            events.push(piece);
            loop {
                match events.next() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(_) => return (frames, false),
                }
            }
        }
        frames.extend(events.rest());
        (frames, true)
    }

    fn all(pieces: &[&[u8]]) -> Vec<Frame> {
        let (frames, complete) = outcome(pieces);
        assert!(complete);
        frames
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        let check = |text: &str, expect: &[(Option<&str>, &str)]| {
            let got = all(&[text.as_bytes()]);
            let got: Vec<_> =
                got.iter().map(|f| (f.name.as_deref(), std::str::from_utf8(&f.data).unwrap())).collect();
            assert_eq!(got, expect, "{text:?}");
        };
        check("data: a\n\n", &[(None, "a")]);
        check("\u{feff}data: a\n\n", &[(None, "a")]);
        check("data:a\r\rdata:  b\r\r", &[(None, "a"), (None, " b")]);
        check("event: e\r\ndata: a\r\ndata: b\r\n\r\n", &[(Some("e"), "a\nb")]);
        check(": comment\n\nid: 1\nretry: 5\n\ndata\n\n", &[(None, "")]);
        check("data: a\n\n\n\n\ndata: b", &[(None, "a"), (None, "b")]);
        check("event: e\n\n", &[]);
        check("dataset: 1\n\n", &[]);
        check("", &[]);
    }

    #[test]
    fn the_bytes_of_an_event_are_kept_up_to_its_blank_line() {
        let raw: Vec<_> = all(&[b"data: a\n\n: c\ndata: b\r\n\r\n"]).into_iter().map(|f| f.raw).collect();
        assert_eq!(raw, [&b"data: a\n\n"[..], b": c\ndata: b\r\n\r\n"]);
    }

    #[test]
    fn an_event_is_given_as_soon_as_its_blank_line_is_there() {
        let mut events = Events::new(64);
        events.push(b"data: a\r\n\r");
        assert!(events.next().unwrap().is_some(), "the line feed must not be waited for");
        events.push(b"\ndata: b\r\n\r\n");
        assert_eq!(events.next().unwrap().unwrap().data, "b");
        assert_eq!(events.rest(), None);
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut events = Events::new(64);
        events.push(&[b'a'; 64]);
        assert!(events.next().unwrap().is_none());
        events.push(b"a");
        assert!(events.next().is_err());
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_events(
            lines in prop::collection::vec("(data|event|id|:| |é|x)?(: ?)?[a-zé😀]{0,5}(\n|\r|\r\n|\n\n|\r\r|\r\n\r\n)", 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let text = lines.concat();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            let whole = outcome(&[bytes]);
            prop_assert_eq!(&whole, &outcome(&pieces));
            prop_assert_eq!(&whole, &outcome(&single));
        }
    }
}
