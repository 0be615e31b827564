//! Asks every endpoint whether it is well, without a call.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use maof_core::{Endpoint, Failure, Name, Probe};
use maof_router::Router;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::handle::Maof;
use crate::live::{Live, Now};

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
        let live = self.live();
        let probes = live.endpoints.iter().cloned().map(|endpoint| self.clone().probe_one(endpoint));
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

/// Tells the router again and again which endpoints are well, until the process is to end. What cannot be probed is left
/// to its calls.
pub(crate) async fn keep_telling(live: Arc<Now<Live>>, closing: CancellationToken) {
    closing.run_until_cancelled(rounds(&live)).await;
}

/// How often it is looked whether probes are wanted now.
const UNWANTED: Duration = Duration::from_secs(5);

async fn rounds(live: &Now<Live>) {
    let mut unwell = HashSet::new();
    loop {
        let now = live.get();
        let Some(every) = now.config.routing.probe_ms.map(Duration::from_millis) else {
            drop(now);
            tokio::time::sleep(UNWANTED).await;
            continue;
        };
        let probes: Vec<_> = now.endpoints.iter().cloned().map(probed).collect();
        drop(now);
        let mut found = stream::iter(probes).buffer_unordered(AT_ONCE);
        while let Some((name, found)) = found.next().await {
            tell(&live.get().route, &mut unwell, name, found);
        }
        tokio::time::sleep(every).await;
    }
}

async fn probed(endpoint: Arc<dyn Endpoint>) -> (Name, maof_core::Result<Probe>) {
    let found = endpoint.probe().await;
    (endpoint.card().name.clone(), found)
}

/// One that changes is worth a line in the log.
fn tell(router: &Router, unwell: &mut HashSet<Name>, name: Name, found: maof_core::Result<Probe>) {
    let well = match found {
        Ok(Probe::Unknown) => return,
        Ok(Probe::Well) => {
            if unwell.remove(&name) {
                tracing::info!(endpoint = %name, "is well again, by its probe");
            }
            true
        }
        Err(error) => {
            if unwell.insert(name.clone()) {
                tracing::warn!(endpoint = %name, error = ?error, "is not well, by its probe: it is asked after all others");
            }
            false
        }
    };
    if router.probed(&name, well).is_err() {
        tracing::debug!(endpoint = %name, "no agent has it, so that nobody needs to know");
    }
}
