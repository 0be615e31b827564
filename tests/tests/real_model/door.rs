//! What callers ask at each door, and how they read what they are told.

use serde_json::{Value, json};

/// A door: the dialect in which callers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Chat,
    Responses,
    Messages,
    Contents,
}

/// What a caller is told, whole or in pieces.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) text: String,
    /// Why it ended, in the dialect's own word.
    pub(crate) finish: String,
    /// Input tokens, those of them that were cached, and output tokens.
    pub(crate) usage: [u64; 3],
}

impl Door {
    pub(crate) const ALL: [Door; 4] = [Door::Chat, Door::Responses, Door::Messages, Door::Contents];

    pub(crate) fn path(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Door::Chat, _) => "/v1/chat/completions".to_owned(),
            (Door::Responses, _) => "/v1/responses".to_owned(),
            (Door::Messages, _) => "/v1/messages".to_owned(),
            (Door::Contents, false) => format!("/v1beta/models/{model}:generateContent"),
            (Door::Contents, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        }
    }

    /// A question that may be answered with `most` tokens; the likeliest ones.
    pub(crate) fn body(self, model: &str, question: &str, most: u64, stream: bool) -> Value {
        let turn = json!([{"role": "user", "content": question}]);
        match self {
            Door::Chat if stream => json!({
                "model": model, "messages": turn, "max_tokens": most, "temperature": 0,
                "stream": true, "stream_options": {"include_usage": true},
            }),
            Door::Chat => json!({"model": model, "messages": turn, "max_tokens": most, "temperature": 0}),
            Door::Responses => json!({
                "model": model, "input": question, "max_output_tokens": most, "temperature": 0, "stream": stream,
            }),
            Door::Messages => json!({
                "model": model, "messages": turn, "max_tokens": most, "temperature": 0, "stream": stream,
            }),
            Door::Contents => json!({
                "contents": [{"role": "user", "parts": [{"text": question}]}],
                "generationConfig": {"maxOutputTokens": most, "temperature": 0},
            }),
        }
    }

    /// Asks for an answer of this shape.
    pub(crate) fn shape(self, body: &mut Value, schema: &Value) {
        match self {
            Door::Chat => {
                let format = json!({"name": "place", "strict": true, "schema": schema});
                body["response_format"] = json!({"type": "json_schema", "json_schema": format});
            }
            Door::Responses => {
                let format =
                    json!({"type": "json_schema", "name": "place", "strict": true, "schema": schema});
                body["text"] = json!({"format": format});
            }
            Door::Messages => {
                body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
            }
            Door::Contents => {
                body["generationConfig"]["responseMimeType"] = json!("application/json");
                body["generationConfig"]["responseJsonSchema"] = schema.clone();
            }
        }
    }

    /// The words for an answer that is done, and for one that was cut at its most tokens.
    pub(crate) fn done_and_cut(self) -> [&'static str; 2] {
        match self {
            Door::Chat => ["stop", "length"],
            Door::Responses => ["completed", "incomplete"],
            Door::Messages => ["end_turn", "max_tokens"],
            Door::Contents => ["STOP", "MAX_TOKENS"],
        }
    }

    /// What a whole answer says.
    pub(crate) fn whole(self, answer: &Value) -> Told {
        let mut told = Told::default();
        self.hear(answer, &mut told);
        if self == Door::Responses {
            let content = answer["output"][0]["content"].as_array().into_iter().flatten();
            told.text = content.filter_map(|part| part["text"].as_str()).collect();
        }
        told
    }

    /// What a stream says, which must end as the dialect's streams do.
    pub(crate) fn stream(self, stream: &str) -> Told {
        let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
        let frames: Vec<Value> = data
            .filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {data}")))
            .collect();
        let last = frames.last().unwrap_or_else(|| panic!("no frames: {stream}"));
        let over = match self {
            Door::Chat => stream.ends_with("data: [DONE]\n\n"),
            Door::Responses => {
                ["response.completed", "response.incomplete"].map(Value::from).contains(&last["type"])
            }
            Door::Messages => last["type"] == "message_stop",
            Door::Contents => last["candidates"][0]["finishReason"].is_string(),
        };
        assert!(over, "{self:?}: {stream}");
        let mut told = Told::default();
        frames.iter().for_each(|frame| self.hear(frame, &mut told));
        if self == Door::Responses {
            // The last frame says it all again.
            assert_eq!(told, self.whole(&last["response"]), "{stream}");
        }
        told
    }

    /// Adds what a whole answer or a frame of a stream says.
    fn hear(self, said: &Value, told: &mut Told) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match self {
            Door::Chat => {
                let choice = &said["choices"][0];
                told.text += &text(&choice["message"]["content"]);
                told.text += &text(&choice["delta"]["content"]);
                told.finish += &text(&choice["finish_reason"]);
                let usage = &said["usage"];
                let cached = &usage["prompt_tokens_details"]["cached_tokens"];
                told.used([&usage["prompt_tokens"], cached, &usage["completion_tokens"]]);
            }
            Door::Responses => {
                if said["type"] == "response.output_text.delta" {
                    told.text += &text(&said["delta"]);
                }
                let response = if said["response"].is_object() { &said["response"] } else { said };
                let usage = &response["usage"];
                if usage.is_object() {
                    told.finish = text(&response["status"]);
                }
                let cached = &usage["input_tokens_details"]["cached_tokens"];
                told.used([&usage["input_tokens"], cached, &usage["output_tokens"]]);
            }
            Door::Messages => {
                let blocks = said["content"].as_array().into_iter().flatten();
                told.text.extend(blocks.filter_map(|block| block["text"].as_str()));
                told.text += &text(&said["delta"]["text"]);
                told.finish += &text(&said["stop_reason"]);
                told.finish += &text(&said["delta"]["stop_reason"]);
                for usage in [&said["usage"], &said["message"]["usage"]] {
                    let cached = usage["cache_read_input_tokens"].as_u64().unwrap_or(0);
                    // Here what was cached is no part of the input.
                    let input = json!(usage["input_tokens"].as_u64().map(|fresh| fresh + cached));
                    told.used([&input, &usage["cache_read_input_tokens"], &usage["output_tokens"]]);
                }
            }
            Door::Contents => {
                let candidate = &said["candidates"][0];
                let parts = candidate["content"]["parts"].as_array().into_iter().flatten();
                told.text.extend(parts.filter_map(|part| part["text"].as_str()));
                told.finish += &text(&candidate["finishReason"]);
                let usage = &said["usageMetadata"];
                let cached = &usage["cachedContentTokenCount"];
                told.used([&usage["promptTokenCount"], cached, &usage["candidatesTokenCount"]]);
            }
        }
    }
}

impl Told {
    /// The latest count of each kind holds.
    fn used(&mut self, counts: [&Value; 3]) {
        for (known, count) in self.usage.iter_mut().zip(counts) {
            *known = count.as_u64().unwrap_or(*known);
        }
    }
}
