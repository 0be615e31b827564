//! The local model's server, and what it says of itself: a second opinion on what MAOF writes down.

use std::time::Duration;

use maof_core::{Attempt, ErrorKind, Money, Unit, Usage};
use maof_tests::served::Server;
use reqwest::Client;

/// How long to wait for what happens at once on a machine that is not busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The dialects that the server speaks, by the names of the endpoints in front of it, with their profiles.
pub(crate) const UPSTREAMS: [(&str, &str); 3] =
    [("chat", "llamacpp"), ("responses", "openai_responses"), ("messages", "anthropic")];

/// The server of the model.
pub(crate) struct Model {
    url: String,
    client: Client,
}

impl Model {
    /// The server that is running, and a server of ours in front of it, with more configuration.
    pub(crate) async fn served(more: &str) -> (Model, Server) {
        let Ok(url) = std::env::var("MAOF_TEST_MODEL_URL") else {
            panic!(
                "MAOF_TEST_MODEL_URL is not set: run `scripts/model`, which serves a model and then runs these tests"
            );
        };
        let wait = 3_600_000;
        let mut config = format!(
            "resilience: {{timeout: {{attempt_ms: {wait}, total_ms: {wait}}}}}\n{more}\nproviders:\n"
        );
        for (name, profile) in UPSTREAMS {
            config += &format!(
                "  {name}: {{profile: {profile}, base_url: '{url}/v1', api_key: none, idle_timeout_ms: {wait}}}\n"
            );
        }
        config += "endpoints:\n";
        for (name, _) in UPSTREAMS {
            let operations = if name == "chat" { "[chat, embed]" } else { "[chat]" };
            config += &format!(
                "  - {{name: {name}, provider: {name}, model: smollm2, operations: {operations}, \
                   price: {{input: 1, cached_input: 0.5, output: 2}}}}\n"
            );
        }
        let server = Server::start(&config).await;
        (Model { url, client: server.client.clone() }, server)
    }

    /// Input tokens, those of them that were cached, and output tokens: all that the server has counted so far.
    pub(crate) async fn counted(&self) -> [u64; 3] {
        let metrics = self.metrics().await;
        let [fresh, cached, output] = ["prompt_tokens", "prompt_tokens_cached", "tokens_predicted"]
            .map(|name| gauge(&metrics, &format!("llamacpp:{name}_total ")));
        [fresh + cached, cached, output]
    }

    /// What the server has counted since then.
    pub(crate) async fn counted_since(&self, before: [u64; 3]) -> [u64; 3] {
        let now = self.counted().await;
        [0, 1, 2].map(|at| now[at] - before[at])
    }

    /// Waits until the server answers just this many callers.
    pub(crate) async fn until_busy_with(&self, callers: u64) {
        until(async || gauge(&self.metrics().await, "llamacpp:requests_processing ") == callers).await;
    }

    async fn metrics(&self) -> String {
        self.client.get(format!("{}/metrics", self.url)).send().await.unwrap().text().await.unwrap()
    }
}

fn gauge(metrics: &str, name: &str) -> u64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name));
    value.unwrap_or_else(|| panic!("no {name} in\n{metrics}")).parse().unwrap()
}

/// Waits for what is true soon.
async fn until(mut is: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("in vain");
}

/// The ledger's rows of requests that reached the model, newest first, once there are this many.
pub(crate) async fn rows(server: &Server, many: usize) -> Vec<Attempt> {
    let tenant = server.maof.authenticate(&server.key).unwrap().tenant.clone();
    let mut rows = Vec::new();
    until(async || {
        server.maof.ledger().flush().await.unwrap();
        rows = server.maof.ledger().attempts(&tenant, None, 1000).await.unwrap();
        rows.retain(|row| !is_lost(row));
        rows.len() >= many
    })
    .await;
    assert_eq!(rows.len(), many, "{rows:?}");
    rows
}

/// The server hangs up after each stream without having said so. A request that is sent at that very moment is lost,
/// costs nothing, and is tried again.
fn is_lost(row: &Attempt) -> bool {
    row.failure.as_ref().is_some_and(|failure| failure.kind == ErrorKind::Unavailable)
        && row.cost == Money::ZERO
}

/// Input tokens, those of them that were cached, and output tokens.
pub(crate) fn counts(usage: &Usage) -> [u64; 3] {
    [usage.input_tokens(), usage.get(Unit::CachedInput), usage.output_tokens()]
}

/// What that costs at the prices above, in nano-dollars: a dollar a million is a thousand each.
pub(crate) fn nanos([input, cached, output]: [u64; 3]) -> i64 {
    i64::try_from((input - cached) * 1_000 + cached * 500 + output * 2_000).unwrap()
}
