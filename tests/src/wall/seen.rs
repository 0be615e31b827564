//! What a caller makes of the raw bytes of an answer, by the documentation of the door's dialect alone.

use serde_json::Value;

use super::caller::{Ended, Raw};
use super::case::{Speech, Way};

/// An error, as it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Its code or type.
    pub code: String,
    /// Its message.
    pub message: String,
}

/// What a caller has seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The bytes.
    pub raw: Raw,
    /// The text.
    pub text: String,
    /// Why the answer ended.
    pub finish: Option<String>,
    /// How often it was said that it has ended.
    pub ends: usize,
    /// The error.
    pub error: Option<Told>,
    /// Whether the dialect's sign of a clean end was there, after everything else.
    pub over: bool,
    /// What is no JSON where JSON belongs.
    pub garbage: Option<String>,
    /// Tokens of the answer.
    pub output: Option<u64>,
    /// The model that answered.
    pub model: Option<String>,
}

impl Seen {
    /// Reads an answer.
    pub fn of(way: Way, raw: Raw) -> Seen {
        let mut seen = Seen {
            raw,
            text: String::new(),
            finish: None,
            ends: 0,
            error: None,
            over: false,
            garbage: None,
            output: None,
            model: None,
        };
        let text = String::from_utf8_lossy(&seen.raw.body).into_owned();
        let stream =
            seen.raw.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        if stream {
            seen.frames(way.door, &text);
        } else {
            seen.data(way.door, &text);
            seen.over = seen.error.is_none() && seen.garbage.is_none();
        }
        if text.contains('\u{fffd}') {
            seen.garbage.get_or_insert_with(|| "bytes that are no UTF-8".to_owned());
        }
        seen
    }

    fn frames(&mut self, door: Speech, text: &str) {
        for line in text.lines() {
            let Some(data) = line.strip_prefix("data:") else {
                if !line.is_empty() && !line.starts_with(':') && !line.starts_with("event:") {
                    self.garbage.get_or_insert_with(|| line.chars().take(80).collect());
                }
                continue;
            };
            self.over = false;
            match data.trim() {
                "[DONE]" => self.over = true,
                data => self.data(door, data),
            }
        }
    }

    fn data(&mut self, door: Speech, data: &str) {
        let Ok(value) = serde_json::from_str::<Value>(data) else {
            self.garbage.get_or_insert_with(|| data.chars().take(80).collect());
            return;
        };
        let error = &value["error"];
        if error.is_object() {
            let word = |key: &str| error[key].as_str().filter(|text| !text.is_empty());
            let code = ["code", "status", "type"].iter().find_map(|key| word(key)).unwrap_or_default();
            let message = word("message").unwrap_or_default();
            self.error = Some(Told { code: code.to_owned(), message: message.to_owned() });
            return;
        }
        match door {
            Speech::Chat => self.chat(&value),
            Speech::Messages => self.messages(&value),
            Speech::Contents => self.contents(&value),
        }
    }

    fn chat(&mut self, value: &Value) {
        let choice = &value["choices"][0];
        let said = [&choice["delta"]["content"], &choice["message"]["content"]];
        self.text.extend(said.iter().filter_map(|text| text.as_str()));
        self.finished(&choice["finish_reason"]);
        self.about(&value["model"], &value["usage"]["completion_tokens"]);
    }

    fn messages(&mut self, value: &Value) {
        let blocks = value["content"].as_array().into_iter().flatten();
        self.text.extend(blocks.filter_map(|block| block["text"].as_str()));
        self.text += value["delta"]["text"].as_str().unwrap_or_default();
        self.finished(&value["stop_reason"]);
        self.finished(&value["delta"]["stop_reason"]);
        self.about(&value["model"], &value["usage"]["output_tokens"]);
        self.about(&value["message"]["model"], &Value::Null);
        self.over = value["type"] == "message_stop";
    }

    fn contents(&mut self, value: &Value) {
        let candidate = &value["candidates"][0];
        let parts = candidate["content"]["parts"].as_array().into_iter().flatten();
        self.text.extend(parts.filter_map(|part| part["text"].as_str()));
        self.finished(&candidate["finishReason"]);
        self.about(&value["modelVersion"], &value["usageMetadata"]["candidatesTokenCount"]);
        self.over = self.finish.is_some();
    }

    fn finished(&mut self, reason: &Value) {
        if let Some(reason) = reason.as_str() {
            self.finish = Some(reason.to_owned());
            self.ends += 1;
        }
    }

    fn about(&mut self, model: &Value, output: &Value) {
        if let Some(model) = model.as_str() {
            self.model.get_or_insert_with(|| model.to_owned());
        }
        self.output = output.as_u64().or(self.output);
    }

    /// Whether it is `answer`, all of it, with a clean end; else what is wrong with it.
    pub fn is_answer(&self, answer: &str) -> Result<(), String> {
        if let Some(told) = &self.error {
            return Err(format!("error {} ({}): {}", told.code, self.raw.status, told.message));
        }
        if self.raw.status != 200 {
            return Err(format!("status {}", self.raw.status));
        }
        if self.text != answer {
            let words = self.text.split_whitespace().count();
            return Err(format!("{words} words of {} arrived", answer.split_whitespace().count()));
        }
        match (self.raw.ended, self.over, &self.finish, self.output) {
            (Ended::Properly, true, Some(_), Some(_)) if self.ends == 1 => Ok(()),
            (Ended::Properly, true, Some(_), None) => Err("no usage".to_owned()),
            (Ended::Properly, true, Some(_), _) => Err(format!("{} reasons of ending", self.ends)),
            (Ended::Properly, true, None, _) => Err("no reason of ending".to_owned()),
            (Ended::Properly, false, ..) => Err("no sign of a clean end".to_owned()),
            (ended, ..) => Err(format!("the body ended {ended:?}").to_lowercase()),
        }
    }

    /// Whether it is a refusal before any word; else what it is instead.
    pub fn is_refused(&self) -> Result<&Told, String> {
        match &self.error {
            Some(told) if self.raw.status >= 400 && self.raw.ended == Ended::Properly => {
                match told.code.is_empty() || told.message.is_empty() {
                    false => Ok(told),
                    true => Err(format!("an error without a code or a message ({})", self.raw.status)),
                }
            }
            Some(told) => Err(format!("{} amid the answer", told.code)),
            None if self.raw.ended == Ended::Late => Err("no end".to_owned()),
            None => Err(format!("status {} and no error", self.raw.status)),
        }
    }

    /// Whether it begins as `answer` does and ends in an error event; else what it is instead.
    pub fn is_told(&self, answer: &str) -> Result<&Told, String> {
        let Some(told) = &self.error else {
            return Err(match self.over {
                true => "a clean end, and no error".to_owned(),
                false => format!("no error, the body ended {:?}", self.raw.ended).to_lowercase(),
            });
        };
        if self.over {
            return Err("an error, and yet the sign of a clean end".to_owned());
        }
        if told.code.is_empty() || told.message.is_empty() {
            return Err("an error event without a code or a message".to_owned());
        }
        match answer.starts_with(&self.text) {
            true => Ok(told),
            false => Err("text that was never said".to_owned()),
        }
    }

    /// In a few words, for the table.
    pub fn in_short(&self, answer: &str) -> String {
        let words = self.text.split_whitespace().count();
        let total = answer.split_whitespace().count();
        let end = match (&self.error, self.over) {
            (Some(told), _) if self.raw.status == 200 => format!(", then error event {}", told.code),
            (Some(told), _) => format!(" {}", told.code),
            (None, true) => String::new(),
            (None, false) => ", no clean end".to_owned(),
        };
        let wait = self.raw.header("retry-after").map(|s| format!(", retry-after {s}")).unwrap_or_default();
        let said = if self.raw.status == 200 { format!(" {words}/{total} tokens") } else { String::new() };
        format!("{}{said}{end}{wait}, {:.1} s", self.raw.status, self.raw.took.as_secs_f64())
    }
}
