//! An endpoint: one thing that answers one call, and the card that says what it is.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::call::{Call, Operation};
use crate::error::Result;
use crate::ids::Name;
use crate::money::Tariff;
use crate::reply::Reply;

/// What is known of an endpoint before it is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// Its name.
    pub name: Name,
    /// The provider that answers, in OpenTelemetry's words (`gen_ai.provider.name`).
    pub provider: Name,
    /// The model's name at the provider.
    pub model: Arc<str>,
    /// What it answers.
    pub operations: Vec<Operation>,
    /// What it charges.
    pub tariff: Tariff,
    /// The most input tokens it takes; none where that is not known.
    pub context: Option<u64>,
    /// The most output tokens it gives when a call sets no bound, in tokens.
    pub max_output: u64,
}

impl Card {
    /// `provider/model`, by which it can be asked as well; none where that is no name.
    pub fn at_provider(&self) -> Option<Name> {
        Name::new(&format!("{}/{}", self.provider, self.model)).ok()
    }
}

/// What came of a probe that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It was asked and is well.
    Well,
    /// There is nothing to ask it that costs nothing.
    Unknown,
}

/// One thing that answers one call: a model at a provider, a service, a function in process.
#[async_trait]
pub trait Endpoint: Send + Sync + fmt::Debug {
    /// What it is.
    fn card(&self) -> &Card;

    /// Answers. Dropping the future, or the reply, aborts the upstream.
    ///
    /// # Errors
    /// Every error says of itself whether the same or another endpoint may succeed.
    async fn call(&self, call: Call) -> Result<Reply>;

    /// Asks whether it is well, without a call: nothing that is billed is asked for. Ends within some seconds by itself.
    /// Default: [`Probe::Unknown`].
    ///
    /// # Errors
    /// Why it is not well, such as `unavailable` or `timeout`.
    async fn probe(&self) -> Result<Probe> {
        Ok(Probe::Unknown)
    }
}
