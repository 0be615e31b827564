//! A local agent as an endpoint.

use async_trait::async_trait;
use maof_core::{
    Call, Card, ChatAnswer, Delta, Endpoint, Error, Event, Finish, Reply, Response, Result, Unit, Usage,
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use maof_core::{Body, CallId, ChatRequest, Name, Operation, Principal, Target, Tariff};

    #[tokio::test]
    async fn a_stream_says_what_a_whole_reply_says() {
        let name = Name::new("lexicon").unwrap();
        let card = Card {
            name: name.clone(),
            provider: Name::new("local").unwrap(),
            model: "lexicon".into(),
            operations: vec![Operation::Chat],
            tariff: Tariff::default(),
            context: None,
            max_output: 100,
        };
        let endpoint = LocalEndpoint::new(crate::find("lexicon").unwrap(), card);
        let body = Body::from(ChatRequest::user("What a wonderful day!"));
        let id = CallId::from_uuid(Default::default());
        let mut call = Call::new(id, Target::Name(name), Principal::local(), body);
        let whole = endpoint.call(call.clone()).await.unwrap().collect().await.unwrap();
        call.stream = true;
        let streamed = endpoint.call(call).await.unwrap().collect().await.unwrap();
        assert_eq!(whole.0.text().unwrap(), streamed.0.text().unwrap());
        assert_eq!(whole.1.usage, streamed.1.usage);
        assert!(whole.0.text().unwrap().contains("positive"));
    }
}
