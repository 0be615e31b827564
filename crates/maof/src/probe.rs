//! Asks every endpoint whether it is well, without a call.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use maof_core::{Endpoint, Failure, Name, Probe};
use serde::Serialize;

use crate::handle::Maof;

/// Endpoints that are probed at the same time, at most.
const AT_ONCE: usize = 16;

/// What one endpoint says of itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probed {
    /// Its name.
    pub endpoint: Name,
    /// The provider that answers.
    pub provider: Name,
    /// `well`, `unwell`, or `unknown` where there is nothing to ask it that costs nothing.
    pub status: &'static str,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// Why it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl Maof {
    /// Asks every endpoint whether it is well, at its health path or for its list of models: nothing that is billed. It
    /// takes some seconds at most for every 16 endpoints, and changes nothing: neither circuit breakers nor metrics
    /// are told.
    pub async fn probe(&self) -> Vec<Probed> {
        let probes = self.inner.endpoints.iter().cloned().map(|endpoint| self.clone().probe_one(endpoint));
        let probes: Vec<_> = probes.collect();
        stream::iter(probes).buffered(AT_ONCE).collect().await
    }

    async fn probe_one(self, endpoint: Arc<dyn Endpoint>) -> Probed {
        let began = self.inner.clock.instant();
        let found = endpoint.probe().await;
        let took = self.inner.clock.instant().saturating_duration_since(began);
        let card = endpoint.card();
        if let Err(error) = &found {
            tracing::warn!(endpoint = %card.name, error = ?error, "an endpoint is not well");
        }
        Probed {
            endpoint: card.name.clone(),
            provider: card.provider.clone(),
            status: match &found {
                Ok(Probe::Well) => "well",
                Ok(Probe::Unknown) => "unknown",
                Err(_) => "unwell",
            },
            took_ms: took.as_micros() as f64 / 1_000.0,
            error: found.err().map(|error| error.failure()),
        }
    }
}
