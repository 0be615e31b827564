//! Reads a workflow file and the input files that it names.

use std::path::{Path, PathBuf};

use maof_core::{Error, Result};
use maof_engine::{InputFormat, InputSpec, WorkflowSpec};
use serde_json::{Map, Number, Value};

use crate::yaml;

/// An input file may have this many bytes.
const MAX_INPUT: u64 = 64 << 20;

/// Reads a workflow file. `${NAME}` is left alone: templates are no configuration.
///
/// # Errors
/// As [`yaml::read`].
pub fn read_workflow(path: &Path) -> Result<WorkflowSpec> {
    yaml::read(path, None)
}

/// Reads the input files of a workflow that lies in `dir` into one JSON object.
///
/// # Errors
/// `not_found`, `too_large` or `invalid_request` naming the input, the file and, where there is one, the line.
pub fn read_inputs(spec: &WorkflowSpec, dir: &Path) -> Result<Value> {
    let mut content = Map::new();
    for (name, input) in &spec.inputs {
        let value = read_input(input, dir).map_err(|e| e.param(format!("inputs.{name}")))?;
        content.insert(name.clone(), value);
    }
    Ok(Value::Object(content))
}

fn read_input(input: &InputSpec, dir: &Path) -> Result<Value> {
    let mut value = match (&input.file, input.files.as_slice()) {
        (Some(file), []) => read_file(&dir.join(file), input.format)?,
        (None, files @ [_, ..]) => {
            let read = files.iter().map(|file| {
                let content = read_file(&dir.join(file), input.format)?;
                let name = PathBuf::from(file);
                let stem = name.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                Ok(serde_json::json!({"name": stem, "content": content}))
            });
            Value::Array(read.collect::<Result<_>>()?)
        }
        _ => return Err(Error::invalid_request("an input names either `file` or `files`")),
    };
    if let (Some(limit), Value::Array(items)) = (input.limit, &mut value) {
        items.truncate(limit);
    }
    Ok(value)
}

/// A table, or other JSON, from a file: by its ending JSON, JSON lines, CSV or TSV; else its text.
///
/// # Errors
/// `not_found` or `invalid_request` naming the file, and the line that is malformed.
pub fn read_table(path: &Path) -> Result<Value> {
    read_file(path, None)
}

fn read_file(path: &Path, format: Option<InputFormat>) -> Result<Value> {
    let text = yaml::read_text(path, MAX_INPUT)?;
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let format = format.unwrap_or(match ending {
        "json" => InputFormat::Json,
        "jsonl" | "ndjson" => InputFormat::Jsonl,
        "csv" => InputFormat::Csv,
        "tsv" => InputFormat::Tsv,
        _ => InputFormat::Text,
    });
    let name = path.display().to_string();
    match format {
        InputFormat::Text => Ok(Value::String(text)),
        InputFormat::Json => serde_json::from_str(&text).map_err(|e| malformed(&name, e.line(), &e)),
        InputFormat::Jsonl => {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let values =
                lines.map(|(i, line)| serde_json::from_str(line).map_err(|e| malformed(&name, i + 1, &e)));
            Ok(Value::Array(values.collect::<Result<_>>()?))
        }
        InputFormat::Csv => separated(&text, b',', &name),
        InputFormat::Tsv => separated(&text, b'\t', &name),
    }
}

fn separated(text: &str, delimiter: u8, name: &str) -> Result<Value> {
    // Tab-separated files have no quotes: a quote there is text.
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(delimiter == b',')
        .from_reader(text.as_bytes());
    let line_of = |e: &csv::Error| e.position().map_or(1, |p| p.line() as usize);
    let headers = reader.headers().map_err(|e| malformed(name, line_of(&e), &e))?.clone();
    let rows = reader.into_records().map(|row| {
        let row = row.map_err(|e| malformed(name, line_of(&e), &e))?;
        let cells = headers.iter().zip(row.iter()).map(|(key, cell)| (key.to_owned(), cell_value(cell)));
        Ok(Value::Object(cells.collect()))
    });
    Ok(Value::Array(rows.collect::<Result<_>>()?))
}

/// A number where the cell is one exactly as JSON writes it, else text.
fn cell_value(cell: &str) -> Value {
    match serde_json::from_str::<Number>(cell) {
        Ok(number) => Value::Number(number),
        Err(_) => Value::String(cell.to_owned()),
    }
}

fn malformed(name: &str, line: usize, error: &dyn std::error::Error) -> Error {
    Error::invalid_request(format!("{name}:{line}: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(name: &str, text: &str, limit: Option<usize>, expect: Result<Value, &str>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), text).unwrap();
        let input = InputSpec { file: Some(name.into()), files: vec![], format: None, limit };
        match (read_input(&input, dir.path()), expect) {
            (Ok(got), Ok(expect)) => assert_eq!(got, expect),
            (Err(error), Err(part)) => assert!(error.message().contains(part), "{error}"),
            (got, _) => assert!(got.is_err(), "{name} gave {got:?}"),
        }
    }

    #[test]
    fn files_are_read_by_their_ending_and_errors_name_the_line() {
        check("a.txt", "hi\n", None, Ok(json!("hi\n")));
        check("a.json", "{\"a\": 1}", None, Ok(json!({"a": 1})));
        check("a.jsonl", "{\"a\": 1}\n\n2\n3\n", Some(2), Ok(json!([{"a": 1}, 2])));
        check(
            "a.csv",
            "s,p\n\"a,b\",1.5\nc,007\n",
            None,
            Ok(json!([{"s": "a,b", "p": 1.5}, {"s": "c", "p": "007"}])),
        );
        check("a.tsv", "s\tp\nsay \"x\"\t2\n", None, Ok(json!([{"s": "say \"x\"", "p": 2}])));
        check("a.json", "{\n\"a\": }", None, Err("a.json:2"));
        check("a.jsonl", "1\n{", None, Err("a.jsonl:2"));
        check("a.csv", "a,b\n1,2\n3\n", None, Err("a.csv:3"));
    }

    #[test]
    fn a_missing_file_is_named_with_its_input() {
        let spec: WorkflowSpec = serde_json::from_value(json!({
            "name": "w", "inputs": {"news": {"file": "nope.tsv"}}, "steps": [],
        }))
        .unwrap();
        let error = read_inputs(&spec, Path::new("/nowhere")).unwrap_err();
        assert!(error.message().contains("nope.tsv"), "{error}");
        assert_eq!(error.field(), Some("inputs.news"));
    }
}
