//! Reads a configuration file with its environment, and fills in what is left out.

use std::path::Path;

use maof_core::{Error, Result};
use maof_engine::{StepSpec, WorkflowSpec};

use super::{AgentConfig, Config, EndpointConfig};
use crate::{input, yaml};

impl Config {
    /// Reads a configuration file. `${NAME}` is looked up in the environment, then in `.env` beside the
    /// file. Workflow files are found relative to it.
    ///
    /// # Errors
    /// `not_found` when there is no such file; `invalid_request` naming file, line and key.
    pub fn load(path: &Path) -> Result<Config> {
        let dir = path.parent().unwrap_or_else(|| Path::new("."));
        let mut variables = yaml::dotenv(&dir.join(".env"))?;
        variables.extend(std::env::vars());
        let mut config: Config = yaml::read(path, Some(&variables))?;
        for workflow in &mut config.workflows {
            *workflow = dir.join(&workflow);
        }
        let routing = &mut config.routing;
        let cascades = routing.cascade.iter_mut().map(|cascade| &mut cascade.model);
        let files = [&mut routing.learned.model, &mut routing.linear_thompson.outcomes];
        for file in files.into_iter().chain(cascades).flatten() {
            *file = dir.join(&file);
        }
        if let Some(prices) = &mut config.prices.file {
            *prices = dir.join(&prices);
        }
        config.check().map_err(|e| e.context(path.display()))?;
        Ok(config)
    }

    /// Reads configuration from text; `${NAME}` is looked up in the environment.
    ///
    /// # Errors
    /// `invalid_request` naming line and key.
    pub fn parse(text: &str) -> Result<Config> {
        let config: Config = yaml::parse(text, "configuration", Some(&std::env::vars().collect()))?;
        config.check()?;
        Ok(config)
    }

    /// The same configuration with every endpoint and agent that follows from it written out.
    #[must_use]
    pub fn complete(mut self) -> Config {
        if self.endpoints.is_empty() {
            self.endpoints = local_endpoints();
        }
        if self.agents.is_empty() {
            self.agents = self.endpoints.iter().map(agent_of).collect();
        }
        for agent in &mut self.agents {
            if agent.endpoints.is_empty() {
                agent.endpoints.push(agent.name.clone());
            }
        }
        self
    }

    /// The configured workflow files, read.
    ///
    /// # Errors
    /// As [`input::read_workflow`].
    pub fn read_workflows(&self) -> Result<Vec<WorkflowSpec>> {
        self.workflows.iter().map(|path| input::read_workflow(path)).collect()
    }

    /// The workflow with what is configured of its agents' failures, where it says nothing of them itself: a run keeps
    /// to what held when it was accepted.
    pub(crate) fn with_recoveries(&self, mut spec: WorkflowSpec) -> WorkflowSpec {
        for agent in self.agents.iter().filter(|agent| !agent.recovery.is_empty()) {
            let asks = |step: &StepSpec| {
                let named = step.agent.iter().chain(&step.parallel).chain(&step.on_error.fallback);
                named.into_iter().any(|name| *name == agent.name)
            };
            if spec.steps.iter().any(asks) {
                spec.recovery.entry(agent.name.clone()).or_insert_with(|| agent.recovery.clone());
            }
        }
        spec
    }
}

/// An agent that asks just this endpoint.
fn agent_of(endpoint: &EndpointConfig) -> AgentConfig {
    let local = endpoint.local.as_ref();
    let (description, capabilities) = local.map(|name| local_facts(name.as_str())).unwrap_or_default();
    AgentConfig {
        name: endpoint.name.clone(),
        description,
        endpoints: vec![endpoint.name.clone()],
        capabilities,
        instructions: None,
        output: None,
        recovery: Default::default(),
    }
}

#[cfg(feature = "local")]
fn local_facts(name: &str) -> (String, Vec<maof_core::Name>) {
    let Some(agent) = maof_local::find(name) else { return Default::default() };
    let capabilities = agent.capabilities.iter().filter_map(|c| maof_core::Name::new(c).ok());
    (agent.description.to_owned(), capabilities.collect())
}

#[cfg(not(feature = "local"))]
fn local_facts(_: &str) -> (String, Vec<maof_core::Name>) {
    Default::default()
}

#[cfg(feature = "local")]
fn local_endpoints() -> Vec<EndpointConfig> {
    let named = maof_local::agents().iter().filter_map(|agent| maof_core::Name::new(agent.name).ok());
    named
        .map(|name| EndpointConfig {
            local: Some(name.clone()),
            name,
            provider: None,
            service: None,
            cursor: None,
            model: None,
            operations: super::chat_only(),
            price: None,
            context: None,
            max_output: super::default_max_output(),
            resilience: None,
        })
        .collect()
}

#[cfg(not(feature = "local"))]
fn local_endpoints() -> Vec<EndpointConfig> {
    Vec::new()
}

/// The error of something that is named but not there, with the nearest name.
pub(super) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    param: String,
) -> Error {
    let hint = match yaml::nearest(name, known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    };
    Error::invalid_request(format!("there is no {what} called `{name}`{hint}")).param(param)
}
