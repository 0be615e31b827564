//! Replays in virtual time of what real endpoints took (150 requests each, ray-project/llmperf-leaderboard, Apache-2.0):
//! what hedging is worth where some streams stall, how near a run comes to the critical path of its steps, and how soon a vote
//! that is decided stops waiting. Seeded:
//! the same figures every time. `cargo bench -p maof-benches --bench replays`; the records are read from `MAOF_DATA`
//! (default `../shared/data` beside the checkout), folder `llmperf`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark's own program"
)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use maof::{Config, Maof, TaskRequest};
use maof_core::{
    Body, Call, CallId, Card, ChatAnswer, ChatRequest, Delta, Endpoint, Error, Event, Finish, Hedge, Name,
    Operation, Principal, Random, Reply, Response, Result, Silent, Target, Tariff,
};
use maof_resilience::hedge::{self, Hedges};
use maof_router::fallback::Fallback;
use maof_router::learned::Seeded;
use maof_router::{Agent, Offer, Ports, Registry, Router};
use maof_testkit::{TokioClock, UniqueIds};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tower::{Service, ServiceExt as _};

const ROUNDS: u64 = 5;
/// Requests of each round.
const REQUESTS: u64 = 5_000;
/// Requests that an upstream serves at once.
const SLOTS: usize = 16;
/// The share of the slots that is busy, where nothing stalls.
const LOAD: f64 = 0.4;
/// Two streams of a hundred begin twenty times as late.
const STALLS: (f64, f64) = (0.02, 20.0);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A number in 0..1.
fn share(random: &dyn Random) -> f64 {
    random.below(1 << 53) as f64 / (1_u64 << 53) as f64
}

/// Seconds until a real stream began, and until it ended.
type Times = (f64, f64);

fn recorded(endpoint: &str) -> Vec<Times> {
    let data = std::env::var_os("MAOF_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = data.join("llmperf").join(format!("{endpoint}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let times = |row: &Value| {
        let (first, last) = (row["ttft_s"].as_f64()?, row["end_to_end_latency_s"].as_f64()?);
        (row["error_code"].is_null() && first > 0.0 && last >= first).then_some((first, last))
    };
    rows.iter().filter_map(times).collect()
}

/// An upstream that takes as long as a real one took, with so many slots.
#[derive(Clone)]
struct Replayed {
    times: Arc<Vec<Times>>,
    slots: Arc<Semaphore>,
    random: Arc<Seeded>,
    stalls: f64,
    /// Requests that came.
    came: Arc<AtomicU64>,
}

impl Service<Call> for Replayed {
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Call) -> Self::Future {
        self.came.fetch_add(1, Ordering::Relaxed);
        let (mut first, last) = self.times[self.random.below(self.times.len() as u64) as usize];
        let rest = last - first;
        if share(&*self.random) < self.stalls {
            first *= STALLS.1;
        }
        let slots = Arc::clone(&self.slots);
        Box::pin(async move {
            let slot = slots.acquire_owned().await.unwrap();
            sleep(Duration::from_secs_f64(first)).await;
            let said = |deltas| Ok(Event { frame: None, deltas });
            let begun = said(vec![Delta::Text { choice: 0, text: "a".to_owned() }]);
            let ended = async move {
                sleep(Duration::from_secs_f64(rest)).await;
                drop(slot);
                said(vec![Delta::Finish { choice: 0, reason: Finish::Stop }])
            };
            Ok(Reply::stream(Box::pin(stream::iter([begun]).chain(stream::once(ended)))))
        })
    }
}

fn router(endpoints: &[&str], seed: u64) -> Router {
    let agent = Agent { endpoints: endpoints.iter().map(|e| name(e)).collect(), ..Agent::new(name("agent")) };
    let offer = |endpoint: &&str| {
        let offer = Offer { operations: vec![Operation::Chat], tariff: Tariff::default(), context: None };
        (name(endpoint), offer)
    };
    let registry = Registry::new(vec![agent], endpoints.iter().map(offer).collect(), HashMap::new()).unwrap();
    let config =
        serde_json::from_value(json!({"strategy": "round_robin", "default_agents": ["agent"]})).unwrap();
    let ports = Ports {
        ids: Arc::new(UniqueIds),
        clock: TokioClock::new(),
        random: Arc::new(Seeded::new(seed)),
        node: name("node"),
    };
    Router::new(registry, &config, None, ports).unwrap()
}

/// What came of a round: seconds until the first token of all requests but the first, in order, and requests that
/// the upstreams got for each that a caller made.
async fn round(endpoints: &[&str], stalls: f64, hedged: bool, seed: u64) -> (Vec<f64>, f64) {
    let came = Arc::new(AtomicU64::new(0));
    let replayed = |(at, endpoint): (usize, &&str)| {
        let replayed = Replayed {
            times: Arc::new(recorded(endpoint)),
            slots: Arc::new(Semaphore::new(SLOTS)),
            random: Arc::new(Seeded::new(seed * 100 + at as u64)),
            stalls,
            came: Arc::clone(&came),
        };
        (name(endpoint), replayed)
    };
    let services: HashMap<Name, Replayed> = endpoints.iter().enumerate().map(replayed).collect();
    let busy = |service: &Replayed| {
        service.times.iter().map(|(_, last)| last).sum::<f64>() / service.times.len() as f64
    };
    // Each upstream gets as many of the requests as any other.
    let slowest = services.values().map(busy).fold(0.0, f64::max);
    let pause = slowest / (LOAD * SLOTS as f64 * endpoints.len() as f64);
    let clock = TokioClock::new();
    let known = endpoints.iter().map(|endpoint| name(endpoint));
    let hedges: Arc<dyn Hedge> = Arc::new(Hedges::new(&hedge::Config::default(), clock.clone(), known, None));
    let fallback = Fallback::new(Arc::new(router(endpoints, seed)), services, clock, Arc::new(Silent));
    let fallback = fallback.hedged_by(hedged.then_some(hedges));
    let random = Seeded::new(seed);
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..REQUESTS {
        sleep(Duration::from_secs_f64(-pause * (1.0 - share(&random)).ln())).await;
        let fallback = fallback.clone();
        requests.spawn(async move {
            let body = Body::from(ChatRequest::user("q"));
            let id = CallId::from_uuid(Default::default());
            let mut call = Call::new(id, Target::TaskType(name("any")), Principal::local(), body);
            call.stream = true;
            let began = Instant::now();
            let (_, parts) = fallback.oneshot(call).await.unwrap().into_parts();
            let maof_core::Parts::Stream(mut events) = parts else { panic!("a stream") };
            events.next().await.unwrap().unwrap();
            let first = began.elapsed().as_secs_f64();
            while events.next().await.is_some() {}
            first
        });
    }
    let mut firsts = requests.join_all().await;
    firsts.sort_by(f64::total_cmp);
    (firsts, came.load(Ordering::Relaxed) as f64 / REQUESTS as f64)
}

fn p(firsts: &[f64], percent: usize) -> f64 {
    firsts[(firsts.len() * percent / 100).min(firsts.len() - 1)]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn virtual_time<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(future)
}

fn hedging() {
    println!(
        "hedging: {ROUNDS} rounds of {REQUESTS} streams at load {LOAD}, two endpoints in turn; seconds until the first token, medians"
    );
    println!("{:38} {:>7} {:>7} {:>7} {:>7} {:>7}", "endpoints", "p50", "p99", "hedged", "cut %", "extra %");
    let pairs = [
        ["anyscale_70b", "together_70b"],
        ["fireworks_70b", "bedrock_70b"],
        ["lepton_70b", "perplexity_70b"],
        ["anyscale_7b", "fireworks_7b"],
    ];
    for (stalls, goal) in [(STALLS.0, "2 % of streams begin 20 times as late"), (0.0, "no stalls")] {
        println!("{goal}");
        for pair in pairs {
            let rounds: Vec<[f64; 4]> = (1..=ROUNDS)
                .map(|seed| {
                    let (alone, _) = virtual_time(round(&pair, stalls, false, seed));
                    let (hedged, asked) = virtual_time(round(&pair, stalls, true, seed));
                    [p(&alone, 50), p(&alone, 99), p(&hedged, 99), (asked - 1.0) * 100.0]
                })
                .collect();
            let of = |at: usize| median(rounds.iter().map(|round| round[at]).collect());
            let cut = median(rounds.iter().map(|round| (1.0 - round[2] / round[1]) * 100.0).collect());
            let pair = pair.join(", ");
            println!("{pair:38} {:7.2} {:7.2} {:7.2} {cut:7.1} {:7.2}", of(0), of(1), of(2), of(3));
        }
    }
}

/// An endpoint that takes as long as it is told to, in seconds.
#[derive(Debug)]
struct Patient(Card);

#[async_trait]
impl Endpoint for Patient {
    fn card(&self) -> &Card {
        &self.0
    }

    async fn call(&self, call: Call) -> Result<Reply> {
        let asked = call.body.chat()?;
        let seconds: f64 = asked.messages.last().unwrap().plain_text().parse().unwrap();
        sleep(Duration::from_secs_f64(seconds)).await;
        Ok(Reply::whole(Response::chat(ChatAnswer::text("done"))))
    }
}

/// Steps of which each needs up to three of the four before it.
struct Graph {
    seconds: Vec<f64>,
    needs: Vec<Vec<usize>>,
}

impl Graph {
    fn new(steps: usize, times: &[Times], random: &Seeded) -> Graph {
        let seconds = (0..steps).map(|_| times[random.below(times.len() as u64) as usize].1).collect();
        let needs = (0..steps).map(|step| {
            let mut needs: Vec<usize> =
                (0..random.below(4)).filter_map(|_| step.checked_sub(1 + random.below(4) as usize)).collect();
            needs.sort_unstable();
            needs.dedup();
            needs
        });
        Graph { seconds, needs: needs.collect() }
    }

    /// When each step ends at the earliest; of all the latest.
    fn critical(&self) -> f64 {
        let mut ends: Vec<f64> = Vec::new();
        for (seconds, needs) in self.seconds.iter().zip(&self.needs) {
            let begins = needs.iter().map(|need| ends[*need]).fold(0.0, f64::max);
            ends.push(begins + seconds);
        }
        ends.into_iter().fold(0.0, f64::max)
    }

    /// How long it takes where each level waits for all of the one before.
    fn by_level(&self) -> f64 {
        let mut levels: Vec<usize> = Vec::new();
        for needs in &self.needs {
            levels.push(needs.iter().map(|need| levels[*need] + 1).max().unwrap_or(0));
        }
        let slowest = |level: usize| {
            let own = levels.iter().zip(&self.seconds).filter(|(at, _)| **at == level);
            own.map(|(_, seconds)| *seconds).fold(0.0, f64::max)
        };
        (0..=levels.iter().copied().max().unwrap_or(0)).map(slowest).sum()
    }

    fn workflow(&self) -> Value {
        let step = |(at, needs): (usize, &Vec<usize>)| {
            let needs: Vec<String> = needs.iter().map(|need| format!("s{need}")).collect();
            json!({"id": format!("s{at}"), "agent": "patient", "needs": needs, "ask": format!("{:.6}", self.seconds[at])})
        };
        let steps: Vec<Value> = self.needs.iter().enumerate().map(step).collect();
        json!({"name": "graph", "max_parallel": 64, "steps": steps})
    }
}

fn card(endpoint: &str) -> Card {
    Card {
        provider: name("test"),
        model: endpoint.into(),
        name: name(endpoint),
        operations: vec![Operation::Chat],
        tariff: Tariff::default(),
        context: None,
        max_output: 100,
    }
}

async fn makespan(graph: &Graph) -> f64 {
    took(vec![Arc::new(Patient(card("patient")))], graph.workflow()).await
}

/// How long a run of a workflow over these endpoints takes, in seconds.
async fn took(endpoints: Vec<Arc<dyn Endpoint>>, workflow: Value) -> f64 {
    let builder = Maof::builder(Config::default()).in_memory();
    let builder = endpoints.into_iter().fold(builder, |builder, endpoint| builder.endpoint(endpoint));
    let maof = builder.build().await.unwrap();
    maof.work();
    let workflow = maof.compile(serde_json::from_value(workflow).unwrap()).unwrap();
    let who = Principal::local();
    let request = TaskRequest {
        task_type: workflow.name.clone(),
        content: json!("go"),
        priority: 0,
        deadline: None,
        session: None,
        tags: None,
        idempotency_key: None,
        workflow: Some(workflow),
    };
    let began = Instant::now();
    let run = maof.submit(&who, request).await.unwrap();
    let ended = maof.wait(&who, run.id).await.unwrap();
    assert!(ended.result.is_some(), "{:?}", ended.failure);
    let took = began.elapsed().as_secs_f64();
    maof.shutdown().await;
    took
}

fn graphs() {
    println!(
        "runs of 20 steps that need up to three others each, beside their critical path; medians of {ROUNDS} rounds of 20"
    );
    for endpoint in ["anyscale_70b", "bedrock_70b", "fireworks_7b"] {
        let times = recorded(endpoint);
        let mut rounds: Vec<[f64; 2]> = Vec::new();
        for seed in 1..=ROUNDS {
            let random = Seeded::new(seed);
            let each = (0..20).map(|_| {
                let graph = Graph::new(20, &times, &random);
                let took = virtual_time(makespan(&graph));
                [took / graph.critical(), graph.by_level() / took]
            });
            let each: Vec<[f64; 2]> = each.collect();
            rounds.push([0, 1].map(|at| each.iter().map(|run| run[at]).sum::<f64>() / each.len() as f64));
        }
        let of = |at: usize| median(rounds.iter().map(|round| round[at]).collect());
        println!(
            "{endpoint:20} {:.4} of the critical path (goal 1.02); level by level takes {:.2} times as long",
            of(0),
            of(1)
        );
    }
}

/// Members of a vote, and how many of them decide it when all agree.
const VOTERS: (usize, usize) = (5, 3);

/// One member of a vote, who takes so many seconds; notes in real time when members answered, and when they were let go.
#[derive(Debug)]
struct Juror {
    card: Card,
    seconds: f64,
    noted: Arc<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    answered: Mutex<Vec<std::time::Instant>>,
    dropped: Mutex<Vec<std::time::Instant>>,
}

/// Notes when a call is dropped before its answer.
struct LetGo<'a>(Option<&'a Noted>);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        if let Some(noted) = self.0 {
            noted.dropped.lock().unwrap().push(std::time::Instant::now());
        }
    }
}

#[async_trait]
impl Endpoint for Juror {
    fn card(&self) -> &Card {
        &self.card
    }

    async fn call(&self, _: Call) -> Result<Reply> {
        let mut let_go = LetGo(Some(&self.noted));
        sleep(Duration::from_secs_f64(self.seconds)).await;
        let_go.0 = None;
        self.noted.answered.lock().unwrap().push(std::time::Instant::now());
        Ok(Reply::whole(Response::chat(ChatAnswer::text("yes"))))
    }
}

/// What a vote took beside its deciding answer and beside its last one, and the longest that a loser went on, in real
/// milliseconds.
fn vote(times: &[Times], random: &Seeded) -> [f64; 3] {
    let (voters, decide) = VOTERS;
    let mut seconds: Vec<f64> =
        (0..voters).map(|_| times[random.below(times.len() as u64) as usize].1).collect();
    let noted = Arc::new(Noted::default());
    let juror = |(at, seconds): (usize, &f64)| {
        let card = card(&format!("juror-{at}"));
        Arc::new(Juror { card, seconds: *seconds, noted: Arc::clone(&noted) }) as Arc<dyn Endpoint>
    };
    let jurors: Vec<_> = seconds.iter().enumerate().map(juror).collect();
    let names: Vec<String> = (0..voters).map(|at| format!("juror-{at}")).collect();
    let step = json!({"id": "vote", "parallel": names, "join": {"strategy": "majority"}, "early_stop": true});
    let took = virtual_time(took(jurors, json!({"name": "vote", "steps": [step]})));
    seconds.sort_by(f64::total_cmp);
    let decided = noted.answered.lock().unwrap()[decide - 1];
    let dropped = noted.dropped.lock().unwrap();
    assert_eq!(dropped.len(), voters - decide, "the losers were cancelled");
    let latest = dropped.iter().map(|at| at.saturating_duration_since(decided).as_secs_f64() * 1e3);
    [took / seconds[decide - 1], seconds[voters - 1] / took, latest.fold(0.0, f64::max)]
}

fn quorums() {
    let (voters, decide) = VOTERS;
    println!("votes of {voters} that {decide} decide, with `early_stop`; medians of {ROUNDS} rounds of 200");
    for endpoint in ["anyscale_70b", "bedrock_70b", "fireworks_7b"] {
        let times = recorded(endpoint);
        let mut rounds: Vec<[f64; 3]> = Vec::new();
        for seed in 1..=ROUNDS {
            let random = Seeded::new(seed);
            let each: Vec<[f64; 3]> = (0..200).map(|_| vote(&times, &random)).collect();
            let mean = |at: usize| each.iter().map(|vote| vote[at]).sum::<f64>() / each.len() as f64;
            let slowest = each.iter().map(|vote| vote[2]).fold(0.0, f64::max);
            rounds.push([mean(0), mean(1), slowest]);
        }
        let of = |at: usize| median(rounds.iter().map(|round| round[at]).collect());
        println!(
            "{endpoint:20} {:.4} of answer {decide} (goal 1.05); waiting for all takes {:.2} times as long; the slowest loser \
             went on for {:.2} ms (goal 5)",
            of(0),
            of(1),
            of(2)
        );
    }
}

fn main() {
    hedging();
    graphs();
    quorums();
}
