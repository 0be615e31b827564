//! What the protections of an endpoint cost a call, beyond what the endpoint itself costs: one at a time, all
//! together, and switched off.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark's own program")]

use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use criterion::{Criterion, criterion_group, criterion_main};
use maof::{SystemClock, SystemRandom};
use maof_benches::CpuTime;
use maof_core::{Clock, Error, Guard, Guarded, Result};
use maof_resilience::{bulkhead, circuit_breaker, load_shed, rate_limit, retry, timeout};
use tower::{Layer, Service, ServiceBuilder, util::option_layer};

/// What the programs that are shipped allocate with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A request that costs nothing to copy.
#[derive(Clone, Copy)]
struct Question;

impl retry::Attempted for Question {
    fn attempt(&mut self, _: u32) {}

    fn deadline(&self) -> Option<std::time::Instant> {
        None
    }

    fn is_fallback(&self) -> bool {
        false
    }
}

impl timeout::Timed for Question {
    fn deadline(&self) -> Option<std::time::Instant> {
        None
    }

    fn is_streamed(&self) -> bool {
        false
    }
}

/// A reply that is nothing but its guards, which it tells when it is dropped.
#[derive(Default)]
struct Answer(Vec<Box<dyn Guard>>);

impl Guarded for Answer {
    fn guard(&mut self, guard: Box<dyn Guard>) {
        self.0.push(guard);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let mut end = maof_core::End::of(maof_core::Outcome::Complete);
        for guard in self.0.drain(..) {
            guard.end(&mut end);
        }
    }
}

/// Answers at once.
#[derive(Clone)]
struct Endpoint;

impl Service<Question> for Endpoint {
    type Response = Answer;
    type Error = Error;
    type Future = Ready<Result<Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Question) -> Self::Future {
        ready(Ok(Answer::default()))
    }
}

fn resilience(c: &mut Criterion<CpuTime>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rate = circuit_breaker::Config { rate: Some(Default::default()), ..Default::default() };
    let breaker =
        |config: &circuit_breaker::Config| circuit_breaker::Layer::new(config, Arc::clone(&clock), |_| {});
    // So many that nobody waits: what is measured is the way through.
    let often = rate_limit::Config { requests: 1_000_000, per_ms: 1, burst: 1_000_000, max_wait_ms: 0 };
    let limit = || rate_limit::Layer::new(&often, Arc::clone(&clock), || {});
    let bulkhead = || bulkhead::Layer::new(&bulkhead::Config::default(), || {});
    let budget = retry::Budget::new(&Default::default(), Arc::clone(&clock));
    let retries = retry::Layer::new(
        &Default::default(),
        Arc::clone(&clock),
        Arc::new(SystemRandom::default()),
        |_: &Error, _| {},
    )
    .within(budget, || {});
    let door = load_shed::Door::new(&Default::default(), Arc::clone(&clock), |_| {});
    let shed = load_shed::Layer::new(door, |_: &Question| false, || {});
    let off = ServiceBuilder::new()
        .option_layer(Some(limit()).filter(|_| false))
        .option_layer(Some(bulkhead()).filter(|_| false));
    let three = ServiceBuilder::new()
        .layer(breaker(&Default::default()))
        .layer(option_layer(Some(limit())))
        .layer(option_layer(Some(bulkhead())));

    bench(c, "endpoint alone", Endpoint);
    bench(c, "limits switched off", off.service(Endpoint));
    bench(c, "circuit breaker", breaker(&Default::default()).layer(Endpoint));
    bench(c, "circuit breaker with rates", breaker(&rate).layer(Endpoint));
    bench(c, "rate limit", limit().layer(Endpoint));
    bench(c, "bulkhead", bulkhead().layer(Endpoint));
    bench(c, "breaker, rate limit and bulkhead", three.service(Endpoint));
    bench(c, "retry with its budget", retries.layer(Endpoint));
    bench(c, "load shed", shed.layer(Endpoint));
}

fn bench<S>(c: &mut Criterion<CpuTime>, name: &str, mut service: S)
where
    S: Service<Question, Response = Answer>,
    S::Error: std::fmt::Debug,
{
    c.bench_function(&format!("resilience/{name}"), |b| {
        b.iter(|| black_box(at_once(service.call(Question)).unwrap()));
    });
}

/// The answer of what never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = resilience
}
criterion_main!(benches);
