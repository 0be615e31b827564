//! One exchange with an upstream: its size bounded, its silences timed, its refusals told.

use std::borrow::Cow;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use maof_core::{Clock, Content, Error, ErrorKind, Probe, Result, Retry};

use crate::client::{Answer, BodyStream, Http, Request};
use crate::dialect::said;

/// How long an answer to a probe is waited for.
const PROBE: Duration = Duration::from_secs(5);
/// Bytes that are read of an answer that says no.
const MAX_ERROR_BYTES: u64 = 64 << 10;
/// The longest wait that an upstream may ask for; what is longer is as good as never.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// How an endpoint speaks to its upstream, and within which bounds.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) http: Arc<dyn Http>,
    /// Tells how far away a date is that an upstream names.
    pub(crate) clock: Arc<dyn Clock>,
    /// How long the head of an answer may take; none where only the attempt's own limit holds.
    pub(crate) head: Option<Duration>,
    /// How long an answer that has begun may be silent.
    pub(crate) idle: Duration,
    /// Bytes that a whole answer may have.
    pub(crate) most: u64,
}

impl Exchange {
    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// As [`Http::send`]; `timeout` when the head takes too long.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer> {
        let sent = self.http.send(request);
        let Some(head) = self.head else { return sent.await };
        tokio::time::timeout(head, sent).await.unwrap_or_else(|_| {
            let ms = head.as_millis();
            let why = format!("the upstream did not begin to answer within {ms} ms (`headers_timeout_ms`)");
            Err(Error::timed_out(why).retry_is(Retry::Elsewhere))
        })
    }

    /// Sends a request to an upstream of no dialect, and takes its answer whole.
    ///
    /// # Errors
    /// As [`Http::send`]; what the upstream says no with; `protocol` when the answer is too large.
    pub(crate) async fn ask(&self, request: Request) -> Result<Content> {
        let answer = self.send(request).await?;
        match answer.status {
            200..=299 => self.content(answer).await,
            _ => Err(self.failed(answer, said::decode).await),
        }
    }

    /// Sends a request of which only the status matters, and waits for no more than some seconds.
    ///
    /// # Errors
    /// As [`Http::send`]; `timeout`; what the upstream says no with, `decode` reading its body.
    pub(crate) async fn probe(
        &self,
        request: Request,
        decode: impl FnOnce(u16, &[u8]) -> Error,
    ) -> Result<Probe> {
        let asked = async {
            let answer = self.http.send(request).await?;
            match answer.status {
                200..=299 => Ok(Probe::Well),
                _ => Err(self.failed(answer, decode).await),
            }
        };
        tokio::time::timeout(PROBE, asked).await.unwrap_or_else(|_| {
            Err(Error::timed_out(format!("no answer to a probe within {} ms", PROBE.as_millis())))
        })
    }

    /// The whole of an answer, which is JSON where it does not say what it is.
    ///
    /// # Errors
    /// `protocol` when it is too large or cut off; `timeout` when it stops on the way.
    pub(crate) async fn content(&self, answer: Answer) -> Result<Content> {
        let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let content_type = match kind {
            None | Some("application/json") => Cow::Borrowed("application/json"),
            Some(other) => Cow::Owned(other.to_owned()),
        };
        Ok(Content { content_type, bytes: self.collect(answer.body).await? })
    }

    /// A whole body.
    ///
    /// # Errors
    /// As [`Exchange::content`].
    pub(crate) async fn collect(&self, body: BodyStream) -> Result<Bytes> {
        self.at_most(body, self.most).await
    }

    /// The error of an answer with a status of failure, `decode` reading its body.
    pub(crate) async fn failed(&self, answer: Answer, decode: impl FnOnce(u16, &[u8]) -> Error) -> Error {
        let wait = wait_of(&answer.headers, self.clock.now().as_secs());
        // A body that does not come changes nothing: the status alone says enough.
        let body = self.at_most(answer.body, MAX_ERROR_BYTES).await.unwrap_or_default();
        let error = decode(answer.status, &body);
        let limited = answer.status == 429 && error.kind() == ErrorKind::RateLimited;
        let resting = answer.status >= 500 && error.kind() == ErrorKind::Unavailable;
        match wait {
            Some(wait) if limited || resting => error.retry_is(Retry::After(wait)),
            _ => error,
        }
    }

    async fn at_most(&self, mut body: BodyStream, most: u64) -> Result<Bytes> {
        let fits = |so_far: usize, bytes: &Bytes| match so_far as u64 + bytes.len() as u64 <= most {
            true => Ok(()),
            false => Err(too_large(most)),
        };
        let Some(first) = next_bytes(&mut body, self.idle).await.transpose()? else {
            return Ok(Bytes::new());
        };
        fits(0, &first)?;
        // Most answers come in one piece, which is taken as it is.
        let Some(second) = next_bytes(&mut body, self.idle).await.transpose()? else { return Ok(first) };
        fits(first.len(), &second)?;
        let mut whole = BytesMut::with_capacity(2 * (first.len() + second.len()));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(bytes) = next_bytes(&mut body, self.idle).await.transpose()? {
            fits(whole.len(), &bytes)?;
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }
}

/// More of a body, unless it is silent for too long.
pub(crate) async fn next_bytes(body: &mut BodyStream, idle: Duration) -> Option<Result<Bytes>> {
    // What is there already needs no timer.
    let mut timer = pin!(None);
    poll_fn(|cx| {
        if let Poll::Ready(item) = body.as_mut().poll_next(cx) {
            return Poll::Ready(item);
        }
        if timer.is_none() {
            timer.set(Some(tokio::time::sleep(idle)));
        }
        let rung = timer.as_mut().as_pin_mut().map_or(Poll::Pending, |timer| timer.poll(cx));
        rung.map(|()| {
            let ms = idle.as_millis();
            let why = format!("the upstream sent nothing for {ms} ms in the middle of its answer");
            // Whoever was waited for that long is not waited for twice.
            Some(Err(Error::timed_out(why).retry_is(Retry::Elsewhere)))
        })
    })
    .await
}

/// The error of an answer that has more than `most` bytes.
pub(crate) fn too_large(most: u64) -> Error {
    Error::protocol(format!("the upstream's answer is larger than {most} bytes")).retry_is(Retry::Elsewhere)
}

/// The media type, without its parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    headers.get(CONTENT_TYPE)?.to_str().ok().map(plain_type)
}

/// A media type without its parameters, in lower case.
pub(crate) fn plain_type(content_type: &str) -> Cow<'_, str> {
    if content_type == "application/json" {
        return Cow::Borrowed(content_type);
    }
    let plain = content_type.split(';').next().unwrap_or_default().trim();
    match plain.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(plain.to_ascii_lowercase()),
        false => Cow::Borrowed(plain),
    }
}

/// The error of a body that is not what the API promises: mostly a proxy's or a portal's page.
pub(crate) fn wrong_type(given: &str) -> Error {
    let shown: String = given.chars().take(64).collect();
    Error::protocol("the upstream's answer has another content type than its API promises")
        .because(format!("content type {shown}"))
}

/// How long the upstream wants to be left alone: milliseconds, seconds, or a date.
pub(crate) fn wait_of(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str, unit: f64| {
        let value = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0)?;
        Some(Duration::from_secs_f64((value * unit).min(MAX_WAIT.as_secs_f64())))
    };
    if let Some(wait) = text("retry-after-ms").and_then(|text| number(text, 0.001)) {
        return Some(wait);
    }
    let value = text(RETRY_AFTER.as_str())?;
    number(value, 1.0).or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        let then = i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
        Some(Duration::from_secs(u64::try_from(then.saturating_sub(now)).unwrap_or(0)).min(MAX_WAIT))
    })
}
