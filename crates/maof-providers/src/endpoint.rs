//! An endpoint at a provider: encodes a call, sends it, decodes the answer, whole or streamed.

mod frames;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::Method;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use maof_core::{
    Ask, Call, Card, Clock, Content, Endpoint, Error, Operation, Probe, Reply, Result, Unsupported,
};

use self::frames::Frames;
use crate::asked::Asked;
use crate::client::{Answer, Events, Http, Pooled, Request};
use crate::dialect::gate::Gate;
use crate::exchange::{Exchange, media_type, wrong_type};
use crate::profile::{Profile, ProviderConfig};
use crate::schemas::Schemas;
use crate::{sound, whole};

/// How much larger a streamed answer may be than a whole one: every token has a frame around it.
const STREAM_FACTOR: u64 = 8;

/// A model at a provider.
#[derive(Debug)]
pub struct HttpEndpoint {
    card: Card,
    profile: &'static Profile,
    base_url: String,
    /// Those of a request that wants a whole answer.
    whole: HeaderMap,
    /// Those of a request that wants a stream.
    streamed: HeaderMap,
    max_frame: usize,
    unsupported: Unsupported,
    schemas: Schemas,
    exchange: Exchange,
}

impl HttpEndpoint {
    /// An endpoint with connections of its own. `clock` tells how far away a date is that an upstream names.
    ///
    /// # Errors
    /// As [`ProviderConfig::validate`].
    pub fn new(card: Card, provider: &ProviderConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let http = Pooled::new(&provider.base_url()?, provider.connect_timeout(), Arc::clone(&clock))?;
        Self::with_http(card, provider, clock, Arc::new(http))
    }

    /// An endpoint that shares the connections of `http` with others of its provider.
    ///
    /// # Errors
    /// As [`ProviderConfig::validate`].
    pub fn with_http(
        card: Card,
        provider: &ProviderConfig,
        clock: Arc<dyn Clock>,
        http: Arc<dyn Http>,
    ) -> Result<Self> {
        provider.validate()?;
        let idle = Duration::from_millis(provider.idle_timeout_ms);
        let profile = provider.profile()?;
        let mut card = card;
        let count = Operation::CountTokens;
        // Who converses in a dialect that counts, counts.
        if profile.dialect.counts_tokens()
            && card.operations.contains(&Operation::Chat)
            && !card.operations.contains(&count)
        {
            card.operations.push(count);
        }
        let mut whole = provider.request_headers()?;
        // A compressor would hold frames back, and a bomb would have to be told from an answer.
        whole.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut streamed = whole.clone();
        streamed.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let media = !profile.media.is_empty();
        whole.insert(ACCEPT, HeaderValue::from_static(if media { "*/*" } else { "application/json" }));
        Ok(HttpEndpoint {
            card,
            profile,
            base_url: provider.base_url()?,
            whole,
            streamed,
            max_frame: usize::try_from(provider.max_frame_bytes).unwrap_or(usize::MAX),
            unsupported: provider.unsupported,
            schemas: provider.schemas()?,
            exchange: Exchange {
                http,
                clock,
                head: provider.headers_timeout(),
                idle,
                most: provider.max_reply_bytes,
            },
        })
    }

    /// The request, and the fields that it leaves out.
    fn request(&self, call: &Call, streamed: bool) -> Result<(Request, Vec<String>)> {
        let Card { model, max_output, .. } = &self.card;
        let ask = Ask { model, unsupported: self.unsupported, max_output: *max_output };
        let mut gate = Gate::new(self.profile.name, self.unsupported);
        let call = &*self.schemas.fit(call, self.profile.dialect.name(), &mut gate)?;
        let mut outgoing = self.profile.dialect.encode(call, ask)?;
        outgoing.dropped.extend(gate.dropped());
        let mut headers = if streamed { &self.streamed } else { &self.whole }.clone();
        if let Some(kind) = &outgoing.content_type {
            let value = HeaderValue::from_str(kind);
            headers.insert(CONTENT_TYPE, value.map_err(|_| unsendable("content-type"))?);
        }
        for (name, value) in &outgoing.headers {
            let known: HeaderName = name.parse().map_err(|_| unsendable(name))?;
            headers.insert(known, HeaderValue::from_str(value).map_err(|_| unsendable(name))?);
        }
        if call.operation() == Operation::Speech {
            headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        }
        if let Some(key) = call.idempotency_key().filter(|_| self.profile.idempotency)
            && let Ok(key) = HeaderValue::from_str(&key)
        {
            headers.insert("idempotency-key", key);
        }
        if let (Some(name), Some(id)) = (self.profile.request_id, &call.provenance.request)
            && let Ok(id) = HeaderValue::from_str(id)
        {
            headers.insert(name, id);
        }
        let url = [self.base_url.as_str(), &outgoing.path].concat();
        Ok((Request { method: Method::POST, url, headers, body: outgoing.body }, outgoing.dropped))
    }

    async fn whole(&self, call: &Call, answer: Answer) -> Result<Reply> {
        let types: &[&str] = match call.operation() {
            Operation::Speech => &[],
            Operation::Transcribe => &["application/json", "text/plain", "text/vtt", "application/x-subrip"],
            _ => &["application/json", "+json"],
        };
        if let Some(given) = media_type(&answer.headers)
            && !self.profile.media.iter().any(|kind| given.starts_with(kind))
        {
            expect_type(&given, types)?;
        }
        let content = self.exchange.content(answer).await?;
        let response = self.profile.dialect.decode(call, content)?;
        if self.profile.streams && !call.stream {
            return Ok(Reply::whole(whole::measured(call, response, &self.card)));
        }
        whole::reply(call, response, &self.card)
    }

    /// What is heard or said comes as events, as the bytes of a file, or as a whole, as its upstream knows how.
    async fn heard(&self, call: &Call, answer: Answer) -> Result<Reply> {
        let given = media_type(&answer.headers).unwrap_or_default();
        let is_text = given.is_empty() || given.starts_with("text/") || given.ends_with("json");
        match (given == "text/event-stream", call.operation()) {
            (true, _) => self.streamed(call, answer).await,
            (false, Operation::Speech) if !is_text => {
                sound::reply(&self.exchange, call, answer, self.profile.dialect.name()).await
            }
            _ => self.whole(call, answer).await,
        }
    }

    /// The reply's first event is waited for, so that an upstream that fails before it can be asked again.
    async fn streamed(&self, call: &Call, answer: Answer) -> Result<Reply> {
        if is_type(&answer.headers, "application/json") {
            // Some servers say no with a status of success and without a stream.
            let body = self.exchange.collect(answer.body).await?;
            self.profile.dialect.decode(call, Content::json(body))?;
            return Err(Error::protocol("the upstream answered as a whole where a stream was asked for"));
        }
        if let Some(given) = media_type(&answer.headers) {
            expect_type(&given, &["text/event-stream"])?;
        }
        let mut frames = Frames::new(
            answer.body,
            Events::new(self.max_frame),
            self.profile.dialect.decoder(call),
            self.exchange.idle,
            self.exchange.most.saturating_mul(STREAM_FACTOR),
            Asked::of(call, &self.card),
        );
        let first = match frames.next().await {
            Some(first) => Some(Ok(first?)),
            None => None,
        };
        Ok(Reply::stream(Box::pin(stream::iter(first).chain(frames.rest()))))
    }
}

#[async_trait]
impl Endpoint for HttpEndpoint {
    fn card(&self) -> &Card {
        &self.card
    }

    async fn probe(&self) -> Result<Probe> {
        let Some(path) = self.profile.models else { return Ok(Probe::Unknown) };
        let mut headers = self.whole.clone();
        headers.remove(CONTENT_TYPE);
        let url = format!("{}{path}", self.base_url);
        let request = Request { method: Method::GET, url, headers, body: Bytes::new() };
        self.exchange.probe(request, |status, body| self.profile.dialect.decode_error(status, body)).await
    }

    async fn call(&self, call: Call) -> Result<Reply> {
        let operation = call.operation();
        let as_events = matches!(operation, Operation::Chat | Operation::Transcribe);
        let streamed = call.stream && self.profile.streams && as_events;
        let (request, dropped) = self.request(&call, streamed).map_err(Error::before_sending)?;
        let answer = self.exchange.send(request).await?;
        let mut reply = match (answer.status, streamed) {
            (200..=299, _) if call.stream && operation != Operation::Chat => self.heard(&call, answer).await,
            (200..=299, true) => self.streamed(&call, answer).await,
            (200..=299, false) => self.whole(&call, answer).await,
            _ => Err(self
                .exchange
                .failed(answer, |status, body| self.profile.dialect.decode_error(status, body))
                .await),
        }?;
        reply.head.dropped = dropped;
        Ok(reply)
    }
}

fn unsendable(name: &str) -> Error {
    Error::invalid_request(format!("the header `{name}` must be visible ASCII in one line"))
}

fn is_type(headers: &HeaderMap, wanted: &str) -> bool {
    media_type(headers).is_some_and(|given| given == wanted)
}

/// A body of another type is not what the API promises: mostly a proxy's or a portal's page.
fn expect_type(given: &str, endings: &[&str]) -> Result<()> {
    match endings.is_empty() || endings.iter().any(|ending| given.ends_with(ending)) {
        true => Ok(()),
        false => Err(wrong_type(given)),
    }
}

#[cfg(test)]
mod tests;
