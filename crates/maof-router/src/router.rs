//! The router: turns a call's target into candidates, best first.

use std::sync::Arc;

use maof_core::{
    Call, Candidate, Decision, DecisionId, End, Error, Grant, Ids, Name, Operation, Result, Route, Target,
};

use crate::config::{Config, Strategy};
use crate::registry::{Agent, Registry};

/// Chooses by configuration alone: the same call always has the same candidates.
#[derive(Debug)]
pub struct Router {
    registry: Registry,
    config: Config,
    ids: Arc<dyn Ids>,
}

impl Router {
    /// A router over these agents and endpoints; `ids` gives the decisions' ids.
    ///
    /// # Errors
    /// `invalid_request` naming the field of `config` that is wrong or names an agent that does not exist.
    pub fn new(registry: Registry, config: &Config, ids: Arc<dyn Ids>) -> Result<Self> {
        config.validate()?;
        for (field, agent) in config.agents_named() {
            if registry.agent(agent).is_none() {
                return Err(Error::invalid_request(format!("no agent is called `{agent}`")).param(field));
            }
        }
        Ok(Router { registry, config: config.clone(), ids })
    }

    /// What is known of agents and endpoints.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Everybody who answers `target`, whoever asks, and why; never nobody.
    fn find(&self, target: &Target) -> Result<(Vec<Candidate>, String)> {
        match target {
            Target::Name(name) => self.named(name),
            Target::TaskType(task_type) => self.mapped(task_type),
            Target::Capability(capability) => {
                let able: Vec<_> = self.registry.capable(capability).flat_map(candidates).collect();
                if able.is_empty() {
                    let why = format!(
                        "no agent can do `{capability}`; GET /agents or `maof agents` lists what they can"
                    );
                    return Err(Error::not_found(why).param("capability"));
                }
                Ok((able, format!("these agents can do `{capability}`, in the configured order")))
            }
        }
    }

    fn named(&self, name: &Name) -> Result<(Vec<Candidate>, String)> {
        if let Some(agent) = self.registry.agent(name) {
            return Ok((candidates(agent).collect(), format!("`{name}` is an agent")));
        }
        let Some(endpoint) = self.registry.endpoint(name) else {
            let why = format!(
                "no agent, endpoint or model is called `{name}`; GET /agents or `maof agents` lists them"
            );
            return Err(Error::not_found(why).param("model").code("model_not_found"));
        };
        // An endpoint that is asked by name answers as an agent of its own, so that grants cover it too.
        let itself = Candidate { agent: endpoint.clone(), endpoint: endpoint.clone(), instructions: None };
        Ok((vec![itself], format!("`{name}` names the endpoint `{endpoint}`")))
    }

    fn mapped(&self, task_type: &Name) -> Result<(Vec<Candidate>, String)> {
        let strategy = self.config.strategy;
        if strategy == Strategy::Capability {
            let able: Vec<_> = self.registry.capable(task_type).flat_map(candidates).collect();
            if !able.is_empty() {
                return Ok((able, format!("strategy capability: these agents can do `{task_type}`")));
            }
        }
        let strategy = strategy.as_str();
        let (agents, why) = match self.config.agent_map.get(task_type) {
            Some(agents) => {
                (agents, format!("strategy {strategy}: the agent map names them for `{task_type}`"))
            }
            None => (
                &self.config.default_agents,
                format!(
                    "strategy {strategy}: nobody is named for `{task_type}`, so the default agents answer"
                ),
            ),
        };
        let agents = agents.iter().filter_map(|agent| self.registry.agent(agent));
        let found: Vec<_> = agents.flat_map(candidates).collect();
        if found.is_empty() {
            let why = format!(
                "no agent is configured for the task type `{task_type}`; \
                 add it to `routing.agent_map`, or set `routing.default_agents`"
            );
            return Err(Error::not_found(why).param("task_type"));
        }
        Ok((found, why))
    }

    /// Those who may answer this caller, each endpoint once: to ask one again under another agent's name
    /// would only repeat its failure.
    fn permitted(
        &self,
        found: Vec<Candidate>,
        target: &Target,
        grant: &Grant,
        operation: Operation,
    ) -> Result<Vec<Candidate>> {
        let mut permitted: Vec<Candidate> = Vec::with_capacity(found.len());
        let mut allowed = false;
        for candidate in found.into_iter().filter(|candidate| grant.allows(candidate.agent.as_str())) {
            allowed = true;
            let twice = permitted.iter().any(|earlier| earlier.endpoint == candidate.endpoint);
            if !twice && self.registry.offers(&candidate.endpoint, operation) {
                permitted.push(candidate);
            }
        }
        if !allowed {
            let why = format!("you may use none of the agents that answer {target}; ask for a grant of one");
            return Err(Error::permission_denied(why).param(field(target)));
        }
        if permitted.is_empty() {
            let why = match operation {
                Operation::Chat => format!("no endpoint of {target} answers conversations (`chat`)"),
                Operation::Embed => format!("no endpoint of {target} embeds texts (`embed`)"),
                Operation::Image => format!("no endpoint of {target} makes pictures (`image`)"),
                Operation::Transcribe => format!("no endpoint of {target} writes down sound (`transcribe`)"),
                Operation::Speech => format!("no endpoint of {target} speaks (`speech`)"),
                Operation::CountTokens => format!("no endpoint of {target} counts tokens (`count_tokens`)"),
            };
            return Err(Error::invalid_request(why).param(field(target)));
        }
        Ok(permitted)
    }
}

impl Route for Router {
    fn decide(&self, call: &Call) -> Result<Decision> {
        let (found, why) = self.find(&call.target)?;
        let candidates = self.permitted(found, &call.target, &call.principal.grant, call.operation())?;
        Ok(Decision { id: DecisionId::from_uuid(self.ids.next()), candidates, why })
    }

    /// Learns nothing: the configured order stands.
    fn observe(&self, _: DecisionId, _: &Name, _: &End) {}
}

/// An agent's endpoints, in its order.
fn candidates(agent: &Agent) -> impl Iterator<Item = Candidate> {
    agent.endpoints.iter().map(|endpoint| Candidate {
        agent: agent.name.clone(),
        endpoint: endpoint.clone(),
        instructions: agent.instructions.clone(),
    })
}

/// The field of a request that says the target.
fn field(target: &Target) -> &'static str {
    match target {
        Target::Name(_) => "model",
        Target::TaskType(_) => "task_type",
        Target::Capability(_) => "capability",
    }
}

#[cfg(test)]
mod tests;
