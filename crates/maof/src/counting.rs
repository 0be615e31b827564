//! Counts a conversation's tokens here, for endpoints that converse but do not count.

use std::sync::Arc;

use async_trait::async_trait;
use maof_budget::tokens::{Around, CountTokens as _, Detail, Family, Tiktoken, picture};
use maof_core::{
    Answer, Call, Card, ChatRequest, Endpoint, Operation, OutputFormat, Part, Probe, Reply, Response, Result,
    Usage,
};

/// What a picture or a page of a document is taken to measure, in pixels: it is not looked into.
const USUAL_SIZE: (u32, u32) = (1024, 1024);

/// An endpoint, and the counting of tokens for its model: exact where the model's encoding is public and the
/// conversation is plain text, else an estimate.
#[derive(Debug)]
pub(crate) struct Counting {
    inner: Arc<dyn Endpoint>,
    card: Card,
}

impl Counting {
    /// Adds the counting, where it is missing.
    pub(crate) fn around(inner: Arc<dyn Endpoint>) -> Arc<dyn Endpoint> {
        let mut card = inner.card().clone();
        let converses = card.operations.contains(&Operation::Chat);
        if !converses || card.operations.contains(&Operation::CountTokens) {
            return inner;
        }
        card.operations.push(Operation::CountTokens);
        Arc::new(Counting { inner, card })
    }
}

#[async_trait]
impl Endpoint for Counting {
    fn card(&self) -> &Card {
        &self.card
    }

    async fn probe(&self) -> Result<Probe> {
        self.inner.probe().await
    }

    async fn call(&self, call: Call) -> Result<Reply> {
        if call.operation() != Operation::CountTokens {
            return self.inner.call(call).await;
        }
        let instructions = call.chosen.as_ref().and_then(|chosen| chosen.instructions.as_deref());
        let tokens = count(&self.card.model, &*call.body.chat()?, instructions);
        let mut response = Response::typed(Answer::CountTokens(tokens));
        response.usage = Some(Usage::default());
        Ok(Reply::whole(response))
    }
}

/// The texts as the model's family counts them, and what its maker puts around them (docs/tokens.md).
fn count(model: &str, chat: &ChatRequest, instructions: Option<&str>) -> u64 {
    let of = |text: &str| Tiktoken.count(model, text).tokens();
    let part = |part: &Part| match part {
        Part::Text { text } | Part::Refusal { text } | Part::Reasoning { text, .. } => of(text),
        Part::ToolCall(call) => of(&call.name) + of(&call.arguments),
        Part::Image { detail, .. } => match detail.as_deref() {
            Some("low") => picture(model, USUAL_SIZE, Detail::Low),
            _ => picture(model, USUAL_SIZE, Detail::High),
        },
        Part::File { .. } | Part::Audio { .. } => picture(model, USUAL_SIZE, Detail::High),
        Part::Redacted { data } => of(data),
        Part::Other { value } => of(&value.to_string()),
    };
    let messages = chat
        .messages
        .iter()
        .map(|message| message.name.as_deref().map_or(0, of) + message.parts.iter().map(part).sum::<u64>());
    let tools = chat.tools.iter().map(|tool| {
        let about = tool.description.as_deref().map_or(0, of);
        of(&tool.name) + about + of(&tool.parameters.to_string())
    });
    let shape = match &chat.output {
        Some(OutputFormat::JsonSchema { schema, .. }) => of(&schema.to_string()),
        _ => 0,
    };
    let calls = chat.messages.iter().map(|message| message.tool_calls().count() as u64);
    let around = Around {
        messages: chat.messages.len() as u64 + u64::from(instructions.is_some()),
        tools: chat.tools.len() as u64,
        calls: calls.sum(),
        thinks: false,
    };
    let texts = messages.sum::<u64>() + tools.sum::<u64>() + shape + instructions.map_or(0, of);
    texts + Family::of(model).around(around)
}

#[cfg(test)]
mod tests {
    use maof_core::{Message, Speaker, ToolSpec};

    use super::*;

    #[test]
    fn every_text_of_a_conversation_is_counted_and_what_is_around_it() {
        let check = |chat: &ChatRequest, instructions: Option<&str>, expect: u64| {
            assert_eq!(count("gpt-4o", chat, instructions), expect, "{chat:?}");
        };
        // Three open the reply, and each message takes four.
        let mut chat = ChatRequest::user("hello world");
        check(&chat, None, 2 + 3 + 4);
        check(&chat, Some("hello"), 3 + 3 + 2 * 4);
        chat.messages.push(Message::text(Speaker::Assistant, "hello"));
        check(&chat, None, 3 + 3 + 2 * 4);
        chat.tools = vec![ToolSpec {
            name: "hello".to_owned(),
            description: Some("world".to_owned()),
            parameters: serde_json::json!(1),
            strict: None,
        }];
        // Twelve for tools, and seven for each.
        check(&chat, None, 6 + 3 + 2 * 4 + 12 + 7);
        let image = |detail: Option<&str>| Part::Image {
            url: "https://x.example/y.png".to_owned(),
            detail: detail.map(str::to_owned),
        };
        chat.messages[1].parts = vec![image(None)];
        check(&chat, None, 5 + 765 + 3 + 2 * 4 + 12 + 7);
        chat.messages[1].parts = vec![image(Some("low"))];
        check(&chat, None, 5 + 85 + 3 + 2 * 4 + 12 + 7);
    }
}
