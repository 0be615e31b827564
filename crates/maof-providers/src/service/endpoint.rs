//! The endpoint: fills in the request, sends it, and finds the answer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use maof_core::{
    Call, Card, Clock, Content, Endpoint, Error, Operation, Probe, Reply, Result, Unit, Unsupported, Usage,
};
use serde_json::Value;

use super::config::{Method, Plan, ServiceConfig, UsagePointers};
use crate::client::{Http, Request};
use crate::dialect::gate::Gate;
use crate::dialect::said;
use crate::exchange::{Exchange, plain_type, wrong_type};
use crate::plain::Plain;
use crate::whole;

/// The name under which refusals speak of services.
const NAME: &str = "service";

/// A service that answers conversations.
#[derive(Debug)]
pub struct ServiceEndpoint {
    card: Card,
    plan: Plan,
    method: Method,
    result: String,
    usage: UsagePointers,
    unsupported: Unsupported,
    exchange: Exchange,
}

impl ServiceEndpoint {
    /// An endpoint with connections of its own. `clock` tells how far away a date is that the service names.
    ///
    /// # Errors
    /// As [`ServiceConfig::validate`].
    pub fn new(card: Card, service: &ServiceConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let http = service.connect(Arc::clone(&clock))?;
        Self::with_http(card, service, clock, Arc::new(http))
    }

    /// An endpoint that is reached through `http`.
    ///
    /// # Errors
    /// As [`ServiceConfig::validate`].
    pub fn with_http(
        card: Card,
        service: &ServiceConfig,
        clock: Arc<dyn Clock>,
        http: Arc<dyn Http>,
    ) -> Result<Self> {
        service.validate()?;
        let idle = Duration::from_millis(service.idle_timeout_ms);
        Ok(ServiceEndpoint {
            card,
            plan: service.plan()?,
            method: service.method,
            result: service.result.clone(),
            usage: service.usage.clone(),
            unsupported: service.unsupported,
            exchange: Exchange { http, clock, head: None, idle, most: service.max_reply_bytes },
        })
    }

    /// The request, and the fields that it leaves out.
    fn request(&self, call: &Call) -> Result<(Request, Vec<String>)> {
        if call.operation() != Operation::Chat {
            return Err(call.body.unexpected(Operation::Chat));
        }
        let chat = call.body.chat()?;
        let mut gate = Gate::new(NAME, self.unsupported);
        gate.conversation(&chat)?;
        gate.settings(&chat, &[])?;
        let plain = Plain::of(call, &chat, &mut gate)?;
        let Plan { url, headers, query, body, .. } = &self.plan;
        let mut url = url.clone();
        if !query.is_empty() {
            let filled = query.iter().map(|(name, line)| (name, line.fill(plain, &self.card.model)));
            url.query_pairs_mut().extend_pairs(filled);
        }
        let body = body.as_ref().map(|body| body.fill(plain, &self.card.model).to_string());
        let request = Request {
            method: self.method.into(),
            url: url.into(),
            headers: headers.clone(),
            body: body.map(Bytes::from).unwrap_or_default(),
        };
        Ok((request, gate.dropped()))
    }

    /// The answer's text, and what it used.
    fn read(&self, content: &Content) -> Result<(String, Option<Usage>)> {
        let kind = plain_type(&content.content_type);
        if kind.starts_with("text/") {
            let text = std::str::from_utf8(&content.bytes);
            let text =
                text.map_err(|e| Error::protocol("the service's answer is no UTF-8 text").because(e))?;
            return Ok((text.to_owned(), None));
        }
        if !kind.ends_with("json") {
            return Err(wrong_type(&kind));
        }
        let body: Value = serde_json::from_slice(&content.bytes)
            .map_err(|e| Error::protocol("the service's answer is no JSON").because(e))?;
        let answer = body.pointer(&self.result).ok_or_else(|| {
            Error::protocol(format!("the service's answer has nothing at `{}`, its `result`", self.result))
        })?;
        let text = match answer {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Ok((text, self.used(&body)))
    }

    /// What an answer used; none where it does not say all of what it was to say.
    fn used(&self, body: &Value) -> Option<Usage> {
        let told = [(Unit::Input, &self.usage.input), (Unit::Output, &self.usage.output)];
        let mut usage = None;
        for (unit, pointer) in told {
            let Some(pointer) = pointer else { continue };
            let count = body.pointer(pointer)?.as_u64()?;
            usage = Some(usage.unwrap_or_else(Usage::default).with(unit, count));
        }
        usage
    }
}

#[async_trait]
impl Endpoint for ServiceEndpoint {
    fn card(&self) -> &Card {
        &self.card
    }

    async fn probe(&self) -> Result<Probe> {
        let Some(url) = &self.plan.health else { return Ok(Probe::Unknown) };
        let mut headers = self.plan.headers.clone();
        headers.remove(CONTENT_TYPE);
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let request =
            Request { method: http::Method::GET, url: url.to_string(), headers, body: Bytes::new() };
        self.exchange.probe(request, said::decode).await
    }

    async fn call(&self, call: Call) -> Result<Reply> {
        let (request, dropped) = self.request(&call)?;
        let content = self.exchange.ask(request).await?;
        let (text, usage) = self.read(&content)?;
        let mut reply = whole::reply(&call, whole::text(text, usage), &self.card)?;
        reply.head.dropped = dropped;
        Ok(reply)
    }
}
