//! Shows a configuration: its schema, and itself with secrets masked.

use super::Config;

impl Config {
    /// The JSON schema of configuration files.
    pub fn schema() -> String {
        let schema = schemars::schema_for!(Config);
        serde_json::to_string_pretty(&schema).unwrap_or_default()
    }

    /// The JSON schema of workflow files.
    pub fn workflow_schema() -> String {
        let schema = schemars::schema_for!(maof_engine::WorkflowSpec);
        serde_json::to_string_pretty(&schema).unwrap_or_default()
    }

    /// The configuration with every default, as JSON (which is YAML); secrets have no way into it.
    pub fn masked(&self) -> String {
        serde_json::to_string_pretty(&self.clone().complete()).unwrap_or_default()
    }

    /// In one line: how many of what.
    pub fn summary(&self) -> String {
        let complete = self.clone().complete();
        format!(
            "{} endpoints, {} agents, {} budgets, {} workflows",
            complete.endpoints.len(),
            complete.agents.len(),
            complete.budgets.len(),
            complete.workflows.len()
        )
    }
}
