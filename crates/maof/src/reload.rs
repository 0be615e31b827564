//! Another configuration while MAOF runs: read again, checked as a whole, then put in place at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use maof_core::{Error, Name, Principal, Result, Role};
use maof_engine::Workflow;
use serde::Serialize;
use serde_json::Value;

use crate::config::Config;
use crate::handle::Maof;
use crate::live::Live;

/// Where a configuration is read again.
pub(crate) struct Source(pub(crate) Box<dyn Fn() -> Result<Config> + Send + Sync>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// Endpoints. One that `changed` begins anew where another upstream or other protections stand behind its name now; with
    /// another price it only charges otherwise.
    pub endpoints: Changes,
    /// Agents.
    pub agents: Changes,
    /// What else holds otherwise from now on, by its key.
    pub settings: Vec<String>,
    /// Keys that differ from what the process runs with and hold only once it is started again.
    pub needs_restart: Vec<String>,
    /// Calls that were under way at endpoints that are gone or were replaced, which end there.
    pub draining: BTreeMap<Name, u32>,
    /// What is legal but surely not meant.
    pub warnings: Vec<String>,
}

/// What came, went and is otherwise, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// That were not there before.
    pub added: Vec<Name>,
    /// That are not there any more.
    pub removed: Vec<Name>,
    /// That are otherwise than before.
    pub changed: Vec<Name>,
}

impl Changes {
    fn of<'a>(
        before: impl Iterator<Item = &'a Name> + Clone,
        now: impl Iterator<Item = &'a Name> + Clone,
        is_same: impl Fn(&Name) -> bool,
    ) -> Changes {
        let had = |name: &&Name| before.clone().any(|one| one == *name);
        let has = |name: &&Name| now.clone().any(|one| one == *name);
        let stayed = now.clone().filter(had);
        Changes {
            added: now.clone().filter(|name| !had(name)).cloned().collect(),
            removed: before.clone().filter(|name| !has(name)).cloned().collect(),
            changed: stayed.filter(|name| !is_same(name)).cloned().collect(),
        }
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{} -{} ~{}", self.added.len(), self.removed.len(), self.changed.len())
    }
}

impl Maof {
    /// Reads the configuration again from where it came ([`crate::Builder::reloads`]) and goes on with it. It is checked as a
    /// whole before anything changes. Calls that are under way end where they are; endpoints that stay keep their
    /// connections, breakers and limits, and what is known of them and was learned is kept. Runs go on with the workflow that
    /// they were accepted with. What cannot change while it runs is named in what is given back, and stays as it is.
    ///
    /// # Errors
    /// `permission_denied` unless the principal is an admin; `not_found` where it came from nowhere; `invalid_request` naming
    /// the key that is wrong: then everything stays as it is.
    pub async fn reload(&self, principal: &Principal) -> Result<Reloaded> {
        if !principal.is(Role::Admin) {
            return Err(Error::permission_denied("only an admin may reload the configuration"));
        }
        // Files are read and certificates parsed, for which no other call should wait.
        let maof = self.clone();
        let work = tokio::task::spawn_blocking(move || maof.reload_now());
        let done = work.await.map_err(|e| Error::internal("the reload was cut off").because(e))?;
        let (subject, outcome) = match &done {
            Ok(done) => (format!("endpoints {}, agents {}", done.endpoints, done.agents), "ok"),
            Err(error) => (error.field().unwrap_or_default().to_owned(), error.kind().as_str()),
        };
        match &done {
            Ok(done) => tracing::info!(
                endpoints = %done.endpoints,
                agents = %done.agents,
                settings = ?done.settings,
                needs_restart = ?done.needs_restart,
                "the configuration was reloaded"
            ),
            Err(error) => {
                tracing::error!(error = ?error, "the configuration was not reloaded: all stays as it is")
            }
        }
        self.note_outcome(principal, "config.reload", subject, outcome);
        done
    }

    /// Whether there is a configuration to read again.
    pub fn can_reload(&self) -> bool {
        self.inner.source.is_some()
    }

    fn reload_now(&self) -> Result<Reloaded> {
        let Some(source) = &self.inner.source else {
            let why = "this process was started without a configuration file: there is nothing to read again";
            return Err(Error::not_found(why));
        };
        let mut configured = self.inner.configured.lock();
        let before = self.live();
        let (config, needs_restart) = self.as_it_can_be((source.0)()?.complete(), &before);
        let warnings = config.check()?;
        let specs = config.read_workflows()?;
        let next = Arc::new(Live::new(&self.inner.ground, config, &specs, Some(&before))?);
        let compiled = specs.into_iter().map(|spec| {
            let spec = next.config.with_recoveries(spec);
            crate::config::compile(spec, next.agent_names(), &next.config.structured).map(Arc::new)
        });
        let workflows: Vec<Arc<Workflow>> = compiled.collect::<Result<_>>()?;
        let told = told(&before, &next, needs_restart, warnings);
        // From here on nothing fails.
        next.begin(&self.inner.ground, Some(&before));
        Arc::clone(&next).put(&self.inner.live);
        self.serve_workflows(&mut configured, workflows);
        Ok(told)
    }

    /// The configuration with what cannot change as it is, and the keys of that.
    fn as_it_can_be(&self, mut config: Config, before: &Live) -> (Config, Vec<String>) {
        let (was, mut differ) = (&before.config, Vec::new());
        macro_rules! keep {
            ($($key:ident).+) => {
                differing(stringify!($($key).+), &json(&was.$($key).+), &json(&config.$($key).+), &mut differ);
                config.$($key).+ = was.$($key).+.clone();
            };
        }
        keep!(server);
        keep!(store);
        keep!(ledger);
        keep!(tiers);
        keep!(engine);
        keep!(log);
        keep!(cache);
        keep!(resilience.retry_budget);
        keep!(resilience.load_shed);
        keep!(resilience.hedge);
        keep!(resilience.single_flight);
        // What learns already learns on as it was told to.
        if before.route.learned_model().is_some() {
            keep!(routing.learned);
        }
        if before.route.learned_state().is_some() {
            keep!(routing.thompson);
        }
        if before.route.linear_state().is_some() {
            keep!(routing.linear_thompson);
        }
        (config, differ.into_iter().map(|key: String| key.replace(' ', "")).collect())
    }

    /// Makes these the configured workflows: of those that were before, the ones that are not among them take no further tasks.
    pub(crate) fn serve_workflows(&self, configured: &mut Vec<Name>, workflows: Vec<Arc<Workflow>>) {
        let names: Vec<Name> = workflows.iter().map(|workflow| workflow.name.clone()).collect();
        {
            let mut known = self.inner.workflows.write();
            for gone in configured.iter().filter(|name| !names.contains(name)) {
                known.remove(gone);
            }
        }
        *configured = names;
        for workflow in workflows {
            self.add_workflow(workflow);
        }
    }
}

/// What the next one changes.
fn told(before: &Live, next: &Live, needs_restart: Vec<String>, warnings: Vec<String>) -> Reloaded {
    let (was, is) = (&before.config, &next.config);
    fn names(live: &Live) -> impl Iterator<Item = &Name> + Clone {
        live.endpoints.iter().map(|endpoint| &endpoint.card().name)
    }
    let same_agent = |name: &Name| {
        let [was, is] = [was, is].map(|config| config.agents.iter().find(|agent| agent.name == *name));
        was == is
    };
    let endpoints = Changes::of(names(before), names(next), |name| next.is_same(before, name));
    let agents = Changes::of(
        before.agents.iter().map(|agent| &agent.name),
        next.agents.iter().map(|agent| &agent.name),
        same_agent,
    );
    let mut settings = Vec::new();
    for (key, was, is) in [
        ("aliases", json(&was.aliases), json(&is.aliases)),
        ("routing", json(&was.routing), json(&is.routing)),
        ("budgets", json(&was.budgets), json(&is.budgets)),
        ("alerts", json(&was.alerts), json(&is.alerts)),
        ("prices", json(&was.prices), json(&is.prices)),
        ("resilience", json(&was.resilience), json(&is.resilience)),
        ("structured", json(&was.structured), json(&is.structured)),
        ("workflows", json(&was.workflows), json(&is.workflows)),
    ] {
        differing(key, &was, &is, &mut settings);
    }
    let providers =
        was.providers.keys().chain(is.providers.keys().filter(|p| !was.providers.contains_key(*p)));
    let otherwise = providers.filter(|provider| was.providers.get(*provider) != is.providers.get(*provider));
    settings.extend(otherwise.map(|provider| format!("providers.{provider}")));
    let went = names(before).filter(|name| !next.stay.contains(*name));
    let under_way = went.filter_map(|name| Some((name.clone(), before.route.in_flight(name).ok()?)));
    let draining = under_way.filter(|(_, calls)| *calls > 0).collect();
    Reloaded { endpoints, agents, settings, needs_restart, draining, warnings }
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// The keys below `at` whose values are not the same; secrets are not among them.
fn differing(at: &str, was: &Value, is: &Value, found: &mut Vec<String>) {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            for key in was.keys().chain(is.keys().filter(|key| !was.contains_key(*key))) {
                let [was, is] = [was, is].map(|map| map.get(key).unwrap_or(&Value::Null));
                differing(&format!("{at}.{key}"), was, is, found);
            }
        }
        _ if was != is => found.push(at.to_owned()),
        _ => {}
    }
}
