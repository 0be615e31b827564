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
pub const LAYERS: [Layer; 6] = [
    Layer {
        name: "retry",
        change: |config| config["resilience"]["retry"]["max_attempts"] = json!(1),
        guards: &["F01", "F03"],
    },
    Layer {
        name: "breaker",
        change: |config| config["resilience"]["circuit_breaker"]["failure_threshold"] = json!(1_000_000),
        guards: &["F15"],
    },
    Layer {
        name: "timeout",
        change: |config| {
            config["resilience"]["timeout"] = json!({"attempt_ms": NEVER, "total_ms": NEVER});
        },
        guards: &["F06", "F07"],
    },
    Layer {
        name: "idle",
        change: |config| providers(config, "idle_timeout_ms", &json!(NEVER)),
        guards: &["F09"],
    },
    Layer {
        name: "fallback",
        change: |config| {
            for agent in config["agents"].as_array_mut().into_iter().flatten() {
                agent["endpoints"].as_array_mut().into_iter().for_each(|endpoints| endpoints.truncate(1));
            }
        },
        guards: &["F04", "F16"],
    },
    Layer {
        name: "bounds",
        change: |config| {
            providers(config, "max_reply_bytes", &json!(1_u64 << 40));
            providers(config, "max_frame_bytes", &json!(1_u64 << 40));
        },
        guards: &["100mib"],
    },
];

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
