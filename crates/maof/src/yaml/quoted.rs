//! `${NAME}` within quotes. The YAML reader interpolates plain scalars only; in flow style (`{key: …}`) a
//! reference must be quoted, so quoted ones are expanded here, escaped for their quotes: a value can change
//! neither the structure of a file nor the scalar it stands in.

use std::collections::HashMap;

/// A variable that is not set: the line that names it, and its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unset {
    pub(super) line: usize,
    pub(super) name: String,
}

/// Expands references in scalars that are quoted within one line. `$${NAME}` stays as `${NAME}`.
///
/// # Errors
/// The first variable that is not set.
pub(super) fn expand(text: &str, variables: &HashMap<String, String>) -> Result<String, Unset> {
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.contains("${") && line.contains(['"', '\'']) {
            expand_line(line, variables, &mut out).map_err(|name| Unset { line: number + 1, name })?;
        } else {
            out.push_str(line);
        }
    }
    Ok(out)
}

fn expand_line(line: &str, variables: &HashMap<String, String>, out: &mut String) -> Result<(), String> {
    let mut rest = line;
    let mut before = '\n';
    while let Some(c) = rest.chars().next() {
        // A quote opens a scalar only where one may begin; an apostrophe within words does not.
        let opens = matches!(c, '"' | '\'') && matches!(before, '\n' | ':' | ',' | '[' | '{' | '-');
        if let Some(end) = opens.then(|| closing(rest, c)).flatten() {
            expand_scalar(&rest[..end], c, variables, out)?;
            rest = &rest[end..];
            before = c;
            continue;
        }
        if c == '#' && out.ends_with([' ', '\t', '\n']) {
            break;
        }
        if !c.is_whitespace() {
            before = c;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out.push_str(rest);
    Ok(())
}

/// Where the scalar that begins with `quote` ends, its closing quote included.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote == '"' => {
                chars.next();
            }
            _ if c == quote && quote == '\'' && chars.peek().is_some_and(|(_, n)| *n == '\'') => {
                chars.next();
            }
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn expand_scalar(
    scalar: &str,
    quote: char,
    variables: &HashMap<String, String>,
    out: &mut String,
) -> Result<(), String> {
    let mut rest = scalar;
    while let Some(at) = rest.find("${") {
        let Some(length) = rest[at..].find('}') else { break };
        let reference = &rest[at + 2..at + length];
        let is_name =
            !reference.is_empty() && reference.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if rest[..at].ends_with('$') || !is_name {
            // Escaped, or no reference of ours: an escape loses one of its dollars.
            let escaped = rest[..at].ends_with('$');
            out.push_str(if escaped { &rest[..at - 1] } else { &rest[..at] });
            out.push_str(&rest[at..at + length + 1]);
        } else {
            out.push_str(&rest[..at]);
            let value = variables.get(reference).ok_or_else(|| reference.to_owned())?;
            escape(value, quote, out);
        }
        rest = &rest[at + length + 1..];
    }
    out.push_str(rest);
    Ok(())
}

fn escape(value: &str, quote: char, out: &mut String) {
    match quote {
        '\'' if value.contains(['\n', '\r']) => {
            out.push_str(&value.replace('\'', "''").replace(['\n', '\r'], " "))
        }
        '\'' => out.push_str(&value.replace('\'', "''")),
        _ => {
            for c in value.chars() {
                match c {
                    '"' | '\\' => out.extend(['\\', c]),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    _ => out.push(c),
                }
            }
        }
    }
}
