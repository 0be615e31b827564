//! Where JSON values end: a scan that checks that they are well-formed and builds nothing.
//!
//! Most bytes of a request or an answer are text inside of strings, which is looked through many bytes at a time.
//! Nothing here recurses. What is accepted is what RFC 8259 says; what is not is left to serde_json, which names
//! the place.

use memchr::memchr2;

/// The end of the string whose first byte after the quotation mark is at `at`, after its closing mark.
pub(crate) fn string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = plain_end(bytes, at);
        match *bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match *bytes.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => at += 6,
                _ => return None,
            },
            // A control character must be escaped.
            _ => return None,
        }
    }
}

/// The place of the first byte from `at` on that ends a string, begins an escape, or must not be in a string; else the
/// end. Names and short texts end within the first blocks; what is longer is searched for its mark first, and then
/// looked through for control characters, both many bytes at a time.
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    for _ in 0..BLOCKS {
        let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { break };
        match first_special(u64::from_le_bytes(*block)) {
            Some(found) => return at + found,
            None => at += 8,
        }
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let marked = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
    let text = rest.get(..marked).unwrap_or_default();
    let allowed = text.iter().fold(u8::MAX, |least, byte| least.min(*byte)) >= 0x20;
    at + if allowed { marked } else { text.iter().position(|byte| *byte < 0x20).unwrap_or(marked) }
}

/// Blocks of eight bytes that are looked at one by one.
const BLOCKS: usize = 3;

/// The first of eight bytes that is a quotation mark, a backslash or a control character. (The well-known test of a word
/// for a zero byte: what it finds in vain lies above what it finds rightly.)
fn first_special(word: u64) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let found =
        (zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\'))) | control) & HIGH;
    (found != 0).then_some(found.trailing_zeros() as usize / 8)
}

/// The place after `mark`, if that is what is at `at`.
pub(crate) fn opened(bytes: &[u8], at: usize, mark: u8) -> Option<usize> {
    (bytes.get(at) == Some(&mark)).then_some(at + 1)
}

/// The place of the first byte that is no white space, from `at` on.
pub(crate) fn blank(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The end of the value that begins at `at`, without blanks before it.
pub(crate) fn value(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut open = Open::default();
    loop {
        at = match *bytes.get(at)? {
            b'"' => string(bytes, at + 1)?,
            b'{' => {
                at = blank(bytes, at + 1);
                match bytes.get(at)? {
                    b'}' => at + 1,
                    _ => {
                        open.push(true);
                        at = name(bytes, at)?;
                        continue;
                    }
                }
            }
            b'[' => {
                at = blank(bytes, at + 1);
                match bytes.get(at)? {
                    b']' => at + 1,
                    _ => {
                        open.push(false);
                        continue;
                    }
                }
            }
            b't' => word(bytes, at, b"true")?,
            b'f' => word(bytes, at, b"false")?,
            b'n' => word(bytes, at, b"null")?,
            _ => number(bytes, at)?,
        };
        // A value has ended; so may those around it.
        loop {
            let Some(object) = open.last() else { return Some(at) };
            at = blank(bytes, at);
            match (*bytes.get(at)?, object) {
                (b',', true) => {
                    at = name(bytes, blank(bytes, at + 1))?;
                    break;
                }
                (b',', false) => {
                    at = blank(bytes, at + 1);
                    break;
                }
                (b'}', true) | (b']', false) => {
                    open.pop();
                    at += 1;
                }
                _ => return None,
            }
        }
    }
}

/// The place of the value after the member's name that begins at `at`.
fn name(bytes: &[u8], at: usize) -> Option<usize> {
    let end = string(bytes, opened(bytes, at, b'"')?)?;
    opened(bytes, blank(bytes, end), b':').map(|at| blank(bytes, at))
}

/// The whole number, or null, that begins at `at`, and where it ends; none for anything else.
pub(crate) fn whole(bytes: &[u8], at: usize) -> Option<(Option<u64>, usize)> {
    if bytes.get(at) == Some(&b'n') {
        return word(bytes, at, b"null").map(|end| (None, end));
    }
    let mut number = 0_u64;
    let mut end = at;
    while let Some(digit @ b'0'..=b'9') = bytes.get(end) {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        end += 1;
    }
    let more = matches!(bytes.get(end), Some(b'.' | b'e' | b'E'));
    let leads = end > at + 1 && bytes.get(at) == Some(&b'0');
    (end > at && !more && !leads).then_some((Some(number), end))
}

fn word(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    bytes.get(at..)?.starts_with(word).then_some(at + word.len())
}

fn number(bytes: &[u8], mut at: usize) -> Option<usize> {
    let digits = |mut at: usize| {
        let from = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        (at > from).then_some(at)
    };
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match bytes.get(at)? {
        b'0' => at + 1,
        _ => digits(at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = digits(at + 1 + sign)?;
    }
    Some(at)
}

/// The objects (true) and arrays (false) around a place, innermost last: a bit each, without allocation while there
/// are few of them.
#[derive(Default)]
struct Open {
    bits: u64,
    depth: u32,
    deeper: Vec<u64>,
}

impl Open {
    fn push(&mut self, object: bool) {
        if self.depth == 64 {
            self.deeper.push(self.bits);
            self.depth = 0;
        }
        self.bits = (self.bits << 1) | u64::from(object);
        self.depth += 1;
    }

    fn last(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }

    fn pop(&mut self) {
        self.bits >>= 1;
        self.depth -= 1;
        if self.depth == 0
            && let Some(bits) = self.deeper.pop()
        {
            (self.bits, self.depth) = (bits, 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// Whether all of it is one value, by the scan and by serde_json.
    fn both(bytes: &[u8]) -> [bool; 2] {
        let begin = blank(bytes, 0);
        let end = value(bytes, begin).map(|end| blank(bytes, end));
        let text = std::str::from_utf8(bytes);
        let known =
            text.is_ok_and(|text| serde_json::from_str::<&RawValue>(text.trim_matches(BLANKS)).is_ok());
        [text.is_ok() && end == Some(bytes.len()), known]
    }

    const BLANKS: [char; 4] = [' ', '\n', '\r', '\t'];

    #[test]
    fn what_is_json_is_told_as_serde_json_tells_it() {
        let check = |text: &str, expect: bool| assert_eq!(both(text.as_bytes()), [expect; 2], "{text:?}");
        for good in ["0", "-0", "10", "1.5", "1e5", "-1.25E-07", "true", "null", "\"\"", "[]", "{}", "[ ]"] {
            check(good, true);
            check(&format!(" [ {good} , {good} ] "), true);
            check(&format!("{{ \"a\" : {good},\"b\":{good}}}\n"), true);
            for wrong in
                [format!("{good}{good}x"), format!("[{good}"), format!("[{good},]"), format!("{{{good}}}")]
            {
                check(&wrong, false);
            }
        }
        for wrong in
            ["", "-", "01", "1.", ".5", "1e", "+1", "tru", "nul", "\"", "\"\\x\"", "\"\\u12g4\"", "\"\n\""]
        {
            check(wrong, false);
        }
        for wrong in ["[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{1:1}", "[1}", "{\"a\":1]", "]", ","] {
            check(wrong, false);
        }
        let long = "é\\n\\u00e9\\\"".repeat(20);
        check(&format!("\"{long}\""), true);
        check(&format!("\"{long}\u{1}\""), false);
    }

    #[test]
    fn a_whole_number_is_read_as_serde_json_reads_it() {
        for text in [
            "0",
            "7",
            "1048576",
            "18446744073709551615",
            "null",
            "01",
            "00",
            "-1",
            "1.0",
            "1e3",
            "18446744073709551616",
            "",
            "x",
            "\"1\"",
            "nul",
        ] {
            let expect: Option<Option<u64>> = serde_json::from_str(text).ok();
            let came = whole(text.as_bytes(), 0);
            assert_eq!(came, expect.map(|number| (number, text.len())), "{text}");
        }
    }

    #[test]
    fn a_string_ends_where_its_first_special_byte_is() {
        for length in 0..80 {
            for special in [b'"', b'\\', 0x1f, 0] {
                for around in [b'a', 0x20, 0x21, 0x23, b'[', b']', 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
                    let mut bytes = vec![around; 80];
                    bytes[length] = special;
                    assert_eq!(plain_end(&bytes, 0), length, "{special:#x} after {length} of {around:#x}");
                }
            }
        }
        assert_eq!(plain_end(&[b'a'; 80], 3), 80);
    }

    #[test]
    fn no_depth_is_too_deep() {
        for depth in [1, 63, 64, 65, 128, 129, 100_000] {
            let deep = format!("{}1{}", "[{\"a\":".repeat(depth), "}]".repeat(depth));
            assert_eq!(value(deep.as_bytes(), 0), Some(deep.len()));
            let crossed = format!("{}1{}", "[{\"a\":".repeat(depth), "]}".repeat(depth));
            assert_eq!(value(crossed.as_bytes(), 0), None);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_taken_for_json_that_is_none(
            text in r#"([\[\]{},: ]|"[a-z\\"é]{0,20}"|true|null|-?[0-9.eE+-]{1,5}|"a":|\\u00[0-9g]{2}){0,12}"#,
        ) {
            let [scanned, known] = both(text.as_bytes());
            prop_assert_eq!(scanned, known);
        }

        #[test]
        fn a_byte_changed_changes_the_judgement_alike(
            at: prop::sample::Index,
            byte: u8,
        ) {
            let mut bytes = br#"{"model":"m","messages":[{"role":"user","content":"a \"long\" text \u00e9, over sixteen"}],"n":-1.5e3,"x":{"y":[true,null,[],{}]}}"#.to_vec();
            *at.get_mut(&mut bytes) = byte;
            let [scanned, known] = both(&bytes);
            prop_assert_eq!(scanned, known);
        }
    }
}
