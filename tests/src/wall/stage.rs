//! The programs of the wall: a real `maof-server`, and a `maof-upstream` that plays the faults.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use maof::Principal;
use maof_core::{Attempt, Ledger as _};
use maof_store::SqliteStore;
use maof_testkit::{Script, Stats};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::caller::{self, Raw};
use super::case::{Case, Line, PRICE, Speech};
use super::layers::Layer;
use crate::programs::{Program, last_words, log, program, said, word_after};

/// A case with the names that it has on the stage.
#[derive(Clone, Debug)]
pub struct Named {
    /// The agent, which callers name as the model; upstream models begin with it.
    pub name: String,
    /// The case.
    pub case: Case,
}

impl Named {
    /// The name of an upstream of it: its endpoint, and its model there.
    pub fn up(&self, at: usize) -> String {
        format!("{}-{}", self.name, char::from(b'a' + u8::try_from(at).unwrap_or(25)))
    }
}

/// The running programs.
#[derive(Debug)]
pub struct Stage {
    server: Program,
    _upstream: Program,
    /// Where the server listens.
    pub server_at: SocketAddr,
    /// Where the upstream listens.
    pub upstream_at: SocketAddr,
    /// An API key.
    pub key: String,
    dir: TempDir,
}

impl Stage {
    /// Starts both programs for these cases, the server with this change and `without` these layers.
    ///
    /// # Errors
    /// When a program is missing or does not become ready; then with its last words.
    pub async fn start(cases: &[Named], setting: Option<fn(&mut Value)>, without: &[Layer]) -> Result<Stage> {
        let dir = tempfile::tempdir()?;
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("script.json"), serde_json::to_vec(&script(cases))?)?;
        let upstream = program("maof-upstream")
            .arg("--script")
            .arg(format!("@{}", at("script.json").display()))
            .args(["--tls", &at("upstream.pem").display().to_string()])
            .stdout(log(&at("upstream.out"))?)
            .spawn();
        let upstream = Program::of(upstream.context("maof-upstream cannot be started; build it first")?);
        let ports = said(&at("upstream.out"), |text| Some(text.split_once('\n')?.0.to_owned())).await?;
        let ports = ports.split(' ').map(str::parse).collect::<Result<Vec<u16>, _>>()?;
        let [port, tls, deaf] = ports[..] else { bail!("the upstream says three ports, not {ports:?}") };
        let upstream_at = SocketAddr::from(([127, 0, 0, 1], port));

        let mut config = config(cases, [port, tls, deaf]);
        setting.into_iter().for_each(|change| change(&mut config));
        without.iter().for_each(|layer| (layer.change)(&mut config));
        // JSON is YAML.
        std::fs::write(at("maof.yaml"), serde_json::to_vec_pretty(&config)?)?;
        let server = program("maof-server")
            .current_dir(dir.path())
            .args(["--config", "maof.yaml", "--listen", "127.0.0.1:0", "--db", "maof.db"])
            .env("SSL_CERT_FILE", at("upstream.pem"))
            .stdout(Stdio::null())
            .stderr(log(&at("server.log"))?)
            .spawn();
        let server = Program::of(server.context("maof-server cannot be started; build it first")?);
        let listening = |text: &str| Some(word_after(text, "listening on http://")?.to_owned());
        let server_at = said(&at("server.log"), listening).await?.parse()?;
        let key =
            |text: &str| text.split_whitespace().find(|word| word.starts_with("maof_")).map(str::to_owned);
        let key = said(&at("server.log"), key).await?;
        Ok(Stage { server, _upstream: upstream, server_at, upstream_at, key, dir })
    }

    /// Whether the server says that it is ready, within two seconds.
    pub async fn is_healthy(&self) -> bool {
        let raw = caller::get(self.server_at, "/health/ready", Duration::from_secs(2)).await;
        raw.status == 200
    }

    /// The upstream's own counters.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn stats(&self) -> Result<Stats> {
        let Raw { body, .. } = caller::get(self.upstream_at, "/__stats", Duration::from_secs(5)).await;
        serde_json::from_slice(&body).context("the upstream's counters")
    }

    /// Waits until the upstream has no open request of the case; false if it keeps one for five seconds.
    pub async fn is_settled(&self, case: &Named) -> bool {
        for _ in 0..50 {
            if let Ok(stats) = self.stats().await {
                let ups = 0..case.case.ups.len();
                let open = |at| stats.by_model.get(&case.up(at)).map_or(0, |model| model.open);
                if ups.map(open).sum::<u64>() == 0 {
                    return true;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }

    /// The server's memory in KiB; 0 where the system does not tell.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most memory that the server has had since [`Stage::forget_peak`], in KiB.
    pub fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// The peak begins anew.
    pub fn forget_peak(&self) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.server.id()), "5");
    }

    fn status(&self, field: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap_or_default();
        word_after(&text, field).and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// A metric of the server, summed over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let raw = caller::get(self.server_at, "/metrics/prometheus", Duration::from_secs(5)).await;
        let text = String::from_utf8_lossy(&raw.body).into_owned();
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Stops the server as an operator would, and reads its ledger: the rows of each endpoint.
    ///
    /// # Errors
    /// When it does not end, or its ledger cannot be read.
    pub async fn finish(mut self) -> Result<BTreeMap<String, Vec<Attempt>>> {
        self.server.end(&self.last_words()).await?;
        let store = json!({"path": self.dir.path().join("maof.db")});
        let store = SqliteStore::open_shared(&serde_json::from_value(store)?).await?;
        let mut rows: BTreeMap<String, Vec<Attempt>> = BTreeMap::new();
        for attempt in store.attempts(&Principal::local().tenant, None, u32::MAX).await? {
            rows.entry(attempt.endpoint.to_string()).or_default().push(attempt);
        }
        Ok(rows)
    }

    /// The end of the server's log.
    pub fn last_words(&self) -> String {
        last_words(&self.dir.path().join("server.log"))
    }
}

/// Who does what, by model.
fn script(cases: &[Named]) -> Script {
    let mut script = Script::default();
    for case in cases {
        for (at, up) in case.case.ups.iter().enumerate() {
            script = script.model(&case.up(at), up.acts.iter().cloned());
        }
    }
    script
}

/// The server's configuration: its defaults, but that a stream may be silent for 9 s. `ports` are those of
/// [`Line::Plain`], [`Line::Tls`] and [`Line::Deaf`].
fn config(cases: &[Named], ports: [u16; 3]) -> Value {
    let [plain, tls, deaf] = ports;
    let lines = [
        (Line::Plain, format!("http://127.0.0.1:{plain}")),
        (Line::Tls, format!("https://localhost:{tls}")),
        (Line::Deaf, format!("http://127.0.0.1:{deaf}")),
    ];
    let mut providers = json!({});
    for speech in [Speech::Chat, Speech::Messages, Speech::Contents] {
        for (line, origin) in &lines {
            let path = if speech == Speech::Contents { "/v1beta" } else { "/v1" };
            providers[provider(speech, *line)] = json!({
                "profile": speech.profile(), "base_url": format!("{origin}{path}"), "api_key": "sk-of-the-wall",
                "idle_timeout_ms": 9_000,
            });
        }
    }
    let (mut endpoints, mut agents) = (Vec::new(), Vec::new());
    for case in cases {
        let ups = &case.case.ups;
        let names: Vec<String> = (0..ups.len()).map(|at| case.up(at)).collect();
        for (name, up) in names.iter().zip(ups) {
            let speech = up.speech.unwrap_or(case.case.way.upstream);
            let dollars = |nanos: i64| nanos as f64 / 1_000.0;
            endpoints.push(json!({
                "name": name, "model": name, "provider": provider(speech, up.line),
                "price": {"input": dollars(PRICE.0), "output": dollars(PRICE.1)},
            }));
        }
        agents.push(json!({"name": case.name, "endpoints": names}));
    }
    json!({"providers": providers, "endpoints": endpoints, "agents": agents, "resilience": {}})
}

/// The name of the provider that speaks so and is reached so.
fn provider(speech: Speech, line: Line) -> String {
    match line {
        Line::Plain => speech.profile().to_owned(),
        Line::Tls => format!("{}-tls", speech.profile()),
        Line::Deaf => format!("{}-deaf", speech.profile()),
    }
}
