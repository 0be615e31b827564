//! The whole path, with endpoints that do what they are told: what a hedge costs, and that all of it is given back.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use maof_core::{Account, Body, ChatRequest, Measure, Principal, Target, Tariff, Unit, Window};
use maof_resilience::hedge;
use maof_router::{Agent, Offer, Ports, Registry, Router};
use maof_store::MemoryStore;
use maof_testkit::{Play, ScriptedEndpoint};
use parking_lot::Mutex;

use super::*;
use crate::lasting::survival;
use crate::system::{SystemClock, SystemIds, SystemRandom};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Who was asked beside whom, and how requests ended.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<String>>);

impl Observe for Log {
    fn on(&self, signal: Signal<'_>) {
        match signal {
            Signal::Hedged { from, to } => self.0.lock().push(format!("{from} & {to}")),
            Signal::AttemptEnded { endpoint, error, cost, .. } => {
                let how = error.map_or("complete", |kind| kind.as_str());
                let paid = if cost > maof_core::Money::ZERO { "paid" } else { "free" };
                self.0.lock().push(format!("{endpoint} {how} {paid}"));
            }
            _ => {}
        }
    }
}

struct House {
    calls: CallService,
    store: Arc<MemoryStore>,
    log: Arc<Log>,
    endpoints: Vec<Arc<ScriptedEndpoint>>,
}

/// An agent over two endpoints at a dollar for a million tokens. Every second call may hedge.
fn house(first: ScriptedEndpoint, second: ScriptedEndpoint) -> House {
    let tariff = Tariff::default().with(Unit::Input, 1_000_000_000).with(Unit::Output, 1_000_000_000);
    let endpoints = [first, second].map(|endpoint| Arc::new(endpoint.tariff(tariff)));
    let agent = Agent { endpoints: vec![name("a"), name("b")], ..Agent::new(name("both")) };
    let offer =
        |endpoint: &Arc<ScriptedEndpoint>| (endpoint.card().name.clone(), Offer::from(endpoint.card()));
    let offers = endpoints.iter().map(offer).collect();
    let registry = Registry::new(vec![agent], offers, HashMap::new()).unwrap();
    let ports = Ports {
        ids: Arc::new(SystemIds),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom::default()),
        node: name("node"),
    };
    let (store, log) = (Arc::new(MemoryStore::default()), Arc::new(Log::default()));
    let budget = r#"[{"account": "tenant", "limit_usd": 1}]"#;
    let hedge = hedge::Config { percent: 50, minimum_calls: 2, ..hedge::Config::default() };
    let (clock, observe) = (Arc::new(SystemClock) as Arc<dyn Clock>, Arc::clone(&log) as Arc<dyn Observe>);
    let resilience = maof_resilience::Config { hedge: Some(hedge), ..maof_resilience::Config::default() };
    let lasting = Arc::new(Lasting::new(&resilience, None, &clock, &observe));
    let protection = |endpoint| {
        let survival = survival(&resilience, &name("scripted"), None, true).unwrap();
        (name(endpoint), Protection::new(survival, &name(endpoint), &lasting))
    };
    let hedges = lasting.hedges([name("a"), name("b")]).unwrap();
    let parts = Parts {
        after_first_byte: resilience.after_first_byte,
        protections: ["a", "b"].map(protection).into(),
        hedges: Some(hedges),
        lasting: Arc::clone(&lasting),
        cache: None,
        epoch: 0,
        priced: HashMap::new(),
        outputs: Arc::new(maof_structured::Outputs::new(&Default::default(), []).unwrap()),
        limits: Arc::new(maof_budget::Limits::new(&serde_json::from_str::<Vec<_>>(budget).unwrap()).unwrap()),
        ledger: store.clone(),
        audit: store.clone(),
        route: Arc::new(Router::new(registry, &Default::default(), None, ports).unwrap()),
        clock,
        random: Arc::new(SystemRandom::default()),
        ids: Arc::new(SystemIds),
        observe,
        routing: Default::default(),
        cascades: Vec::new(),
        alerts: Arc::new(maof_budget::Alerts::new(&Default::default(), |_| {})),
        tracker: Default::default(),
    };
    let as_ports: Vec<Arc<dyn Endpoint>> =
        endpoints.iter().map(|e| Arc::clone(e) as Arc<dyn Endpoint>).collect();
    House { calls: super::call(&parts, &as_ports).unwrap(), store, log, endpoints: endpoints.into() }
}

impl House {
    /// Asks for a stream, and reads it to its end.
    async fn ask(&self) -> String {
        let id = maof_core::CallId::from_uuid(maof_core::Ids::next(&SystemIds));
        let body = Body::from(ChatRequest::user("hello there"));
        let mut call = Call::new(id, Target::Name(name("both")), Principal::local(), body);
        call.stream = true;
        let reply = tower::ServiceExt::oneshot(self.calls.clone(), call).await.unwrap();
        let endpoint = reply.head.chosen.as_ref().unwrap().endpoint.to_string();
        reply.collect().await.unwrap();
        endpoint
    }

    async fn balance(&self) -> maof_core::budget::Balance {
        let account = Account {
            tenant: name("local"),
            name: name("tenant"),
            measure: Measure::Money,
            window: Window::Total,
        };
        self.store.balance(&account, SystemClock.now()).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn the_loser_of_a_hedge_is_cancelled_written_down_and_holds_nothing() {
    let quick = |n| (0..n).fold(ScriptedEndpoint::new("a"), |endpoint, _| endpoint.then(Play::Echo));
    let slow = Play::After(Duration::from_secs(60), Box::new(Play::Echo));
    let house = house(quick(4).then(slow), ScriptedEndpoint::new("b"));
    for _ in 0..4 {
        assert_eq!(house.ask().await, "a");
    }
    house.log.0.lock().clear();
    let began = SystemClock.instant();
    assert_eq!(house.ask().await, "b");
    assert!(SystemClock.instant().duration_since(began) < Duration::from_secs(1));
    // What the loser was asked is estimated and paid, since its provider may bill it.
    assert_eq!(*house.log.0.lock(), ["a & b", "a cancelled paid", "b complete paid"]);
    let counts: Vec<_> =
        house.endpoints.iter().map(|e| (e.counts().calls, e.counts().dropped, e.counts().open)).collect();
    assert_eq!(counts, [(5, 1, 0), (1, 0, 0)]);
    let rows = house.store.attempts(&name("local"), None, 100).await.unwrap();
    let paid: i64 = rows.iter().map(|row| row.cost.nanos()).sum();
    let balance = house.balance().await;
    assert_eq!((rows.len(), balance.held, balance.spent), (6, 0, paid));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_in_the_middle_of_a_hedge_leaves_nothing_held() {
    let first = ScriptedEndpoint::new("a").then(Play::Echo).then(Play::Echo).otherwise(Play::Hang);
    let house = house(first, ScriptedEndpoint::new("b").otherwise(Play::Hang));
    for _ in 0..2 {
        house.ask().await;
    }
    house.log.0.lock().clear();
    assert!(tokio::time::timeout(Duration::from_secs(1), house.ask()).await.is_err());
    let mut log = house.log.0.lock().clone();
    log.sort();
    assert_eq!(log, ["a & b", "a cancelled paid", "b cancelled paid"]);
    assert_eq!(house.balance().await.held, 0);
}
