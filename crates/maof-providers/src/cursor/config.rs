//! The configuration of Cursor's agents.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use maof_core::{Clock, Error, Result, Secret, Unsupported};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::client::Pooled;
use crate::profile::{UnsupportedWord, positive, secret_value, unusable};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Cursor's background agents: each call launches one, which works on a repository for minutes.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CursorConfig {
    /// Where the API is. Default `https://api.cursor.com`.
    pub base_url: String,
    /// The key from Cursor's dashboard; write it as `${CURSOR_API_KEY}`. Never shown.
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub api_key: Option<Secret>,
    /// The repository that agents work on, such as `https://github.com/your-org/your-repo`; a call may name another
    /// one in its field `repository`. Default: none, so that each call names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The branch, tag or commit that agents begin from; a call may name another one in its field `ref`. Default:
    /// the repository's default branch.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Whether agents open a pull request when they are done. Default false.
    pub auto_create_pr: bool,
    /// Milliseconds between two looks at an agent. Default 10,000.
    pub poll_ms: u64,
    /// Milliseconds that an agent is followed for; fewer than `resilience.timeout.attempt_ms`, after which a call is tried
    /// again and would launch another agent. Default 3,600,000 (an hour).
    pub follow_ms: u64,
    /// Whether an agent is deleted when its answer is not waited for any more. Default false: it works on.
    pub cancel_on_drop: bool,
    /// What becomes of a field of a request that agents cannot be told: `refuse` the request, naming the field, or
    /// `drop_and_report`: leave it out and name it in the reply. Default `refuse`.
    #[schemars(with = "UnsupportedWord")]
    pub unsupported: Unsupported,
}

impl Default for CursorConfig {
    fn default() -> Self {
        CursorConfig {
            base_url: "https://api.cursor.com".to_owned(),
            api_key: None,
            repository: None,
            reference: None,
            auto_create_pr: false,
            poll_ms: 10_000,
            follow_ms: 3_600_000,
            cancel_on_drop: false,
            unsupported: Unsupported::default(),
        }
    }
}

impl CursorConfig {
    /// Checks what can be checked without asking Cursor.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        self.check_url()?;
        positive(&[("poll_ms", self.poll_ms), ("follow_ms", self.follow_ms)])?;
        for (field, value) in [("repository", &self.repository), ("ref", &self.reference)] {
            if value.as_ref().is_some_and(|value| value.trim().is_empty()) {
                return Err(Error::invalid_request(format!("`{field}` must not be empty")).param(field));
            }
        }
        self.headers().map(drop)
    }

    /// The connections to Cursor.
    ///
    /// # Errors
    /// `invalid_request` naming `base_url`.
    pub(super) fn connect(&self, clock: Arc<dyn Clock>) -> Result<Pooled> {
        self.check_url()?;
        Pooled::new(&self.base_url, CONNECT, clock)
    }

    fn check_url(&self) -> Result<()> {
        if self.base_url.contains(['?', '#', '@']) {
            let why = "`base_url` must have no query, fragment, user or password";
            return Err(Error::invalid_request(why).param("base_url"));
        }
        Pooled::check(&self.base_url)
    }

    /// The headers of every request.
    ///
    /// # Errors
    /// `invalid_request` naming `api_key`.
    pub(super) fn headers(&self) -> Result<HeaderMap> {
        let key = self.api_key.as_ref().ok_or_else(|| {
            let why = "`api_key` is missing: write it as ${CURSOR_API_KEY}";
            Error::invalid_request(why).param("api_key")
        })?;
        let mut headers = HeaderMap::new();
        let value = secret_value(&format!("Bearer {}", key.expose().trim()));
        headers.insert(AUTHORIZATION, value.ok_or_else(|| unusable("api_key".to_owned()))?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(headers)
    }

    /// How many looks an agent is given.
    pub(super) fn looks(&self) -> u64 {
        (self.follow_ms / self.poll_ms.max(1)).max(1)
    }
}
