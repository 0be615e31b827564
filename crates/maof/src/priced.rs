//! What configured endpoints charge: by their own `price`, else by the price file, else by the policy for what is unknown.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use maof_budget::Prices;
use maof_budget::price::{Catalogue, Model, Source};
use maof_core::{Result, Tariff};

use crate::config::{Config, EndpointConfig};

/// The prices of a configuration's endpoints; the price file is read when it is first needed.
pub(crate) struct Pricing<'a> {
    config: &'a Config,
    catalogue: OnceLock<Cow<'static, Catalogue>>,
}

/// What is known of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Priced {
    /// What it charges.
    pub(crate) prices: Arc<Prices>,
    /// The most tokens that it takes at once.
    pub(crate) context: Option<u64>,
    /// Whether nobody knows what it charges.
    pub(crate) unknown: bool,
    /// Where its prices are from, for the ledger: `config`, or the price file's source and version. None for what is free.
    pub(crate) version: Option<Arc<str>>,
}

impl<'a> Pricing<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Pricing { config, catalogue: OnceLock::new() }
    }

    /// What an endpoint charges.
    ///
    /// # Errors
    /// `invalid_request` naming the field below the endpoint whose price is wrong, `price` where it is not known and that is
    /// denied, or `prices.file` where that cannot be read.
    pub(crate) fn of(&self, endpoint: &EndpointConfig) -> Result<Priced> {
        let profile = endpoint.provider.as_ref().and_then(|name| self.config.providers.get(name));
        let sold = profile.and_then(|config| config.profile().ok()).filter(|profile| !is_own(profile.name));
        // What is one's own is free, unless it says otherwise; what it takes it says itself.
        let (Some(profile), Some(model)) = (sold, &endpoint.model) else {
            let prices =
                endpoint.price.as_ref().map_or_else(|| Ok(Prices::from(Tariff::FREE)), |p| p.prices())?;
            let version = endpoint.price.as_ref().map(|_| configured());
            return Ok(Priced {
                prices: Arc::new(prices),
                context: endpoint.context,
                unknown: false,
                version,
            });
        };
        if let (Some(price), Some(context)) = (&endpoint.price, endpoint.context) {
            let prices = Arc::new(price.prices()?);
            return Ok(Priced {
                prices,
                context: Some(context),
                unknown: false,
                version: Some(configured()),
            });
        }
        let known = find(self.catalogue()?, profile.name, model);
        let context = endpoint.context.or_else(|| known?.context);
        let (prices, unknown) = match (&endpoint.price, known) {
            (Some(price), _) => (price.prices()?, false),
            (None, Some(known)) => (known.prices()?, false),
            (None, None) => {
                let seller = sellers(profile.name, model).first().map_or("", |(seller, _)| *seller);
                (self.config.prices.unknown(self.catalogue()?, seller, model)?, true)
            }
        };
        let version = match endpoint.price {
            Some(_) => configured(),
            None => {
                let Source { source, version, .. } = self.catalogue()?.source();
                let guessed = if unknown {
                    format!(" ({})", self.config.prices.unknown.as_str())
                } else {
                    String::new()
                };
                format!("{source} {version}{guessed}").into()
            }
        };
        Ok(Priced { prices: Arc::new(prices), context, unknown, version: Some(version) })
    }

    fn catalogue(&self) -> Result<&Catalogue> {
        if let Some(read) = self.catalogue.get() {
            return Ok(read);
        }
        let read = self.config.prices.catalogue()?;
        Ok(self.catalogue.get_or_init(|| read))
    }
}

/// The version of prices that the configuration says.
fn configured() -> Arc<str> {
    "config".into()
}

/// Whether a profile is that of a server of one's own.
fn is_own(profile: &str) -> bool {
    ["llamacpp", "ollama", "vllm"].contains(&profile)
}

fn find<'c>(catalogue: &'c Catalogue, profile: &str, model: &str) -> Option<&'c Model> {
    sellers(profile, model).iter().find_map(|(seller, model)| catalogue.find(seller, model))
}

/// Who sells a profile's models in the catalogue, and by which name.
fn sellers<'m>(profile: &'m str, model: &'m str) -> Vec<(&'m str, &'m str)> {
    match profile {
        "openai_responses" => vec![("openai", model)],
        // A deployment is mostly called as its model.
        "azure_openai" => vec![("azure", model), ("openai", model)],
        "gemini" => vec![("google", model)],
        "moonshot" => vec![("moonshotai", model)],
        "xai" => vec![("x-ai", model)],
        // Who answers is said behind the model's name.
        "huggingface" => match model.rsplit_once(':') {
            Some((model, "together")) => vec![("huggingface_together", model)],
            Some((model, "fireworks-ai")) => vec![("huggingface_fireworks-ai", model)],
            Some((model, "groq")) => vec![("huggingface_groq", model)],
            Some((model, "cerebras")) => vec![("huggingface_cerebras", model)],
            Some((model, "novita")) => vec![("huggingface_novita", model)],
            Some((model, "nebius")) => vec![("huggingface_nebius", model)],
            Some((model, "hyperbolic")) => vec![("huggingface_hyperbolic", model)],
            Some((model, "sambanova")) => vec![("huggingface_sambanova", model)],
            Some((model, "nscale")) => vec![("huggingface_nscale", model)],
            _ => vec![("huggingface", model)],
        },
        same => vec![(same, model)],
    }
}

#[cfg(test)]
#[path = "priced/tests.rs"]
mod tests;
