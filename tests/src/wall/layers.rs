//! Layers that can be taken away, one at a time, and the rows that turn red without them.
//!
//! A layer is taken away by configuration: it is set so that it never acts. That shows the same as a build
//! without it would. A new layer is one entry in [`LAYERS`].

use serde_json::{Value, json};

/// A layer, and how it is taken away.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// Its name.
    pub name: &'static str,
    /// What it is set to.
    pub change: fn(&mut Value),
    /// Rows of which at least one turns red.
    pub guards: &'static [&'static str],
}

/// A day, in milliseconds: as good as never.
const NEVER: u64 = 86_400_000;

/// Every layer that can be taken away.
pub const LAYERS: [Layer; 15] = [
    layer("retry", |config| config["resilience"]["retry"]["max_attempts"] = json!(1), &["F01", "F03"]),
    layer("retry_budget", |config| config["resilience"]["retry_budget"] = Value::Null, &["budget"]),
    layer(
        "breaker",
        |config| config["resilience"]["circuit_breaker"]["failure_threshold"] = json!(1_000_000),
        &["F15"],
    ),
    layer("connect", |config| providers(config, "connect_timeout_ms", &json!(NEVER)), &["connect"]),
    layer("headers", |config| providers(config, "headers_timeout_ms", &Value::Null), &["dribble"]),
    layer("first_token", |config| timeout(config, "first_token_ms"), &["F07"]),
    layer("idle", |config| providers(config, "idle_timeout_ms", &json!(NEVER)), &["F09"]),
    layer(
        "attempt",
        |config| ["total_ms", "attempt_ms"].into_iter().for_each(|limit| timeout(config, limit)),
        &["F06"],
    ),
    layer("total", |config| timeout(config, "total_ms"), &["total"]),
    layer("fallback", first_endpoints, &["F04", "F16"]),
    layer("bulkhead", |config| config["resilience"]["bulkhead"] = Value::Null, &["bulkhead"]),
    layer("rate_limit", |config| config["resilience"]["rate_limit"] = Value::Null, &["rate"]),
    layer("load_shed", |config| config["resilience"]["load_shed"] = Value::Null, &["shed"]),
    layer("single_flight", |config| config["resilience"]["single_flight"] = Value::Null, &["alike"]),
    layer("bounds", unbounded, &["100mib"]),
];

const fn layer(name: &'static str, change: fn(&mut Value), guards: &'static [&'static str]) -> Layer {
    Layer { name, change, guards }
}

/// Takes a time limit away.
fn timeout(config: &mut Value, limit: &str) {
    config["resilience"]["timeout"][limit] = json!(NEVER);
}

/// Leaves each agent its first endpoint.
fn first_endpoints(config: &mut Value) {
    for agent in config["agents"].as_array_mut().into_iter().flatten() {
        agent["endpoints"].as_array_mut().into_iter().for_each(|endpoints| endpoints.truncate(1));
    }
}

fn unbounded(config: &mut Value) {
    providers(config, "max_reply_bytes", &json!(1_u64 << 40));
    providers(config, "max_frame_bytes", &json!(1_u64 << 40));
}

/// Sets a key of every provider.
pub(super) fn providers(config: &mut Value, key: &str, value: &Value) {
    for provider in config["providers"].as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
        provider[key] = value.clone();
    }
}

/// The layer of this name.
///
/// # Errors
/// When there is none.
pub fn find(name: &str) -> anyhow::Result<Layer> {
    LAYERS.into_iter().find(|layer| layer.name == name).ok_or_else(|| {
        let known = LAYERS.map(|layer| layer.name).join(", ");
        anyhow::anyhow!("there is no layer `{name}` to take away; there are {known}")
    })
}
