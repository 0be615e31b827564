//! Counts a conversation's tokens here, for endpoints that converse but do not count.

use std::sync::Arc;

use async_trait::async_trait;
use maof_budget::tokens::{Count, CountTokens as _, Tiktoken};
use maof_core::{
    Answer, Call, Card, ChatRequest, Endpoint, Operation, OutputFormat, Part, Probe, Reply, Response, Result,
    Usage,
};

/// What a message, a tool and the reply's opening add to their texts (OpenAI's cookbook: 3 or 4).
const OVERHEAD: u64 = 4;
/// What a picture or a document is taken for; providers charge from 85 tokens to some thousand.
const PICTURE: u64 = 1500;

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
        let mut tokens = count(&self.card.model, &*call.body.chat()?);
        if let Some(text) = instructions {
            tokens = tokens.saturating_add(text_tokens(&self.card.model, text) + OVERHEAD);
        }
        let mut response = Response::typed(Answer::CountTokens(tokens));
        response.usage = Some(Usage::default());
        Ok(Reply::whole(response))
    }
}

fn text_tokens(model: &str, text: &str) -> u64 {
    match Tiktoken.count(model, text) {
        Count::Exact(tokens) | Count::Estimate(tokens) => tokens,
    }
}

fn count(model: &str, chat: &ChatRequest) -> u64 {
    let of = |text: &str| text_tokens(model, text);
    let part = |part: &Part| match part {
        Part::Text { text } | Part::Refusal { text } | Part::Reasoning { text, .. } => of(text),
        Part::ToolCall(call) => of(&call.name) + of(&call.arguments) + OVERHEAD,
        Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => PICTURE,
        Part::Redacted { data } => of(data),
        Part::Other { value } => of(&value.to_string()),
    };
    let messages = chat.messages.iter().map(|message| {
        let name = message.name.as_deref().map_or(0, of);
        message.parts.iter().map(part).sum::<u64>() + name + OVERHEAD
    });
    let tools = chat.tools.iter().map(|tool| {
        let about = tool.description.as_deref().map_or(0, of);
        of(&tool.name) + about + of(&tool.parameters.to_string()) + OVERHEAD
    });
    let shape = match &chat.output {
        Some(OutputFormat::JsonSchema { schema, .. }) => of(&schema.to_string()),
        _ => 0,
    };
    messages.sum::<u64>() + tools.sum::<u64>() + shape + OVERHEAD
}

#[cfg(test)]
mod tests {
    use maof_core::{Message, Speaker, ToolSpec};

    use super::*;

    #[test]
    fn every_text_of_a_conversation_is_counted() {
        let check = |chat: &ChatRequest, expect: u64| assert_eq!(count("gpt-4o", chat), expect, "{chat:?}");
        let mut chat = ChatRequest::user("hello world");
        check(&chat, 2 + 2 * OVERHEAD);
        chat.messages.push(Message::text(Speaker::Assistant, "hello"));
        check(&chat, 3 + 3 * OVERHEAD);
        chat.tools = vec![ToolSpec {
            name: "hello".to_owned(),
            description: Some("world".to_owned()),
            parameters: serde_json::json!(1),
            strict: None,
        }];
        check(&chat, 6 + 4 * OVERHEAD);
        chat.messages[1].parts =
            vec![Part::Image { url: "https://x.example/y.png".to_owned(), detail: None }];
        check(&chat, 5 + PICTURE + 4 * OVERHEAD);
    }
}
