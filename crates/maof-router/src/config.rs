//! What can be set of routing: the strategy, and which agents answer which type of task.

use std::collections::BTreeMap;

use maof_core::{Error, Name, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who answers what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How the agents for a type of task are found. Default `priority`.
    pub strategy: Strategy,
    /// The agents for each type of task, most preferred first. Default: none.
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    pub agent_map: BTreeMap<Name, Vec<Name>>,
    /// The agents for every other type of task, most preferred first. Default: none, so that an unknown type
    /// is refused.
    #[schemars(with = "Vec<String>")]
    pub default_agents: Vec<Name>,
}

/// How the agents for a type of task are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Those that `agent_map` names for it, else `default_agents`; in that order.
    #[default]
    Priority,
    /// Those that have a capability of the type's name, in the order in which they are configured; where
    /// nobody has it, as `priority`.
    Capability,
}

impl Strategy {
    /// The strategy's name, as in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Capability => "capability",
        }
    }
}

impl Config {
    /// The types of tasks that have agents of their own.
    pub fn task_types(&self) -> impl Iterator<Item = &Name> {
        self.agent_map.keys()
    }

    /// Every agent that is named, with the field that names it, such as `agent_map.summary[0]`.
    pub fn agents_named(&self) -> impl Iterator<Item = (String, &Name)> {
        let mapped = self.agent_map.iter().flat_map(|(task_type, agents)| {
            let field = move |(i, agent)| (format!("agent_map.{task_type}[{i}]"), agent);
            agents.iter().enumerate().map(field)
        });
        let default = self.default_agents.iter().enumerate();
        mapped.chain(default.map(|(i, agent)| (format!("default_agents[{i}]"), agent)))
    }

    /// Checks the settings, but not whether the agents exist; [`crate::Router::new`] does.
    ///
    /// # Errors
    /// `invalid_request` naming the field.
    pub fn validate(&self) -> Result<()> {
        for (task_type, agents) in &self.agent_map {
            if agents.is_empty() {
                let why = "names no agent; name at least one, or leave the task type away";
                return Err(Error::invalid_request(why).param(format!("agent_map.{task_type}")));
            }
            no_duplicates(agents, &format!("agent_map.{task_type}"))?;
        }
        no_duplicates(&self.default_agents, "default_agents")
    }
}

/// Refuses a list that names something twice.
pub(crate) fn no_duplicates(names: &[Name], field: &str) -> Result<()> {
    let twice = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name));
    match twice {
        None => Ok(()),
        Some((i, name)) => {
            Err(Error::invalid_request(format!("`{name}` is listed twice")).param(format!("{field}[{i}]")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: Result<(), &str>) {
        let config: Config = serde_json::from_str(json).unwrap();
        let found = config.validate();
        assert_eq!(found.as_ref().map_err(|e| e.field().unwrap()), expect.as_ref().map_err(|f| *f));
    }

    #[test]
    fn a_wrong_setting_is_refused_by_name() {
        check("{}", Ok(()));
        check(r#"{"strategy":"capability","agent_map":{"a":["x","y"],"b":["x"]}}"#, Ok(()));
        check(r#"{"agent_map":{"a":[]}}"#, Err("agent_map.a"));
        check(r#"{"agent_map":{"a":["x","y","x"]}}"#, Err("agent_map.a[2]"));
        check(r#"{"default_agents":["x","x"]}"#, Err("default_agents[1]"));
    }

    #[test]
    fn an_unknown_field_or_strategy_is_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"agents":{}}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"strategy":"luck"}"#).is_err());
    }

    #[test]
    fn every_named_agent_is_told_with_its_field() {
        let config: Config =
            serde_json::from_str(r#"{"agent_map":{"a":["x","y"]},"default_agents":["z"]}"#).unwrap();
        let named: Vec<_> = config.agents_named().map(|(field, agent)| format!("{field}={agent}")).collect();
        assert_eq!(named, ["agent_map.a[0]=x", "agent_map.a[1]=y", "default_agents[0]=z"]);
        assert_eq!(config.task_types().map(Name::as_str).collect::<Vec<_>>(), ["a"]);
    }
}
