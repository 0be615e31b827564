//! What an answer votes for: its key part in a canonical form, so that the same answer in other words of
//! JSON counts as the same.

use std::fmt::Write as _;

use serde_json::Value;

/// The canonical form of the part of `value` that `key` points to; none where there is no such part.
///
/// Keys are sorted; numbers are compared as 64-bit floats; texts are lower-cased, without surrounding space
/// and without spaces, quotes and `. , - _ /` inside; lists keep their order. A text that is a number is
/// compared as one: without its point or its sign `1.5` would be `15`, and `-3` would be `3`.
pub(crate) fn ballot(value: &Value, key: &str) -> Option<String> {
    let mut out = String::new();
    write(&mut out, value.pointer(key)?);
    Some(out)
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push('n'),
        Value::Bool(b) => out.push(if *b { 't' } else { 'f' }),
        Value::Number(n) => number(out, '#', n.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => {
            out.push('"');
            let without = |marks: &'static str| {
                text.chars().filter(move |c| !(c.is_whitespace() || marks.contains(*c)))
            };
            match without("\"',_").collect::<String>().parse::<f64>() {
                // No other text has this mark: it is among what is taken out of texts.
                Ok(n) if n.is_finite() => number(out, '_', n),
                _ => out.extend(without("\"'.,-_/").flat_map(char::to_lowercase)),
            }
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

fn number(out: &mut String, mark: char, n: f64) {
    // -0 and 0 are one number.
    let _ = write!(out, "{mark}{}", n + 0.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_answer_in_other_words_is_one_ballot_and_another_is_not() {
        let check = |a: Value, b: Value, same: bool| {
            assert_eq!(ballot(&a, "") == ballot(&b, ""), same, "{a} and {b}");
        };
        check(json!("Very-Good. "), json!("very good"), true);
        check(json!("ÄRGER"), json!("ärger"), true);
        check(json!({"a": 1, "b": [true]}), json!({"b": [true], "a": 1.0}), true);
        check(json!(0.0), json!(-0.0), true);
        check(json!("1.50"), json!("1.5"), true);
        check(json!("1.5"), json!("15"), false);
        check(json!("-3"), json!("3"), false);
        check(json!("3"), json!(3), false);
        check(json!("_15"), json!("15"), true);
        check(json!("1,000"), json!("1000"), true);
        check(json!("nan"), json!("inf"), false);
        check(json!([1, 2]), json!([2, 1]), false);
        check(json!("true"), json!(true), false);
        check(json!(["a", "b"]), json!(["a,b"]), false);
        check(json!(null), json!("n"), false);
    }
}
