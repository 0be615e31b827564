//! How soon the limit is found, above all before the upstream of `wall --capacity`: 100 at once, each within 0.8 to 2.4 s,
//! offered what it can do and then twice that.

use super::simulation::{Service, Simulation};
use crate::load_shed::Config;

const SEEDS: u64 = 20;
/// What the slowest may take at twice the capacity, of what they take at capacity: the wall's goal.
const MOST: f64 = 1.5;

fn upstream(arrive: f64) -> Service {
    Service { workers: 100, takes: 1_600.0, streams: 0.0, arrive, even: true }
}

fn seeded(config: &Config, seed: u64) -> Simulation {
    Simulation::seeded(config, 0x9E37_79B9_7F4A_7C15 >> seed)
}

/// The rounds of the wall: of each, by what twice the capacity slows answers down once 8 s have passed.
fn rounds(config: &Config, seed: u64) -> [f64; 5] {
    let mut simulation = seeded(config, seed);
    simulation.run(6.0, upstream(31.25));
    simulation.drain();
    [(); 5].map(|()| {
        let at = simulation.judged(0.0, 6.0, upstream(62.5));
        simulation.drain();
        assert!(at.refused < 0.01, "seed {seed}: {} of what can be done", at.refused);
        let twice = simulation.judged(8.0, 14.0, upstream(125.0));
        simulation.drain();
        twice.p99() / at.p99()
    })
}

#[test]
fn at_twice_the_capacity_the_limit_is_found_within_seconds_wherever_it_began() {
    for initial_calls in [200, 1_000, 10_000] {
        let config = Config { initial_calls, ..Config::default() };
        let mut at_once = 0;
        for seed in 1..=SEEDS {
            let mut slower = rounds(&config, seed);
            at_once += u64::from(slower[0] <= MOST + 0.1);
            slower.sort_by(f64::total_cmp);
            assert!(slower[2] <= MOST, "from {initial_calls}, seed {seed}: {slower:?}");
        }
        // Where calls that had come just before the overload are the last to tell, it takes twice as long.
        assert!(at_once * 10 >= SEEDS * 8, "from {initial_calls}: {at_once} of {SEEDS} in the first round");
    }
}

#[test]
fn a_limit_that_is_too_low_is_raised_within_seconds() {
    for seed in 1..=SEEDS {
        let roomy = Service { workers: 2_000, ..upstream(1_000.0) };
        let found =
            seeded(&Config { initial_calls: 64, ..Config::default() }, seed).judged(20.0, 25.0, roomy);
        assert!(found.refused < 0.01, "seed {seed}: {}", found.refused);
    }
}

#[test]
fn an_upstream_that_becomes_slower_is_not_taken_for_a_queue() {
    for (seed, even) in (1..=SEEDS).flat_map(|seed| [(seed, false), (seed, true)]) {
        for slower in [1.6, 2.0, 3.0, 5.0] {
            let roomy = |takes| Service { workers: 10_000, takes, even, ..upstream(60.0) };
            let mut simulation = seeded(&Config::default(), seed);
            simulation.run(20.0, roomy(1_500.0));
            let found = simulation.judged(0.0, 30.0, roomy(1_500.0 * slower));
            assert!(found.refused < 0.001, "seed {seed}, {slower} times: {}", found.refused);
        }
    }
}

#[test]
fn a_queue_before_streams_is_counted_without_those_that_stream() {
    for seed in 1..=SEEDS {
        let streams = |arrive| Service { takes: 800.0, streams: 3_000.0, ..upstream(arrive) };
        let mut simulation = seeded(&Config::default(), seed);
        simulation.run(10.0, streams(100.0));
        let at = simulation.run(10.0, streams(120.0));
        let twice = simulation.judged(10.0, 20.0, streams(250.0));
        assert!(twice.p99() <= 2.0 * at.p99(), "seed {seed}: {} of {}", twice.p99(), at.p99());
        assert!(twice.refused < 0.6, "seed {seed}: {}", twice.refused);
    }
}
