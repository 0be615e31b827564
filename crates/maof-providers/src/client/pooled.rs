//! The client behind the port: straight to the host, or through the proxy that the environment names.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use maof_core::{Clock, Error, Result};

use super::direct::Direct;
use super::inline::Inline;
use super::proxied::Proxied;
use super::{Answer, Http, Request};

/// Connections that are kept for the next request.
#[derive(Debug)]
pub struct Pooled(Way);

#[derive(Debug)]
enum Way {
    /// In clear text; a request that turns out to go to another host goes there directly.
    Inline(Inline, Direct),
    Direct(Direct),
    Proxied(Proxied),
}

impl Pooled {
    /// For requests below `base_url`; gives up on connecting after `connect_timeout`. Where the environment names a
    /// proxy (`HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY`), hosts other than this machine are asked through it.
    /// `clock` says when an idle connection has been kept for too long.
    ///
    /// # Errors
    /// `invalid_request` when `base_url` is no http or https URL.
    pub fn new(base_url: &str, connect_timeout: Duration, clock: Arc<dyn Clock>) -> Result<Self> {
        let url = checked(base_url)?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let local = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if !local && names_proxy(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty())) {
            return Ok(Pooled(Way::Proxied(Proxied::new(connect_timeout))));
        }
        let plain = url.scheme() == "http";
        let direct = Direct::new(plain, connect_timeout);
        let authority = http::Uri::try_from(base_url).ok().and_then(|url| url.authority().cloned());
        let inline = authority.filter(|_| plain).and_then(|host| Inline::new(host, connect_timeout, clock));
        Ok(Pooled(match inline {
            Some(inline) => Way::Inline(inline, direct),
            None => Way::Direct(direct),
        }))
    }

    /// Checks that requests can go below `base_url`.
    ///
    /// # Errors
    /// As [`Pooled::new`].
    pub(crate) fn check(base_url: &str) -> Result<()> {
        checked(base_url).map(drop)
    }
}

fn checked(base_url: &str) -> Result<reqwest::Url> {
    reqwest::Url::parse(base_url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| {
            let why = "must be an http or https URL, such as http://127.0.0.1:11434/v1";
            Error::invalid_request(format!("`base_url` {why}")).param("base_url")
        })
}

/// Whether the environment names a proxy.
fn names_proxy(is_set: impl Fn(&str) -> bool) -> bool {
    const NAMES: [&str; 6] =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    NAMES.into_iter().any(is_set)
}

#[async_trait]
impl Http for Pooled {
    async fn send(&self, request: Request) -> Result<Answer> {
        match &self.0 {
            Way::Inline(inline, _) if inline.serves(&request.url) => inline.send(request).await,
            Way::Inline(_, direct) | Way::Direct(direct) => Box::pin(direct.send(request)).await,
            Way::Proxied(proxied) => Box::pin(proxied.send(request)).await,
        }
    }
}
