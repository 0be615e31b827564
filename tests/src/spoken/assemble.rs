//! A streamed answer as a caller of each dialect puts it together. Written after
//! <https://platform.openai.com/docs/api-reference/chat-streaming>,
//! <https://platform.openai.com/docs/api-reference/responses-streaming>,
//! <https://platform.claude.com/docs/en/build-with-claude/streaming> and
//! <https://ai.google.dev/api/generate-content> (2026-11-21).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Tongue;
use super::answer::{Heard, arguments, chat_tokens, contents, items, message_tokens, response, text};

/// Puts the events of a stream together, and checks what the dialect promises of their order.
///
/// # Panics
/// When a promise is broken, or the stream does not end as it should.
pub fn assembled(tongue: Tongue, stream: &str) -> Heard {
    let events = events(stream);
    match tongue {
        Tongue::Chat => chat(&events),
        Tongue::Responses => responses(&events),
        Tongue::Messages => messages(&events),
        Tongue::Contents => {
            let chunks: Vec<Value> = events.iter().map(|(_, data)| parsed(data)).collect();
            contents(&chunks)
        }
    }
}

/// Names and data of the events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
fn events(stream: &str) -> Vec<(String, String)> {
    let stream = stream.replace("\r\n", "\n");
    assert!(stream.ends_with("\n\n"), "the last event is complete: {stream}");
    let blocks = stream.split("\n\n").filter(|block| !block.is_empty());
    let event = |block: &str| {
        let field = |name: &str| {
            let values = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
        };
        (field("event"), field("data"))
    };
    blocks.map(event).filter(|(_, data)| !data.is_empty()).collect()
}

fn parsed(data: &str) -> Value {
    serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))
}

fn chat(events: &[(String, String)]) -> Heard {
    let mut heard = Heard::default();
    let mut calls: BTreeMap<u64, (String, String)> = BTreeMap::new();
    let (last, chunks) = events.split_last().unwrap();
    assert_eq!(last.1, "[DONE]");
    for (_, data) in chunks {
        let chunk = parsed(data);
        if chunk["usage"].is_object() {
            heard.tokens = chat_tokens(&chunk["usage"]);
        }
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        heard.thought.push_str(&text(&delta["reasoning_content"]));
        heard.text.push_str(&(text(&delta["content"]) + &text(&delta["refusal"])));
        for call in items(&delta["tool_calls"]) {
            let index = call["index"].as_u64().unwrap();
            let entry = calls.entry(index).or_default();
            entry.0.push_str(&text(&call["function"]["name"]));
            entry.1.push_str(&text(&call["function"]["arguments"]));
        }
        if let Some(finish) = choice["finish_reason"].as_str() {
            assert_eq!(heard.finish, "", "one finish reason");
            finish.clone_into(&mut heard.finish);
        }
    }
    heard.calls = calls.into_values().map(|(name, written)| (name, arguments(&written))).collect();
    heard
}

/// Items by what the events add to them; the response at the end says the same.
fn responses(events: &[(String, String)]) -> Heard {
    let mut output: BTreeMap<u64, Value> = BTreeMap::new();
    let mut sequence = None;
    for (n, (name, data)) in events.iter().enumerate() {
        let event = parsed(data);
        assert_eq!(event["type"], **name);
        let number = event["sequence_number"].as_u64().unwrap();
        assert!(sequence.is_none_or(|last| number > last), "sequence numbers rise");
        sequence = Some(number);
        if name.starts_with("response.created") {
            assert_eq!(n, 0);
        }
        if let "response.completed" | "response.incomplete" = name.as_str() {
            assert_eq!(n + 1, events.len(), "nothing follows the end");
            let mut by_deltas = event["response"].clone();
            by_deltas["output"] = output.into_values().collect();
            let heard = response(&by_deltas);
            assert_eq!(heard, response(&event["response"]), "the deltas and the end say the same");
            return heard;
        }
        add(&mut output, name, &event);
    }
    panic!("the stream does not end: {:?}", events.last());
}

fn add(output: &mut BTreeMap<u64, Value>, name: &str, event: &Value) {
    let Some(at) = event["output_index"].as_u64() else { return };
    let place = |item: &mut Value, list: &str, index: &str, part: Value| {
        let index = usize::try_from(event[index].as_u64().unwrap()).unwrap();
        let parts = item[list].as_array_mut().unwrap();
        assert_eq!(parts.len(), index, "parts come in order");
        parts.push(part);
    };
    if name == "response.output_item.added" {
        let mut item = event["item"].clone();
        if item["type"] == "reasoning" {
            (item["summary"], item["content"]) = (json!([]), json!([]));
        }
        assert!(output.insert(at, item).is_none(), "an item is added once");
        return;
    }
    let item = output.get_mut(&at).unwrap_or_else(|| panic!("no item for {event}"));
    let index = |key: &str| usize::try_from(event[key].as_u64().unwrap()).unwrap();
    let append = |to: &mut Value| *to = json!(text(to) + &text(&event["delta"]));
    match name {
        "response.content_part.added" => {
            if !item["content"].is_array() {
                item["content"] = json!([]);
            }
            place(item, "content", "content_index", event["part"].clone());
        }
        "response.reasoning_summary_part.added" => {
            place(item, "summary", "summary_index", event["part"].clone());
        }
        "response.output_text.delta" | "response.reasoning_text.delta" => {
            append(&mut item["content"][index("content_index")]["text"]);
        }
        "response.refusal.delta" => append(&mut item["content"][index("content_index")]["refusal"]),
        "response.reasoning_summary_text.delta" => {
            append(&mut item["summary"][index("summary_index")]["text"]);
        }
        "response.function_call_arguments.delta" => append(&mut item["arguments"]),
        // Only the finished item bears the seal of what was thought.
        "response.output_item.done" => {
            if let Some(seal) = event["item"].get("encrypted_content") {
                item["encrypted_content"] = seal.clone();
            }
        }
        _ => {}
    }
}

fn messages(events: &[(String, String)]) -> Heard {
    let mut heard = Heard::default();
    let mut open: Option<(Value, String)> = None;
    let mut usage = json!({});
    let mut next = 0;
    assert_eq!(events.last().unwrap().0, "message_stop");
    for (name, data) in events {
        let event = parsed(data);
        assert_eq!(event["type"], **name);
        let mut learn = |told: &Value| {
            let told = told.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
            told.for_each(|(key, value)| usage[key] = value.clone());
        };
        match name.as_str() {
            "message_start" => learn(&event["message"]["usage"]),
            "content_block_start" => {
                assert!(open.is_none(), "one block after the other");
                assert_eq!(event["index"], json!(next));
                next += 1;
                open = Some((event["content_block"].clone(), String::new()));
            }
            "content_block_delta" => {
                let (block, written) = open.as_mut().unwrap();
                let delta = &event["delta"];
                match delta["type"].as_str().unwrap() {
                    "text_delta" => block["text"] = json!(text(&block["text"]) + &text(&delta["text"])),
                    "thinking_delta" => {
                        block["thinking"] = json!(text(&block["thinking"]) + &text(&delta["thinking"]));
                    }
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "input_json_delta" => written.push_str(&text(&delta["partial_json"])),
                    _ => {}
                }
            }
            "content_block_stop" => {
                let (mut block, written) = open.take().unwrap();
                if block["type"] == "tool_use" && !written.is_empty() {
                    // What was cut short is no object; it is shown as what it is, as in a whole answer.
                    let input = arguments(&written);
                    block["input"] = if input.is_object() { input } else { json!({"arguments": written}) };
                }
                let one = Heard::whole(Tongue::Messages, &json!({"content": [block]}));
                heard.thought.push_str(&one.thought);
                heard.text.push_str(&one.text);
                heard.calls.extend(one.calls);
                heard.signatures.extend(one.signatures);
            }
            "message_delta" => {
                learn(&event["usage"]);
                heard.finish = text(&event["delta"]["stop_reason"]);
            }
            _ => {}
        }
    }
    assert!(open.is_none(), "every block ends");
    heard.tokens = message_tokens(&usage);
    heard
}
