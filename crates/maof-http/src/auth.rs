//! Who is calling: an API key in `Authorization: Bearer` or `X-API-Key`.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use maof::Maof;
use maof_core::{Error, Principal, Result, Role};

use crate::error::ApiError;

/// The authenticated caller.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) Arc<Principal>);

impl Caller {
    /// Refuses those who may only look.
    pub(crate) fn may_change(&self) -> Result<()> {
        match self.0.may_call() {
            true => Ok(()),
            false => Err(Error::permission_denied("this key may look but not change anything")),
        }
    }

    /// Refuses all but administrators.
    pub(crate) fn must_administer(&self) -> Result<()> {
        match self.0.is(Role::Admin) {
            true => Ok(()),
            false => Err(Error::permission_denied("this takes a key of an administrator")),
        }
    }

    /// Refuses those who may not even look.
    pub(crate) fn may_look(&self) -> Result<()> {
        match self.0.is(Role::Readonly) || self.0.may_call() {
            true => Ok(()),
            false => Err(Error::permission_denied("this key has no role that lets it look")),
        }
    }
}

impl FromRequestParts<Maof> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, maof: &Maof) -> Result<Self, ApiError> {
        authenticate(&parts.headers, maof).map(Caller).map_err(ApiError)
    }
}

/// The principal behind the key in these headers.
pub(crate) fn authenticate(headers: &HeaderMap, maof: &Maof) -> Result<Arc<Principal>> {
    maof.authenticate(key_of(headers)?)
}

fn key_of(headers: &HeaderMap) -> Result<&str> {
    let missing = || {
        Error::unauthenticated("an API key is needed: send `Authorization: Bearer KEY` or `X-API-Key: KEY`")
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(value) = text(AUTHORIZATION.as_str()) {
        let (scheme, key) = value.split_once(' ').ok_or_else(missing)?;
        return match scheme.eq_ignore_ascii_case("bearer") {
            true => Ok(key.trim()),
            false => Err(missing()),
        };
    }
    // The second is where Google's SDKs put it.
    text("x-api-key").or_else(|| text("x-goog-api-key")).map(str::trim).ok_or_else(missing)
}
