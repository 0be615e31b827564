//! A conversation as a caller of each dialect writes it.

use serde_json::{Value, json};

use super::{Conversation, Said, Tongue, Turn};

impl Conversation {
    /// The body of a request in this dialect.
    pub fn written(&self, tongue: Tongue, model: &str, stream: bool) -> Value {
        let mut body = match tongue {
            Tongue::Chat => self.chat(),
            Tongue::Responses => self.responses(),
            Tongue::Messages => self.messages(),
            Tongue::Contents => return self.contents(),
        };
        body["model"] = json!(model);
        body["stream"] = json!(stream);
        body
    }

    fn chat(&self) -> Value {
        let mut messages: Vec<Value> =
            self.system.iter().map(|text| json!({"role": "system", "content": text})).collect();
        for turn in &self.turns {
            match turn {
                Turn::User(said) => {
                    let parts = said.iter().map(|part| match part {
                        Said::Text(text) => json!({"type": "text", "text": text}),
                        Said::Image(kind, data) => {
                            json!({"type": "image_url", "image_url": {"url": format!("data:{kind};base64,{data}")}})
                        }
                    });
                    messages.push(json!({"role": "user", "content": parts.collect::<Vec<_>>()}));
                }
                Turn::Assistant(text, calls) => {
                    let mut message = json!({"role": "assistant"});
                    message["content"] = if text.is_empty() { Value::Null } else { json!(text) };
                    if !calls.is_empty() {
                        let calls = calls.iter().map(|call| {
                            let function =
                                json!({"name": call.name, "arguments": call.arguments.to_string()});
                            json!({"id": call.id, "type": "function", "function": function})
                        });
                        message["tool_calls"] = calls.collect();
                    }
                    messages.push(message);
                }
                Turn::Results(results) => messages.extend(
                    results.iter().map(|r| json!({"role": "tool", "tool_call_id": r.id, "content": r.text})),
                ),
            }
        }
        let mut body = json!({"messages": messages});
        if !self.tools.is_empty() {
            let tools = self.tools.iter().map(|tool| {
                json!({"type": "function", "function": {
                    "name": tool.name, "description": tool.description, "parameters": tool.parameters,
                }})
            });
            body["tools"] = tools.collect();
        }
        if self.thinks {
            body["reasoning_effort"] = json!("low");
        }
        body
    }

    fn responses(&self) -> Value {
        let mut input: Vec<Value> = Vec::new();
        for turn in &self.turns {
            match turn {
                Turn::User(said) => {
                    let parts = said.iter().map(|part| match part {
                        Said::Text(text) => json!({"type": "input_text", "text": text}),
                        Said::Image(kind, data) => {
                            json!({"type": "input_image", "image_url": format!("data:{kind};base64,{data}")})
                        }
                    });
                    input.push(
                        json!({"type": "message", "role": "user", "content": parts.collect::<Vec<_>>()}),
                    );
                }
                Turn::Assistant(text, calls) => {
                    if !text.is_empty() {
                        let content = json!([{"type": "output_text", "text": text, "annotations": []}]);
                        input.push(json!({"type": "message", "role": "assistant", "content": content}));
                    }
                    input.extend(calls.iter().map(|call| {
                        json!({
                            "type": "function_call", "call_id": call.id, "name": call.name,
                            "arguments": call.arguments.to_string(),
                        })
                    }));
                }
                Turn::Results(results) => input.extend(
                    results
                        .iter()
                        .map(|r| json!({"type": "function_call_output", "call_id": r.id, "output": r.text})),
                ),
            }
        }
        let mut body = json!({"input": input, "store": false});
        if let Some(system) = &self.system {
            body["instructions"] = json!(system);
        }
        if !self.tools.is_empty() {
            let tools = self.tools.iter().map(|tool| {
                json!({
                    "type": "function", "name": tool.name, "description": tool.description,
                    "parameters": tool.parameters, "strict": false,
                })
            });
            body["tools"] = tools.collect();
        }
        if self.thinks {
            body["reasoning"] = json!({"effort": "low", "summary": "auto"});
            body["include"] = json!(["reasoning.encrypted_content"]);
        }
        body
    }

    fn messages(&self) -> Value {
        let mut messages: Vec<Value> = Vec::new();
        for turn in &self.turns {
            let (role, content): (_, Vec<Value>) = match turn {
                Turn::User(said) => {
                    let parts = said.iter().map(|part| match part {
                        Said::Text(text) => json!({"type": "text", "text": text}),
                        Said::Image(kind, data) => {
                            let source = json!({"type": "base64", "media_type": kind, "data": data});
                            json!({"type": "image", "source": source})
                        }
                    });
                    ("user", parts.collect())
                }
                Turn::Assistant(text, calls) => {
                    let text = (!text.is_empty()).then(|| json!({"type": "text", "text": text})).into_iter();
                    let calls = calls.iter().map(|call| {
                        json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
                    });
                    ("assistant", text.chain(calls).collect())
                }
                Turn::Results(results) => {
                    let results = results
                        .iter()
                        .map(|r| json!({"type": "tool_result", "tool_use_id": r.id, "content": r.text}));
                    ("user", results.collect())
                }
            };
            messages.push(json!({"role": role, "content": content}));
        }
        let mut body = json!({"messages": messages, "max_tokens": 4000});
        if let Some(system) = &self.system {
            body["system"] = json!(system);
        }
        if !self.tools.is_empty() {
            let tools = self.tools.iter().map(|tool| {
                json!({
                    "name": tool.name, "description": tool.description, "input_schema": tool.parameters,
                })
            });
            body["tools"] = tools.collect();
        }
        if self.thinks {
            body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
        }
        body
    }

    fn contents(&self) -> Value {
        let mut contents: Vec<Value> = Vec::new();
        let mut names = std::collections::HashMap::new();
        for turn in &self.turns {
            let (role, parts): (_, Vec<Value>) = match turn {
                Turn::User(said) => {
                    let parts = said.iter().map(|part| match part {
                        Said::Text(text) => json!({"text": text}),
                        Said::Image(kind, data) => json!({"inlineData": {"mimeType": kind, "data": data}}),
                    });
                    ("user", parts.collect())
                }
                Turn::Assistant(text, calls) => {
                    names.extend(calls.iter().map(|call| (&call.id, &call.name)));
                    let text = (!text.is_empty()).then(|| json!({"text": text})).into_iter();
                    let calls = calls.iter().map(|call| {
                        json!({"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}})
                    });
                    ("model", text.chain(calls).collect())
                }
                Turn::Results(results) => {
                    let results = results.iter().map(|r| {
                        let response = json!({"output": r.text});
                        json!({"functionResponse": {"id": r.id, "name": names[&r.id], "response": response}})
                    });
                    ("user", results.collect())
                }
            };
            contents.push(json!({"role": role, "parts": parts}));
        }
        let mut body = json!({"contents": contents});
        if let Some(system) = &self.system {
            body["systemInstruction"] = json!({"parts": [{"text": system}]});
        }
        if !self.tools.is_empty() {
            let tools = self.tools.iter().map(|tool| {
                json!({
                    "name": tool.name, "description": tool.description,
                    "parametersJsonSchema": tool.parameters,
                })
            });
            body["tools"] = json!([{"functionDeclarations": tools.collect::<Vec<_>>()}]);
        }
        if self.thinks {
            let config = json!({"includeThoughts": true, "thinkingBudget": 1024});
            body["generationConfig"] = json!({"thinkingConfig": config});
        }
        body
    }
}
