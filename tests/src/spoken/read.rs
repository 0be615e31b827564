//! A conversation as an upstream of each dialect receives it.

use serde_json::{Value, json};

use super::{Conversation, Outcome, Said, Tongue, Tool, ToolCall, Turn};

impl Conversation {
    /// What a request in this dialect says.
    ///
    /// # Panics
    /// When it says something that this reader does not know.
    pub fn read(tongue: Tongue, body: &Value) -> Conversation {
        let (mut conversation, tools) = match tongue {
            Tongue::Chat => (chat(body), &body["tools"]),
            Tongue::Responses => (responses(body), &body["tools"]),
            Tongue::Messages => (messages(body), &body["tools"]),
            Tongue::Contents => (contents(body), &body["tools"][0]["functionDeclarations"]),
        };
        conversation.tools = items(tools).iter().map(|tool| self::tool(tongue, tool)).collect();
        conversation.joined()
    }

    /// Turns of one side that follow one another are one turn: dialects differ in where they cut.
    fn joined(mut self) -> Conversation {
        let mut turns: Vec<Turn> = Vec::new();
        for turn in self.turns {
            match (turns.last_mut(), turn) {
                (Some(Turn::User(said)), Turn::User(more)) => said.extend(more),
                (Some(Turn::Results(results)), Turn::Results(more)) => results.extend(more),
                (Some(Turn::Assistant(text, calls)), Turn::Assistant(more, others)) => {
                    text.push_str(&more);
                    calls.extend(others);
                }
                (_, turn) => turns.push(turn),
            }
        }
        self.turns = turns;
        self
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}

/// A text, or a list of parts that are texts.
fn texts(value: &Value) -> String {
    match value {
        Value::Array(parts) => parts.iter().map(|part| text(&part["text"])).collect(),
        Value::Null => String::new(),
        other => text(other),
    }
}

fn parsed(value: &Value) -> Value {
    serde_json::from_str(&text(value)).unwrap()
}

/// The media type and the data of `data:image/png;base64,…`.
fn data_url(value: &Value) -> Said {
    let url = text(value);
    let (kind, data) = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")).unwrap();
    Said::Image(kind.to_owned(), data.to_owned())
}

fn tool(tongue: Tongue, tool: &Value) -> Tool {
    let (of, parameters) = match tongue {
        Tongue::Chat => (&tool["function"], "parameters"),
        Tongue::Responses => (tool, "parameters"),
        Tongue::Messages => (tool, "input_schema"),
        Tongue::Contents => (tool, "parametersJsonSchema"),
    };
    let description = texts(&of["description"]);
    Tool { name: text(&of["name"]), description, parameters: of[parameters].clone() }
}

fn chat(body: &Value) -> Conversation {
    let mut read = Conversation::default();
    read.thinks = !body["reasoning_effort"].is_null();
    for message in items(&body["messages"]) {
        match message["role"].as_str() {
            Some("system" | "developer") => read.system = Some(texts(&message["content"])),
            Some("user") => {
                let parts = match &message["content"] {
                    Value::String(text) => vec![Said::Text(text.clone())],
                    parts => items(parts).iter().map(chat_part).collect(),
                };
                read.turns.push(Turn::User(parts));
            }
            Some("assistant") => {
                let calls = items(&message["tool_calls"]).iter().map(|call| {
                    let function = &call["function"];
                    let arguments = parsed(&function["arguments"]);
                    ToolCall { id: text(&call["id"]), name: text(&function["name"]), arguments }
                });
                read.turns.push(Turn::Assistant(texts(&message["content"]), calls.collect()));
            }
            Some("tool") => {
                let (id, text) = (text(&message["tool_call_id"]), texts(&message["content"]));
                read.turns.push(Turn::Results(vec![Outcome { id, text }]));
            }
            _ => panic!("a role, in {message}"),
        }
    }
    read
}

fn chat_part(part: &Value) -> Said {
    match part["type"].as_str() {
        Some("text") => Said::Text(text(&part["text"])),
        Some("image_url") => data_url(&part["image_url"]["url"]),
        _ => panic!("a part, not {part}"),
    }
}

fn responses(body: &Value) -> Conversation {
    let mut read = Conversation::default();
    read.thinks = !body["reasoning"].is_null();
    read.system = body["instructions"].as_str().map(str::to_owned);
    if body["input"].is_string() {
        read.turns.push(Turn::User(vec![Said::Text(text(&body["input"]))]));
    }
    for item in items(&body["input"]) {
        match (item["type"].as_str(), item["role"].as_str()) {
            (Some("message") | None, Some("system" | "developer")) => {
                read.system = Some(texts(&item["content"]));
            }
            (Some("message") | None, Some("user")) => {
                let parts = match &item["content"] {
                    Value::String(text) => vec![Said::Text(text.clone())],
                    parts => items(parts).iter().map(responses_part).collect(),
                };
                read.turns.push(Turn::User(parts));
            }
            (Some("message") | None, Some("assistant")) => {
                read.turns.push(Turn::Assistant(texts(&item["content"]), Vec::new()));
            }
            (Some("function_call"), _) => {
                let arguments = parsed(&item["arguments"]);
                let call = ToolCall { id: text(&item["call_id"]), name: text(&item["name"]), arguments };
                read.turns.push(Turn::Assistant(String::new(), vec![call]));
            }
            (Some("function_call_output"), _) => {
                let (id, text) = (text(&item["call_id"]), texts(&item["output"]));
                read.turns.push(Turn::Results(vec![Outcome { id, text }]));
            }
            _ => panic!("an item, not {item}"),
        }
    }
    read
}

fn responses_part(part: &Value) -> Said {
    match part["type"].as_str() {
        Some("input_text") => Said::Text(text(&part["text"])),
        Some("input_image") => data_url(&part["image_url"]),
        _ => panic!("a part, not {part}"),
    }
}

fn messages(body: &Value) -> Conversation {
    let mut read = Conversation::default();
    read.thinks = matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive"));
    read.system = (!body["system"].is_null()).then(|| texts(&body["system"]));
    for message in items(&body["messages"]) {
        let single = json!([{"type": "text", "text": message["content"]}]);
        let blocks = if message["content"].is_string() { &single } else { &message["content"] };
        for block in items(blocks) {
            let turn = match (block["type"].as_str(), message["role"].as_str()) {
                (Some("text"), Some("user")) => Turn::User(vec![Said::Text(text(&block["text"]))]),
                (Some("text"), Some("assistant")) => Turn::Assistant(text(&block["text"]), Vec::new()),
                (Some("image"), Some("user")) => {
                    let source = &block["source"];
                    assert_eq!(source["type"], "base64");
                    Turn::User(vec![Said::Image(text(&source["media_type"]), text(&source["data"]))])
                }
                (Some("tool_use"), Some("assistant")) => {
                    let (id, name) = (text(&block["id"]), text(&block["name"]));
                    let call = ToolCall { id, name, arguments: block["input"].clone() };
                    Turn::Assistant(String::new(), vec![call])
                }
                (Some("tool_result"), Some("user")) => {
                    let (id, text) = (text(&block["tool_use_id"]), texts(&block["content"]));
                    Turn::Results(vec![Outcome { id, text }])
                }
                _ => panic!("a block, not {block}"),
            };
            read.turns.push(turn);
        }
    }
    read
}

fn contents(body: &Value) -> Conversation {
    let mut read = Conversation::default();
    let thinking = &body["generationConfig"]["thinkingConfig"];
    read.thinks = thinking["includeThoughts"] == json!(true) || !thinking["thinkingBudget"].is_null();
    read.system = body["systemInstruction"].as_object().map(|system| texts(&system["parts"]));
    // Calls that no result answered yet, for results without an id: the name tells, in order.
    let mut open: Vec<(String, String)> = Vec::new();
    let mut made = 0;
    for content in items(&body["contents"]) {
        for part in items(&content["parts"]) {
            let (call, response) = (&part["functionCall"], &part["functionResponse"]);
            let turn = if call.is_object() {
                made += 1;
                let id = call["id"].as_str().map_or_else(|| format!("unnamed {made}"), str::to_owned);
                open.push((id.clone(), text(&call["name"])));
                let call = ToolCall { id, name: text(&call["name"]), arguments: call["args"].clone() };
                Turn::Assistant(String::new(), vec![call])
            } else if response.is_object() {
                let name = text(&response["name"]);
                let id = response["id"].as_str();
                let at = open.iter().position(|(known, of)| id.map_or(*of == name, |id| known == id));
                let (id, of) = open.remove(at.unwrap_or_else(|| panic!("a call for {response}")));
                assert_eq!(of, name);
                // A text stands in a field of its own; a result that is an object is the object.
                let said = &response["response"];
                let text = said["output"].as_str().map_or_else(|| said.to_string(), str::to_owned);
                Turn::Results(vec![Outcome { id, text }])
            } else if part["inlineData"].is_object() {
                let data = &part["inlineData"];
                Turn::User(vec![Said::Image(text(&data["mimeType"]), text(&data["data"]))])
            } else if content["role"] == "model" {
                Turn::Assistant(text(&part["text"]), Vec::new())
            } else {
                Turn::User(vec![Said::Text(text(&part["text"]))])
            };
            read.turns.push(turn);
        }
    }
    read
}
