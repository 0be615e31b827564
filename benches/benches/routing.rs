//! What a learned decision costs: by the prompt, with the cheap answer, among many arms, by a bandit; and feedback.
//! Prompts are as long as those of MMLU in the median, 320 characters, each with words of its own.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark's own program")]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use maof_benches::CpuTime;
use maof_core::{Name, Random as _};
use maof_router::learned::bandit::{Candidate, Linear, Thompson, linear, thompson};
use maof_router::learned::{Answer, Contexts, Model, Outcome, Policy, Scratch, Seeded, Training};

/// What the programs that are shipped allocate with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ANSWER: &str = "He has 16 - 3 = <<16-3=13>>13 eggs left, and sells them for 13 * 2 = $26.\n#### 26";

fn prompts(count: usize) -> Vec<String> {
    let random = Seeded::new(1);
    let prompt = |_| {
        let mut text = String::from("Which of these is right?");
        while text.len() < 320 {
            // Small numbers are frequent, as words are.
            let word = random.below(random.below(20_000) + 1);
            text += &format!(" w{word}");
        }
        text
    };
    (0..count).map(prompt).collect()
}

fn model(arms: usize, prompts: &[String]) -> Model {
    let random = Seeded::new(2);
    // Who is good at a prompt hangs on its length and its second word together: so that neighbours tell, and are kept.
    let outcome = |prompt: &String| {
        let likely = (prompt.len() + prompt.split(' ').nth(5).map_or(0, str::len)) as u64 % 3;
        let good = |arm: usize| random.below(3) < if arm as u64 % 3 == likely { 3 } else { 1 };
        let quality: BTreeMap<Name, f32> =
            (0..arms).map(|arm| (name(arm), f32::from(u8::from(good(arm))))).collect();
        Outcome { prompt: prompt.clone(), quality, ..Outcome::default() }
    };
    let outcomes: Vec<Outcome> = prompts.iter().map(outcome).collect();
    Training::default().train(&outcomes, &Seeded::new(3)).unwrap()
}

fn name(arm: usize) -> Name {
    Name::new(&format!("arm-{arm}")).unwrap()
}

fn learned(c: &mut Criterion<CpuTime>) {
    let prompts = prompts(4_000);
    let (two, nine) = (model(2, &prompts), model(9, &prompts));
    let mut next = prompts.iter().cycle();
    let mut scratch = Scratch::default();
    let mut group = c.benchmark_group("learned");
    group.throughput(Throughput::Elements(1));
    group.bench_function("score, two arms", |b| {
        b.iter(|| black_box(two.score(next.next().unwrap(), &mut scratch)));
    });
    group.bench_function("choose, nine arms", |b| {
        b.iter(|| {
            let chosen = nine.choose(next.next().unwrap(), Policy::Weigh(0.1), |_| true, &mut scratch);
            black_box(chosen.map(|chosen| chosen.quality))
        });
    });
    group.bench_function("check a cheap answer", |b| {
        b.iter(|| black_box(two.check(next.next().unwrap(), &Answer::new(ANSWER), &mut scratch)));
    });
    let (mut taught, arm) = (two.clone(), name(0));
    group.bench_function("feedback", |b| {
        b.iter(|| taught.observe(next.next().unwrap(), &arm, 1.0, &mut scratch).unwrap());
    });
    group.finish();
    bandits(c, &prompts);
}

fn bandits(c: &mut Criterion<CpuTime>, prompts: &[String]) {
    let (arms, class, node) = ((0..9).map(name).collect::<Vec<_>>(), name(0), name(1));
    let candidates: Vec<Candidate<'_>> = arms.iter().map(|arm| Candidate { arm, penalty: 0.0 }).collect();
    let random = Seeded::new(4);
    let mut next = prompts.iter().cycle();
    let (contexts, mut scratch) = (Contexts::default(), Scratch::default());
    let mut thompson = Thompson::new(thompson::Config::default(), node.clone()).unwrap();
    let mut linear = Linear::new(linear::Config::default(), node).unwrap();
    for (at, prompt) in prompts.iter().enumerate() {
        let (arm, quality) = (&arms[at % 9], (at % 9) as f64 / 20.0 + (at % 2) as f64 / 2.0);
        thompson.observe(&class, arm, quality).unwrap();
        linear.observe(&contexts.of(prompt, &mut scratch), arm, quality).unwrap();
    }
    let mut group = c.benchmark_group("bandit, nine arms");
    group.throughput(Throughput::Elements(1));
    group.bench_function("Thompson, choose", |b| {
        b.iter(|| black_box(thompson.choose(&class, &candidates, &random)));
    });
    group.bench_function("Thompson, feedback", |b| {
        b.iter(|| thompson.observe(&class, &arms[0], 0.5).unwrap());
    });
    group.bench_function("linear, choose", |b| {
        b.iter(|| {
            let context = contexts.of(next.next().unwrap(), &mut scratch);
            black_box(linear.choose(&context, &candidates, &random).unwrap())
        });
    });
    let context = contexts.of(&prompts[0], &mut scratch);
    group.bench_function("linear, feedback", |b| {
        b.iter(|| linear.observe(&context, &arms[0], 0.5).unwrap());
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = learned
}
criterion_main!(benches);
