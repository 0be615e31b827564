//! A local agent as an endpoint.

use async_trait::async_trait;
use maof_core::{
    Call, Card, ChatAnswer, Delta, Endpoint, Error, Event, Finish, Probe, Reply, Response, Result, Unit,
    Usage,
};

use crate::Agent;

/// Answers calls by running an agent in process. The question is the text of the last message of the user.
///
/// Usage is counted in characters and one request, and in tokens estimated as a quarter of the bytes.
#[derive(Clone, Debug)]
pub struct LocalEndpoint {
    agent: &'static Agent,
    card: Card,
}

impl LocalEndpoint {
    /// Makes an endpoint of an agent; the card says its name and tariff.
    pub fn new(agent: &'static Agent, card: Card) -> Self {
        LocalEndpoint { agent, card }
    }
}

#[async_trait]
impl Endpoint for LocalEndpoint {
    fn card(&self) -> &Card {
        &self.card
    }

    /// It is well as long as this process is.
    async fn probe(&self) -> Result<Probe> {
        Ok(Probe::Well)
    }

    async fn call(&self, call: Call) -> Result<Reply> {
        let question = call.body.chat()?.last_user_text();
        let question = question.ok_or_else(|| {
            Error::invalid_request("a local agent answers a message of the user; there is none")
                .param("messages")
        })?;
        let answer = self.agent.answer(&question)?.to_string();
        let tokens = |text: &str| (text.len() as u64).div_ceil(4);
        let usage = Usage::default()
            .with(Unit::Input, tokens(&question))
            .with(Unit::Output, tokens(&answer))
            .with(Unit::Character, question.chars().count() as u64)
            .with(Unit::Request, 1)
            .estimate();
        let id = format!("local-{}", call.id);
        if call.stream {
            let deltas = vec![
                Delta::Start { id, model: self.card.model.to_string() },
                Delta::Text { choice: 0, text: answer },
                Delta::Finish { choice: 0, reason: Finish::Stop },
                Delta::Usage(usage),
            ];
            let event = Event { frame: None, deltas };
            return Ok(Reply::stream(Box::pin(futures::stream::iter([Ok(event)]))));
        }
        let mut response = Response::chat(ChatAnswer::text(answer));
        response.usage = Some(usage);
        response.id = Some(id);
        response.model = Some(self.card.model.to_string());
        Ok(Reply::whole(response))
    }
}

#[cfg(test)]
mod tests {
    use maof_core::{
        Body, CallId, ChatRequest, EmbedRequest, ErrorKind, Message, Name, Operation, Principal, Speaker,
        Target, Tariff,
    };

    use super::*;

    fn endpoint(agent: &str) -> LocalEndpoint {
        let card = Card {
            name: Name::new("cheap").unwrap(),
            provider: Name::new("local").unwrap(),
            model: agent.into(),
            operations: vec![Operation::Chat],
            tariff: Tariff::default(),
            context: None,
            max_output: 100,
        };
        LocalEndpoint::new(crate::find(agent).unwrap(), card)
    }

    fn call(body: impl Into<Body>) -> Call {
        let target = Target::Name(Name::new("cheap").unwrap());
        Call::new(CallId::from_uuid(Default::default()), target, Principal::local(), body.into())
    }

    #[tokio::test]
    async fn a_stream_says_what_a_whole_reply_says() {
        let endpoint = endpoint("lexicon");
        let mut call = call(ChatRequest::user("What a wonderful day!"));
        let whole = endpoint.call(call.clone()).await.unwrap().collect().await.unwrap();
        call.stream = true;
        let streamed = endpoint.call(call).await.unwrap();
        assert!(streamed.is_stream());
        let streamed = streamed.collect().await.unwrap();
        assert_eq!(whole.0.text().unwrap(), streamed.0.text().unwrap());
        assert_eq!((&whole.0.id, &whole.0.model), (&streamed.0.id, &streamed.0.model));
        assert_eq!(
            (&whole.1.outcome, &whole.1.usage, &whole.1.finish),
            (&streamed.1.outcome, &streamed.1.usage, &streamed.1.finish)
        );
        assert!(whole.0.text().unwrap().contains("positive"));
    }

    #[tokio::test]
    async fn the_last_message_of_the_user_is_the_question_and_is_counted() {
        let mut chat = ChatRequest::user("How dreadful.");
        chat.messages.push(Message::text(Speaker::Assistant, "negative"));
        chat.messages.push(Message::text(Speaker::User, "Très joyful!"));
        chat.messages.push(Message::text(Speaker::Assistant, "hm"));
        let (response, end) = endpoint("lexicon").call(call(chat)).await.unwrap().collect().await.unwrap();
        assert!(response.text().unwrap().contains("positive"));
        let usage = end.usage.unwrap();
        // Twelve characters, thirteen bytes.
        assert_eq!(
            (usage.get(Unit::Character), usage.get(Unit::Input), usage.get(Unit::Request)),
            (12, 4, 1)
        );
        assert!(usage.estimated && usage.output_tokens() > 0);
    }

    #[tokio::test]
    async fn what_cannot_be_answered_is_refused_by_field() {
        let check = async |agent: &str, body: Body, kind: ErrorKind, field: Option<&str>| {
            let error = endpoint(agent).call(call(body)).await.unwrap_err();
            assert_eq!((error.kind(), error.field()), (kind, field), "{error}");
        };
        let user = |text: &str| Body::from(ChatRequest::user(text));
        let invalid = ErrorKind::InvalidRequest;
        check("bayes", ChatRequest::default().into(), invalid, Some("messages")).await;
        check("bayes", EmbedRequest::default().into(), invalid, None).await;
        check("summary", user(" \n"), invalid, Some("content")).await;
        check("keyphrases", user(&"x".repeat((1 << 20) + 1)), ErrorKind::TooLarge, Some("content")).await;
        check("forecast", user("{\"series\": [1.0]}"), invalid, Some("series")).await;
    }
}
