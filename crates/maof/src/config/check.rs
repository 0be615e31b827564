//! Checks that the parts of a configuration fit together.

use std::collections::HashSet;
use std::sync::Arc;

use maof_core::{Aggregate, Error, Name, Operation, Result};
use maof_engine::{Workflow, WorkflowSpec};
use maof_structured::Outputs;
use serde_json::Value;

use super::load::unknown;
use super::{AgentConfig, Config, EndpointConfig};
use crate::priced::Pricing;

impl Config {
    /// Finds mistakes; what is legal but surely not meant is given back as warnings.
    ///
    /// # Errors
    /// `invalid_request` naming the key.
    pub fn check(&self) -> Result<Vec<String>> {
        let in_section = |section: &'static str| {
            move |e: Error| {
                let field = e.field().map(|f| format!("{section}.{f}"));
                match field {
                    Some(field) => e.param(field),
                    None => e.param(section),
                }
            }
        };
        self.server.check().map_err(in_section("server"))?;
        self.store.validate().map_err(in_section("store"))?;
        self.ledger.check().map_err(in_section("ledger"))?;
        self.engine.validate().map_err(in_section("engine"))?;
        self.resilience.validate().map_err(in_section("resilience"))?;
        if let Some(cache) = &self.cache {
            cache.validate().map_err(in_section("cache"))?;
        }
        self.structured.validate().map_err(in_section("structured"))?;
        self.log.validate().map_err(in_section("log"))?;
        for name in self.resilience.providers.keys() {
            const OURS: [&str; 3] = ["local", "service", "cursor"];
            let mut known = self.providers.keys().map(Name::as_str).chain(OURS);
            if !known.any(|provider| name == provider) {
                let known = self.providers.keys().map(Name::as_str).chain(OURS);
                return Err(unknown("provider", name.as_str(), known, "resilience.providers".to_owned()));
            }
        }
        for (name, provider) in &self.providers {
            provider.validate().map_err(in_section("providers")).map_err(|e| e.context(name))?;
        }
        let complete = self.clone().complete();
        complete.check_endpoints()?;
        complete.check_agents()?;
        complete.check_aliases()?;
        complete.check_routing()?;
        complete.check_budgets()?;
        let names: Vec<&Name> = complete.agents.iter().map(|a| &a.name).collect();
        for spec in self.read_workflows()? {
            let name = spec.name.clone();
            compile(spec, names.iter().copied(), &self.structured)
                .map_err(|e| e.context(format_args!("workflow {name}")))?;
        }
        Ok(self.warnings(&complete))
    }

    fn check_endpoints(&self) -> Result<()> {
        let mut seen = HashSet::new();
        if self.prices.file.is_some() {
            self.prices.catalogue()?;
        }
        let pricing = Pricing::new(self);
        for (i, endpoint) in self.endpoints.iter().enumerate() {
            let at = |field: &str| format!("endpoints[{i}].{field}");
            if !seen.insert(&endpoint.name) {
                let why = format!("another endpoint is called `{}`", endpoint.name);
                return Err(Error::invalid_request(why).param(at("name")));
            }
            self.check_endpoint(endpoint, &at)?;
            self.resilience_of(endpoint, &at)?;
            pricing.of(endpoint).map_err(|e| match e.field() {
                Some("prices.file") => e,
                field => {
                    let field = at(field.unwrap_or("price"));
                    e.param(field)
                }
            })?;
            if endpoint.operations.is_empty() {
                return Err(Error::invalid_request("an endpoint answers something").param(at("operations")));
            }
        }
        Ok(())
    }

    fn check_endpoint(&self, endpoint: &EndpointConfig, at: &dyn Fn(&str) -> String) -> Result<()> {
        let EndpointConfig { local, provider, service, cursor, model, .. } = endpoint;
        match (local, provider, service, cursor, model) {
            (Some(local), None, None, None, None) => known_local(local, at("local")),
            (None, None, Some(service), None, _) => {
                chat_only(endpoint, at)?;
                service.validate().map_err(|e| inside(e, &at("service")))
            }
            (None, None, None, Some(cursor), _) => {
                chat_only(endpoint, at)?;
                cursor.validate().map_err(|e| inside(e, &at("cursor")))?;
                let attempt = self.resilience_of(endpoint, at)?.timeout.attempt_ms;
                if cursor.follow_ms < attempt {
                    return Ok(());
                }
                let why = format!(
                    "an agent would be given up after the {attempt} ms of its `resilience.timeout.attempt_ms`: raise that, or \
                     let `follow_ms` be less"
                );
                Err(Error::invalid_request(why).param(at("cursor.follow_ms")))
            }
            (None, Some(provider), None, None, Some(model)) if !model.is_empty() => {
                if self.providers.contains_key(provider) {
                    return Ok(());
                }
                let known = self.providers.keys().map(Name::as_str);
                Err(unknown("provider", provider.as_str(), known, at("provider")))
            }
            _ => {
                let why = "an endpoint names one of `local`, `provider` with `model`, `service` and `cursor`";
                Err(Error::invalid_request(why).param(at("name")))
            }
        }
    }

    fn check_aliases(&self) -> Result<()> {
        let mut models: Vec<String> = self.agents.iter().map(|agent| agent.name.to_string()).collect();
        for endpoint in &self.endpoints {
            models.push(endpoint.name.to_string());
            models.extend(match (&endpoint.provider, &endpoint.model, &endpoint.local) {
                (Some(provider), Some(model), _) => Some(format!("{provider}/{model}")),
                (_, _, Some(local)) => Some(format!("local/{local}")),
                _ => None,
            });
        }
        for (alias, model) in &self.aliases {
            let at = format!("aliases.{alias}");
            if models.iter().any(|known| known == alias.as_str()) {
                let why = "an agent or an endpoint has this name; give the alias another";
                return Err(Error::invalid_request(why).param(at));
            }
            if !models.iter().any(|known| known == model.as_str()) {
                let known = models.iter().map(String::as_str);
                return Err(unknown("agent or endpoint", model.as_str(), known, at));
            }
        }
        Ok(())
    }

    /// What protects an endpoint.
    fn resilience_of(
        &self,
        endpoint: &EndpointConfig,
        at: &dyn Fn(&str) -> String,
    ) -> Result<maof_resilience::EndpointConfig> {
        let own = endpoint.resilience.as_ref();
        let config = self.resilience.endpoint(&endpoint.answered_by()?, own);
        config.map_err(|e| inside(e, &at("resilience")))
    }

    fn check_agents(&self) -> Result<()> {
        let mut seen = HashSet::new();
        for (i, agent) in self.agents.iter().enumerate() {
            if !seen.insert(&agent.name) {
                let why = format!("another agent is called `{}`", agent.name);
                return Err(Error::invalid_request(why).param(format!("agents[{i}].name")));
            }
            if let Some(output) = &agent.output {
                let declared = [(agent.name.clone(), output.clone())];
                Outputs::new(&self.structured, declared).map_err(|e| inside(e, &format!("agents[{i}]")))?;
            }
            maof_engine::check_recoveries(&agent.recovery)
                .map_err(|e| inside(e, &format!("agents[{i}].recovery")))?;
            for endpoint in &agent.endpoints {
                if !self.endpoints.iter().any(|e| e.name == *endpoint) {
                    let known = self.endpoints.iter().map(|e| e.name.as_str());
                    let param = format!("agents[{i}].endpoints");
                    return Err(unknown("endpoint", endpoint.as_str(), known, param));
                }
            }
        }
        Ok(())
    }

    fn check_routing(&self) -> Result<()> {
        self.routing.validate().map_err(|e| inside(e, "routing"))?;
        for (field, agent) in self.routing.agents_named() {
            if !self.agents.iter().any(|a| a.name == *agent) {
                let known = self.agents.iter().map(|a| a.name.as_str());
                return Err(unknown("agent", agent.as_str(), known, format!("routing.{field}")));
            }
        }
        let agents = self.agents.iter().map(|agent| (&agent.name, &*agent.endpoints));
        self.routing.validate_weights(agents).map_err(|e| inside(e, "routing"))?;
        self.check_prices()?;
        self.read_model()?;
        self.read_cascade_models()?;
        self.read_outcomes().map(drop)
    }

    /// Whoever is chosen by price says it: one that forgot it would be taken for the cheapest.
    fn check_prices(&self) -> Result<()> {
        let by_price = self.routing.ranks_by(maof_router::Rank::Cheapest);
        if !by_price {
            return Ok(());
        }
        let pricing = Pricing::new(self);
        let unpriced = |endpoint: &EndpointConfig| pricing.of(endpoint).is_ok_and(|priced| priced.unknown);
        match self.endpoints.iter().position(unpriced) {
            None => Ok(()),
            Some(i) => {
                let why = "the strategy goes by price, and that of this model is not known: say it, `price: {}` if it costs nothing";
                Err(Error::invalid_request(why).param(format!("endpoints[{i}].price")))
            }
        }
    }

    fn check_budgets(&self) -> Result<()> {
        let known = |agent: &str, field: String| {
            let mut known = self.agents.iter().map(|a| a.name.as_str());
            match known.clone().any(|name| name == agent) {
                true => Ok(()),
                false => Err(unknown("agent", agent, &mut known, field)),
            }
        };
        let budgets = |budgets: &[maof_budget::BudgetConfig], section: &str| -> Result<()> {
            for (i, budget) in budgets.iter().enumerate() {
                budget.validate().map_err(|e| {
                    let field = e.field().map(|f| format!(".{f}")).unwrap_or_default();
                    e.param(format!("{section}[{i}]{field}"))
                })?;
                if let Some(agent) = budget.agent() {
                    known(agent, format!("{section}[{i}].account"))?;
                }
            }
            Ok(())
        };
        budgets(&self.budgets, "budgets")?;
        let mut names: HashSet<&Name> = HashSet::new();
        for (name, tier) in &self.tiers {
            tier.validate().map_err(|e| inside(e, &format!("tiers.{name}")))?;
            budgets(&tier.budgets, &format!("tiers.{name}.budgets"))?;
            for (i, agent) in tier.agents.iter().flatten().enumerate() {
                known(agent.as_str(), format!("tiers.{name}.agents[{i}]"))?;
            }
            if let Some(twice) = std::iter::once(name).chain(&tier.aliases).find(|name| !names.insert(name)) {
                let why = format!("another tier is called `{twice}`");
                return Err(Error::invalid_request(why).param(format!("tiers.{name}.aliases")));
            }
        }
        self.alerts.validate().map_err(|e| inside(e, "alerts"))
    }

    /// Agents that are asked for a schema at endpoints without words for one.
    fn untold(&self) -> impl Iterator<Item = (&Name, &Name)> {
        let asked =
            |agent: &&AgentConfig| agent.output.as_ref().is_some_and(|output| output.fields.is_empty());
        self.agents.iter().filter(asked).flat_map(|agent| {
            let theirs = self.endpoints.iter().filter(|endpoint| agent.endpoints.contains(&endpoint.name));
            let wordless = theirs.filter(|endpoint| endpoint.service.is_some() || endpoint.cursor.is_some());
            wordless.map(|endpoint| (&agent.name, &endpoint.name))
        })
    }

    fn warnings(&self, complete: &Config) -> Vec<String> {
        let mut warnings = Vec::new();
        for (agent, endpoint) in complete.untold() {
            warnings.push(format!(
                "the agent `{agent}` is asked for its `output.schema`, which its endpoint `{endpoint}` may not be told: say \
                 in `output.fields` where its answers hold the fields"
            ));
        }
        let pricing = Pricing::new(complete);
        for endpoint in &complete.endpoints {
            if !complete.agents.iter().any(|a| a.endpoints.contains(&endpoint.name)) {
                warnings.push(format!("no agent asks the endpoint `{}`", endpoint.name));
            }
            let free = pricing.of(endpoint).is_ok_and(|priced| priced.prices.is_free());
            if endpoint.local.is_none() && free && !self.budgets.is_empty() {
                warnings
                    .push(format!("the endpoint `{}` has no price, so no budget holds it", endpoint.name));
            }
        }
        for provider in self.providers.keys() {
            if !complete.endpoints.iter().any(|e| e.provider.as_ref() == Some(provider)) {
                warnings.push(format!("no endpoint uses the provider `{provider}`"));
            }
        }
        let open = !self.server.listen.starts_with("127.") && !self.server.listen.starts_with("localhost");
        if open && !self.server.key_for_metrics {
            warnings
                .push("metrics are open to whoever reaches the server; see server.key_for_metrics".into());
        }
        warnings
    }
}

impl super::Server {
    fn check(&self) -> Result<()> {
        if self.body_limit == 0 || self.body_limit > 1 << 30 {
            return Err(Error::invalid_request("must be 1 to 1,073,741,824 bytes").param("body_limit"));
        }
        let (_, port) = self.listen.rsplit_once(':').unwrap_or_default();
        match port.parse::<u16>() {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::invalid_request("an address is written host:port").param("listen")),
        }
    }
}

/// An error of what stands at `place`.
fn inside(error: Error, place: &str) -> Error {
    let field = error.field().map(|field| format!("{place}.{field}"));
    error.param(field.unwrap_or_else(|| place.to_owned()))
}

/// What is asked in words of its own converses, and nothing else.
fn chat_only(endpoint: &EndpointConfig, at: &dyn Fn(&str) -> String) -> Result<()> {
    match endpoint.operations.iter().find(|operation| **operation != Operation::Chat) {
        Some(other) => {
            let why = format!("such an endpoint answers `chat` only, not `{other}`");
            Err(Error::invalid_request(why).param(at("operations")))
        }
        None => Ok(()),
    }
}

#[cfg(feature = "local")]
fn known_local(name: &Name, param: String) -> Result<()> {
    match maof_local::find(name.as_str()) {
        Some(_) => Ok(()),
        None => {
            let known = maof_local::agents().iter().map(|a| a.name);
            Err(unknown("local agent", name.as_str(), known, param))
        }
    }
}

#[cfg(not(feature = "local"))]
fn known_local(_: &Name, param: String) -> Result<()> {
    let why = "this build has no local agents; build it with the feature `local`";
    Err(Error::invalid_request(why).param(param))
}

/// Checks a workflow against the agents there are and its schemas, and makes its joins.
pub(crate) fn compile<'a>(
    spec: WorkflowSpec,
    agents: impl Iterator<Item = &'a Name>,
    structured: &maof_structured::Config,
) -> Result<Workflow> {
    for step in &spec.steps {
        if let Some(schema) = &step.schema {
            structured.check(schema).map_err(|e| e.param(format!("steps.{}.schema", step.id)))?;
        }
    }
    let workflow = Workflow::compile(spec, &join)?;
    let known: Vec<&str> = agents.map(Name::as_str).collect();
    for (step, agent) in workflow.agents() {
        if !known.contains(&agent.as_str()) {
            return Err(unknown("agent", agent.as_str(), known.iter().copied(), format!("steps.{step}")));
        }
    }
    Ok(workflow)
}

fn join(said: &Value) -> Result<Arc<dyn Aggregate>> {
    let config: maof_aggregate::Config = serde_json::from_value(said.clone())
        .map_err(|e| Error::invalid_request(format!("not a join: {e}")))?;
    maof_aggregate::build(&config)
}
