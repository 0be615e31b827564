//! Recorded outcomes and questions, one JSON object a line.

use std::collections::BTreeMap;

use maof_core::{Error, Name, Result};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What some arms made of one prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The prompt.
    pub prompt: String,
    /// How good each arm's answer was, 0 to 1.
    pub quality: BTreeMap<Name, f32>,
    /// The answers, where they were recorded.
    pub answers: BTreeMap<Name, String>,
}

/// What a line may say. Fields that are not named here are skipped without being read.
#[derive(Deserialize)]
struct Line<'a> {
    id: Option<Value>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    y: Option<&'a RawValue>,
    #[serde(borrow)]
    out: Option<&'a RawValue>,
    contaminated: Option<Value>,
}

impl Outcome {
    /// Reads one line: `prompt`, `y` (model to score, 0 to 1) and, if it is there, `out` (model to answer). None for
    /// a line with `contaminated: true`.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn parse(line: &str) -> Result<Option<Outcome>> {
        let line = parse(line)?;
        if let Some(flag) = line.contaminated {
            match flag {
                Value::Bool(true) => return Ok(None),
                Value::Bool(false) | Value::Null => {}
                _ => return Err(wrong("contaminated", "must be true or false")),
            }
        }
        let scores: BTreeMap<String, Value> = read(line.y, "y", "an object of model to score")?;
        let mut quality = BTreeMap::new();
        for (model, score) in scores {
            let field = || format!("y.{model}");
            let name = name(&model, field)?;
            let score = score.as_f64().filter(|score| (0.0..=1.0).contains(score));
            let score = score.ok_or_else(|| wrong(field(), "must be a number from 0 to 1"))?;
            quality.insert(name, score as f32);
        }
        if quality.is_empty() {
            return Err(wrong("y", "names no model; give at least one with its score"));
        }
        let mut answers = BTreeMap::new();
        if line.out.is_some() {
            let out: BTreeMap<String, Value> = read(line.out, "out", "an object of model to answer")?;
            for (model, answer) in out {
                let field = || format!("out.{model}");
                let name = name(&model, field)?;
                let Value::String(answer) = answer else { return Err(wrong(field(), "must be text")) };
                answers.insert(name, answer);
            }
        }
        Ok(Some(Outcome { prompt: read(line.prompt, "prompt", "text")?, quality, answers }))
    }
}

/// A prompt to be judged: nothing else of its line is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its id.
    pub id: String,
    /// The prompt.
    pub prompt: String,
    /// The answer of the one model that was asked for.
    pub answer: Option<String>,
}

impl Question {
    /// Reads one line: `id`, `prompt`, and where `answer_of` names a model, that one's entry of `out`.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn parse(line: &str, answer_of: Option<&Name>) -> Result<Question> {
        let line = parse(line)?;
        let id = match line.id {
            Some(Value::String(id)) if !id.contains(['\t', '\n', '\r']) => id,
            Some(Value::Number(id)) => id.to_string(),
            Some(Value::String(_)) => return Err(wrong("id", "must have no tab and no new line in it")),
            Some(_) => return Err(wrong("id", "must be text or a number")),
            None => return Err(wrong("id", "is missing")),
        };
        let prompt = read(line.prompt, "prompt", "text")?;
        let answer = match answer_of {
            None => None,
            Some(model) => {
                let out: BTreeMap<String, &RawValue> =
                    read(line.out, "out", "an object with the cheap model's answer")?;
                let field = format!("out.{model}");
                Some(read(out.get(model.as_str()).copied(), &field, "text, the cheap model's answer")?)
            }
        };
        Ok(Question { id, prompt, answer })
    }
}

fn parse(line: &str) -> Result<Line<'_>> {
    serde_json::from_str(line)
        .map_err(|error| Error::invalid_request(format!("is not one JSON object: {}", place(&error))))
}

/// What is wrong and in which column; the line is counted by whoever reads the file.
fn place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) => format!("{what} (column {})", error.column()),
        None => text,
    }
}

fn read<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>, field: &str, what: &str) -> Result<T> {
    let raw = raw.ok_or_else(|| wrong(field.to_owned(), &format!("is missing; it must be {what}")))?;
    serde_json::from_str(raw.get()).map_err(|_| wrong(field.to_owned(), &format!("must be {what}")))
}

fn name(model: &str, field: impl Fn() -> String) -> Result<Name> {
    Name::new(model).map_err(|error| wrong(field(), &format!("is no name of a model: {}", error.message())))
}

fn wrong(field: impl Into<String>, what: &str) -> Error {
    let field = field.into();
    Error::invalid_request(format!("`{field}` {what}")).param(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(found: Result<impl std::fmt::Debug>, field: Option<&str>, part: &str) {
        let error = found.unwrap_err();
        assert_eq!(error.field(), field, "{error:?}");
        assert!(error.message().contains(part), "{} does not say {part}", error.message());
    }

    #[test]
    fn an_outcome_is_read_and_what_it_does_not_need_is_skipped() {
        let line =
            r#"{"id": 1, "prompt": "q \u00e9", "y": {"a": 1, "b": 0.5}, "out": {"a": "x"}, "more": [1]}"#;
        let found = Outcome::parse(line).unwrap().unwrap();
        assert_eq!((found.prompt.as_str(), found.quality.len(), found.answers.len()), ("q é", 2, 1));
        let skipped = r#"{"prompt": "q", "y": {"a": 1}, "contaminated": true}"#;
        assert_eq!(Outcome::parse(skipped).unwrap(), None);
    }

    #[test]
    fn a_wrong_outcome_is_told_by_field() {
        let check = |line, field, part| refused(Outcome::parse(line), field, part);
        check("{", None, "column");
        check("[]", None, "JSON object");
        check(r#"{"y": {"a": 1}}"#, Some("prompt"), "is missing");
        check(r#"{"prompt": 1, "y": {"a": 1}}"#, Some("prompt"), "must be text");
        check(r#"{"prompt": "q"}"#, Some("y"), "is missing");
        check(r#"{"prompt": "q", "y": {}}"#, Some("y"), "no model");
        check(r#"{"prompt": "q", "y": {"a": 1.5}}"#, Some("y.a"), "0 to 1");
        check(r#"{"prompt": "q", "y": {"a": "1"}}"#, Some("y.a"), "0 to 1");
        check(r#"{"prompt": "q", "y": {"a b": 1}}"#, Some("y.a b"), "name");
        check(r#"{"prompt": "q", "y": {"a": 1}, "out": {"a": 1}}"#, Some("out.a"), "must be text");
        check(
            r#"{"prompt": "q", "y": {"a": 1}, "contaminated": "no"}"#,
            Some("contaminated"),
            "true or false",
        );
    }

    #[test]
    fn of_a_question_only_the_named_answer_is_read() {
        let cheap = Name::new("cheap").unwrap();
        let line = r#"{"id": "7", "prompt": "q", "y": "nonsense", "out": {"cheap": "4", "strong": 5}}"#;
        let expect = |answer| Question { id: "7".into(), prompt: "q".into(), answer };
        assert_eq!(Question::parse(line, None).unwrap(), expect(None));
        assert_eq!(Question::parse(line, Some(&cheap)).unwrap(), expect(Some("4".into())));
        let check = |line, answer_of, field| refused(Question::parse(line, answer_of), Some(field), field);
        check(r#"{"prompt": "q"}"#, None, "id");
        check(r#"{"id": "a\tb", "prompt": "q"}"#, None, "id");
        check(r#"{"id": 1}"#, None, "prompt");
        check(r#"{"id": 1, "prompt": "q"}"#, Some(&cheap), "out");
        check(r#"{"id": 1, "prompt": "q", "out": {"strong": "5"}}"#, Some(&cheap), "out.cheap");
    }
}
