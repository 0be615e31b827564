//! An upstream in process for tests: answers from a list, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use maof_core::{Error, Result};

use super::{Answer, Http, Request};

/// Answers the first request with the first answer, and so on; afterwards nothing is there.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    answers: Mutex<VecDeque<(u16, &'static str, Bytes)>>,
    asked: Mutex<Vec<Request>>,
}

impl Fake {
    /// Adds an answer: its status, its media type and its body.
    pub(crate) fn then(self, status: u16, kind: &'static str, body: impl Into<Bytes>) -> Self {
        self.answers.lock().unwrap().push_back((status, kind, body.into()));
        self
    }

    /// What it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// Methods and URLs of what it was asked, in order.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|request| format!("{} {}", request.method, request.url)).collect()
    }
}

#[async_trait]
impl Http for Fake {
    async fn send(&self, request: Request) -> Result<Answer> {
        self.asked.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().pop_front();
        let (status, kind, body) = answer.ok_or_else(|| Error::unavailable("the upstream is not there"))?;
        let mut headers = HeaderMap::new();
        if !kind.is_empty() {
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        }
        Ok(Answer { status, headers, body: Box::pin(stream::iter([Ok(body)])) })
    }
}
