//! Reads YAML: unknown keys are refused with the nearest known one, errors name file, line and column,
//! and `${NAME}` stands for an environment variable.
//!
//! Interpolation happens within scalars after parsing, so that a variable's value can never change the
//! structure of a file, and values never appear in errors.

mod quoted;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use maof_core::{Error, Result};
use serde::de::DeserializeOwned;
use serde_saphyr::{Error as YamlError, Options};

/// A configuration or workflow file may have this many bytes.
const MAX_FILE: u64 = 4 << 20;

/// Variables that `${NAME}` may name.
pub type Variables = HashMap<String, String>;

/// Reads a file.
///
/// # Errors
/// `not_found`, `too_large` or `unavailable` naming the file; `invalid_request` as [`parse`].
pub fn read<T: DeserializeOwned>(path: &Path, variables: Option<&Variables>) -> Result<T> {
    let text = read_text(path, MAX_FILE)?;
    parse(&text, &path.display().to_string(), variables)
}

/// Reads a file as text.
///
/// # Errors
/// `not_found` when there is none, `too_large` beyond `max` bytes, `invalid_request` when it is not UTF-8,
/// `permission_denied` or `unavailable` when it cannot be read; each names the file.
pub fn read_text(path: &Path, max: u64) -> Result<String> {
    use std::io::{ErrorKind, Read as _};
    let name = path.display();
    let told = |error: std::io::Error| {
        let made = match error.kind() {
            ErrorKind::NotFound => Error::not_found(format!("there is no file {name}")),
            ErrorKind::PermissionDenied => Error::permission_denied(format!("{name} may not be read")),
            ErrorKind::InvalidData => Error::invalid_request(format!("{name} is not UTF-8 text")),
            ErrorKind::IsADirectory => Error::invalid_request(format!("{name} is a directory, not a file")),
            _ => Error::unavailable(format!("{name} cannot be read: {error}")),
        };
        made.because(error)
    };
    let file = std::fs::File::open(path).map_err(told)?;
    let mut text = String::new();
    file.take(max + 1).read_to_string(&mut text).map_err(told)?;
    if text.len() as u64 > max {
        return Err(Error::too_large(format!("{name} has more than {max} bytes")));
    }
    Ok(text)
}

/// Reads text; `name` is what errors call it.
///
/// # Errors
/// `invalid_request` naming place and field: malformed YAML, an unknown key (with the nearest known one), a
/// wrong type, a missing variable.
pub fn parse<T: DeserializeOwned>(text: &str, name: &str, variables: Option<&Variables>) -> Result<T> {
    let mut options = Options::default();
    let mut text = Cow::Borrowed(text);
    if let Some(variables) = variables {
        let expanded = quoted::expand(&text, variables);
        text = expanded.map_err(|e| unset(&format!("{name}:{}", e.line), &e.name))?.into();
        options = options.with_properties(variables.clone());
    }
    serde_saphyr::from_str_with_options(&text, options).map_err(|error| explain(&error, name))
}

fn explain(error: &YamlError, name: &str) -> Error {
    let bare = error.without_snippet();
    let place = match bare.location() {
        Some(at) => format!("{name}:{}:{}", at.line(), at.column()),
        None => name.to_owned(),
    };
    match bare {
        YamlError::SerdeUnknownField { field, expected, .. } => {
            let hint = nearest(field, expected.iter().copied())
                .map(|near| format!("did you mean `{near}`?"))
                .unwrap_or_else(|| format!("known keys: {}", expected.join(", ")));
            Error::invalid_request(format!("{place}: unknown key `{field}`; {hint}")).param(field.clone())
        }
        YamlError::SerdeUnknownVariant { variant, expected, .. } => {
            let known = expected.join(", ");
            Error::invalid_request(format!("{place}: `{variant}` is none of: {known}")).param(variant.clone())
        }
        YamlError::SerdeMissingField { field, .. } => {
            Error::invalid_request(format!("{place}: the key `{field}` is missing")).param(*field)
        }
        YamlError::UnresolvedProperty { name, .. } => unset(&place, name),
        YamlError::DuplicateMappingKey { key, .. } => {
            let named = key.as_deref().map(|k| format!(" `{k}`")).unwrap_or_default();
            Error::invalid_request(format!("{place}: the key{named} is there twice"))
        }
        other => {
            // The library's own text ends with the place, which is said already.
            let text = other.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Error::invalid_request(format!("{place}: {first}"))
        }
    }
}

fn unset(place: &str, name: &str) -> Error {
    let why = format!("{place}: the environment variable {name} is not set; set it, or add it to .env");
    Error::invalid_request(why).param(name.to_owned())
}

/// The known word nearest to `word`, if one is near: Jaro-Winkler similarity above 0.8.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|k| (strsim::jaro_winkler(word, k), k));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, k)| k)
}

/// Variables of a `.env` file: `NAME=value` lines, `#` comments, `export ` allowed, values may be quoted.
///
/// # Errors
/// `invalid_request` naming file and line; none when the file is not there.
pub fn dotenv(path: &Path) -> Result<Variables> {
    if !path.exists() {
        return Ok(Variables::new());
    }
    let text = read_text(path, MAX_FILE)?;
    let mut variables = Variables::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            let place = format!("{}:{}", path.display(), number + 1);
            return Err(Error::invalid_request(format!("{place}: a line is written NAME=value")));
        };
        let value = value.trim();
        let unquoted = ['"', '\'']
            .iter()
            .find_map(|q| value.strip_prefix(*q).and_then(|v| v.strip_suffix(*q)))
            .unwrap_or_else(|| value.split(" #").next().unwrap_or(value).trim_end());
        variables.insert(name.trim().to_owned(), unquoted.to_owned());
    }
    Ok(variables)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        listen: String,
        #[serde(default)]
        retries: u8,
    }

    fn check(text: &str, expect: &str) {
        let variables = Variables::from([("HOST".to_owned(), "a: b\nc: [".to_owned())]);
        let said = match parse::<Sample>(text, "f.yaml", Some(&variables)) {
            Ok(sample) => sample.listen,
            Err(error) => error.message().to_owned(),
        };
        assert!(said.contains(expect), "{text:?} said {said:?}, not {expect:?}");
    }

    #[test]
    fn errors_name_the_place_and_the_remedy() {
        check("listen: x\nretires: 3\n", "f.yaml:2:1: unknown key `retires`; did you mean `retries`?");
        check("listen: x\nzzz: 3\n", "known keys: listen, retries");
        check("retries: 3\n", "the key `listen` is missing");
        check("listen: x\nretries: many\n", "f.yaml:2:10");
        check("listen: [\n", "f.yaml:");
        check("listen: ${NOPE}\n", "f.yaml:1:9: the environment variable NOPE is not set");
        check("listen: x\nlisten: y\n", "f.yaml:2:1: the key `listen` is there twice");
    }

    #[test]
    fn a_variable_cannot_change_the_structure() {
        check("listen: ${HOST}\n", "a: b\nc: [");
        check("listen: \"<${HOST}>\"\n", "<a: b\nc: [>");
        check("{listen: '${HOST}'} # \"${NOPE}\"\n", "a: b c: [");
        check("listen: '$${HOST}'\n", "${HOST}");
        check("listen: \"${NOPE}\"\n", "f.yaml:1: the environment variable NOPE is not set");
        check("listen: it's ${HOST}'s\n", "it's a: b\nc: ['s");
    }

    #[test]
    fn dotenv_files_are_read_as_shells_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        assert!(dotenv(&path).unwrap().is_empty());
        std::fs::write(&path, "# c\nA=1\nexport B=\"x y\"\nC='#'\nD=v # note\n\n").unwrap();
        let got = dotenv(&path).unwrap();
        let get = |k: &str| got.get(k).map(String::as_str);
        assert_eq!((get("A"), get("B"), get("C"), get("D")), (Some("1"), Some("x y"), Some("#"), Some("v")));
        std::fs::write(&path, "A=1\nnonsense\n").unwrap();
        assert!(dotenv(&path).unwrap_err().message().contains(".env:2"));
    }
}
