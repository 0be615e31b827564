//! What a decision of the live router costs: each classical strategy over 100 endpoints, of which every one has calls
//! behind it; the learned ones over nine; and what it costs to hear of an end, and to learn from feedback.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark's own program")]

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use maof::{SystemClock, SystemIds};
use maof_benches::CpuTime;
use maof_core::{
    Body, Call, CallId, Candidate, ChatRequest, DecisionId, End, Name, Observed, Operation, Outcome,
    Principal, Random as _, Route as _, Target, Tariff, Unit,
};
use maof_router::learned::{Model, Outcome as Recorded, Seeded, Training};
use maof_router::{Agent, Offer, Ports, Registry, Router};
use serde_json::{Value, json};

/// What the programs that are shipped allocate with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Ten agents over as many endpoints each as make `endpoints`.
fn router(endpoints: usize, agents: usize, routing: Value, model: Option<Model>) -> Router {
    let all: Vec<Name> = (0..endpoints).map(|n| name(&format!("endpoint-{n}"))).collect();
    let agent = |(n, own): (usize, &[Name])| Agent {
        endpoints: own.to_vec(),
        ..Agent::new(name(&format!("agent-{n}")))
    };
    let agents: Vec<Agent> = all.chunks(endpoints / agents).enumerate().map(agent).collect();
    let offer = |(n, name): (usize, &Name)| {
        let tariff = Tariff::default().with(Unit::Input, 1_000_000 * (n as u64 % 7 + 1));
        (name.clone(), Offer { operations: vec![Operation::Chat], tariff, context: None })
    };
    let offers: HashMap<Name, Offer> = all.iter().enumerate().map(offer).collect();
    let mut config = json!({"default_agents": agents.iter().map(|agent| &agent.name).collect::<Vec<_>>()});
    for (key, value) in routing.as_object().unwrap() {
        config[key] = value.clone();
    }
    let registry = Registry::new(agents, offers, HashMap::new()).unwrap();
    let ports = Ports {
        ids: Arc::new(SystemIds),
        clock: Arc::new(SystemClock),
        random: Arc::new(Seeded::new(1)),
        node: name("node"),
    };
    let router = Router::new(registry, &serde_json::from_value(config).unwrap(), model, ports).unwrap();
    for (n, endpoint) in all.iter().enumerate() {
        router.asked(endpoint);
        let candidate = Candidate { agent: name("any"), endpoint: endpoint.clone(), instructions: None };
        let (waited, end) = (Duration::from_millis(100 + n as u64 * 7 % 90), End::of(Outcome::Complete));
        let decision = DecisionId::from_uuid(Default::default());
        router.observe(Observed { decision, candidate: &candidate, waited, end: &end });
    }
    router
}

fn call(text: String) -> Call {
    let body = Body::from(ChatRequest::user(text));
    let id = CallId::from_uuid(Default::default());
    Call::new(id, Target::TaskType(name("any")), Principal::local(), body)
}

fn prompts(count: usize) -> Vec<String> {
    let random = Seeded::new(1);
    let prompt = |_| {
        let mut text = String::from("Which of these is right?");
        while text.len() < 320 {
            text += &format!(" w{}", random.below(random.below(20_000) + 1));
        }
        text
    };
    (0..count).map(prompt).collect()
}

fn classical(c: &mut Criterion<CpuTime>) {
    let tiers = json!([{"up_to": 0.3, "agents": ["agent-0", "agent-1"]}, {"agents": ["agent-2"]}]);
    let tags = json!([{"tag": "team", "agents": ["agent-1"]}]);
    let strategies = [
        ("priority", json!({})),
        ("weighted", json!({"strategy": "weighted", "weights": {"agent-0": 3}})),
        ("round robin", json!({"strategy": "round_robin"})),
        ("least busy", json!({"strategy": "least_busy"})),
        ("latency", json!({"strategy": "latency"})),
        ("cheapest", json!({"strategy": "cheapest"})),
        ("performance", json!({"strategy": "performance"})),
        ("complexity", json!({"strategy": "complexity", "tiers": tiers})),
        ("sticky", json!({"strategy": "sticky"})),
        (
            "tags and context, complexity, cheapest, least busy",
            json!({"strategy": {"filter": ["tags", "context"], "rank": ["complexity", "cheapest"], "spread": "least_busy"},
                "tiers": tiers, "tags": tags}),
        ),
    ];
    let call = call(prompts(1).remove(0));
    let mut group = c.benchmark_group("decide among 100 endpoints");
    group.throughput(Throughput::Elements(1));
    for (strategy, config) in strategies {
        let router = router(100, 10, config, None);
        group.bench_function(BenchmarkId::from_parameter(strategy), |b| {
            b.iter(|| black_box(router.decide(&call).unwrap()));
        });
    }
    group.finish();
}

fn model(prompts: &[String]) -> Model {
    let random = Seeded::new(2);
    let outcome = |prompt: &String| {
        let arms = (0..9).map(|arm| (name(&format!("agent-{arm}")), random.below(2) as f32));
        let quality: BTreeMap<Name, f32> = arms.collect();
        Recorded { prompt: prompt.clone(), quality, ..Recorded::default() }
    };
    let outcomes: Vec<Recorded> = prompts.iter().map(outcome).collect();
    Training::default().train(&outcomes, &Seeded::new(3)).unwrap()
}

fn learned(c: &mut Criterion<CpuTime>) {
    let prompts = prompts(2_000);
    let model = model(&prompts);
    let calls: Vec<Call> = prompts.into_iter().map(call).collect();
    let tenant = Principal::local().tenant.clone();
    let mut group = c.benchmark_group("learn among nine agents");
    group.throughput(Throughput::Elements(1));
    let learned = json!({"strategy": "learned", "learned": {"model": "m", "cost_weight": 0.1}});
    for (strategy, config) in [("thompson", json!({"strategy": "thompson"})), ("learned", learned)] {
        let router = router(9, 9, config, Some(model.clone()));
        let mut next = calls.iter().cycle();
        group.bench_function(format!("{strategy}, decide"), |b| {
            b.iter(|| black_box(router.decide(next.next().unwrap()).unwrap()));
        });
        group.bench_function(format!("{strategy}, decide, hear of its end and of its worth"), |b| {
            b.iter(|| {
                let decision = router.decide(next.next().unwrap()).unwrap();
                let (candidate, end) = (decision.candidate(0).unwrap(), End::of(Outcome::Complete));
                router.asked(&candidate.endpoint);
                let waited = Duration::from_millis(100);
                router.observe(Observed { decision: decision.id, candidate, waited, end: &end });
                router.feedback(&tenant, decision.id, 1.0).unwrap();
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = classical, learned
}
criterion_main!(benches);
