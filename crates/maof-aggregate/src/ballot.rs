//! What an answer votes for: its key part in a canonical form, so that the same answer in other words of
//! JSON counts as the same.

use std::fmt::Write as _;

use serde_json::Value;

/// The canonical form of the part of `value` that `key` points to; none where there is no such part.
///
/// Keys are sorted; numbers are compared as 64-bit floats; texts are lower-cased, without surrounding space
/// and without spaces, quotes and `. , - _ /` inside; lists keep their order.
pub(crate) fn ballot(value: &Value, key: &str) -> Option<String> {
    let mut out = String::new();
    write(&mut out, value.pointer(key)?);
    Some(out)
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push('n'),
        Value::Bool(b) => out.push(if *b { 't' } else { 'f' }),
        // -0 and 0 are one number.
        Value::Number(n) => drop(write!(out, "#{}", n.as_f64().unwrap_or(f64::NAN) + 0.0)),
        Value::String(text) => {
            out.push('"');
            let kept = text.chars().filter(|c| !(c.is_whitespace() || "\"'.,-_/".contains(*c)));
            out.extend(kept.flat_map(char::to_lowercase));
            out.push('"');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write(out, item);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(k, _)| *k);
            out.push('{');
            for (key, value) in entries {
                let _ = write!(out, "{key:?}:");
                write(out, value);
                out.push(',');
            }
            out.push('}');
        }
    }
}
