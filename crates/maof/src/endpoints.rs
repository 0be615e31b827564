//! Makes endpoints of what is configured.

use std::collections::HashMap;
use std::sync::Arc;

use maof_core::{Card, Clock, Endpoint, Name, Result, Timestamp};
use maof_providers::{CursorEndpoint, HttpEndpoint, ServiceEndpoint};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, EndpointConfig};
use crate::priced::{Priced, Pricing};

pub(crate) fn make(
    config: &Config,
    endpoint: &EndpointConfig,
    card: Card,
    clock: &Arc<dyn Clock>,
    (tracker, closing): (&TaskTracker, &CancellationToken),
) -> Result<Arc<dyn Endpoint>> {
    if let Some(local) = &endpoint.local {
        return local_endpoint(local, card);
    }
    if let Some(service) = &endpoint.service {
        return Ok(Arc::new(ServiceEndpoint::new(card, service, Arc::clone(clock))?));
    }
    if let Some(cursor) = &endpoint.cursor {
        let (endpoint, tidy) = CursorEndpoint::new(card, cursor, Arc::clone(clock))?;
        tracker.spawn(tidy.run(closing.clone().cancelled_owned()));
        return Ok(Arc::new(endpoint));
    }
    match endpoint.provider.as_ref().and_then(|provider| config.providers.get(provider)) {
        Some(provider) => Ok(Arc::new(HttpEndpoint::new(card, provider, Arc::clone(clock))?)),
        None => Err(maof_core::Error::internal("an endpoint without a provider passed the check")),
    }
}

/// Whether what is asked of it as a stream begins before it has ended.
pub(crate) fn streams(config: &Config, endpoint: &EndpointConfig) -> bool {
    let provider = endpoint.provider.as_ref().and_then(|provider| config.providers.get(provider));
    let profile = provider.and_then(|provider| provider.profile().ok());
    // What fronts Cursor begins with the agent's start.
    endpoint.cursor.is_some() || profile.is_some_and(|profile| profile.streams)
}

/// What each endpoint charges. Of one whose price nobody knows it is told here, once.
pub(crate) fn priced(config: &Config) -> Result<HashMap<Name, Priced>> {
    let pricing = Pricing::new(config);
    let each = config.endpoints.iter().map(|endpoint| {
        let priced = pricing.of(endpoint)?;
        if priced.unknown {
            let policy = config.prices.unknown.as_str();
            tracing::warn!(endpoint = %endpoint.name, policy, "nobody knows what its model costs; say it in its `price`");
        }
        Ok((endpoint.name.clone(), priced))
    });
    each.collect()
}

pub(crate) fn card(endpoint: &EndpointConfig, priced: &Priced, now: Timestamp) -> Result<Card> {
    // What has no model of a provider's goes by its own name.
    let own = match (&endpoint.local, &endpoint.cursor) {
        (Some(local), _) => local.as_str(),
        (None, Some(_)) => "auto",
        (None, None) => endpoint.name.as_str(),
    };
    let provider = endpoint.answered_by()?;
    Ok(Card {
        name: endpoint.name.clone(),
        provider,
        model: endpoint.model.clone().unwrap_or_else(|| own.to_owned()).into(),
        operations: endpoint.operations.clone(),
        tariff: *priced.prices.tariff(now, None, 0),
        context: priced.context,
        max_output: endpoint.max_output,
    })
}

#[cfg(feature = "local")]
fn local_endpoint(local: &Name, card: Card) -> Result<Arc<dyn Endpoint>> {
    let agent = maof_local::find(local.as_str())
        .ok_or_else(|| maof_core::Error::internal("a local agent that is not there passed the check"))?;
    Ok(Arc::new(maof_local::LocalEndpoint::new(agent, card)))
}

#[cfg(not(feature = "local"))]
fn local_endpoint(_: &Name, _: Card) -> Result<Arc<dyn Endpoint>> {
    Err(maof_core::Error::internal("a local agent passed the check of a build without any"))
}
