//! The bundled prices beside what the crate `genai-prices` makes of its own data.

use std::time::{Duration, UNIX_EPOCH};

use genai_prices::{PriceRequest, Usage as Theirs};
use maof_core::{Unit, Usage};

use super::*;
use crate::price::Catalogue;

/// Requests of text, cached and not, short and long; tokens of input in all, read from a cache, written to one, of output.
const REQUESTS: [[u64; 4]; 4] = [
    [1_000, 0, 0, 100],
    [30_000, 20_000, 5_000, 2_000],
    [150_001, 100_000, 0, 0],
    [600_000, 300_000, 0, 50_000],
];

fn usages([input, read, written, output]: [u64; 4]) -> (Usage, Theirs) {
    let ours = Usage::default()
        .with(Unit::Input, input - read - written)
        .with(Unit::CachedInput, read)
        .with(Unit::CacheWrite, written)
        .with(Unit::Request, 1)
        .with(Unit::Output, output);
    let mut theirs = Theirs::new();
    let said = [
        ("input_tokens", input),
        ("cache_read_tokens", read),
        ("cache_write_tokens", written),
        ("output_tokens", output),
    ];
    for (key, tokens) in said.into_iter().filter(|(_, tokens)| *tokens > 0) {
        theirs.insert(key.to_owned(), tokens as f64);
    }
    (ours, theirs)
}

/// Theirs are floats; and prices of more than nine decimals are rounded up here.
fn is_the_same(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 1e-8 + ours.abs() * 1e-7
}

#[test]
fn every_model_costs_what_another_reader_of_the_same_data_says() {
    let moments =
        [at("2025-11-01", 12, 0), at("2026-10-01", 2, 0), at("2026-11-06", 12, 0), at("2027-06-01", 12, 0)];
    let services = [
        None,
        Some(("processing", "batch")),
        Some(("service_tier", "flex")),
        Some(("service_tier", "priority")),
    ];
    let (mut compared, mut unlike) = (0, Vec::new());
    for model in Catalogue::bundled().unwrap().models() {
        let prices = model.prices().unwrap();
        for ((moment, request), service) in moments
            .iter()
            .flat_map(|moment| REQUESTS.iter().map(move |request| (moment, request)))
            .flat_map(|both| services.iter().map(move |service| (both, service)))
        {
            let (ours, theirs) = usages(*request);
            let when = UNIX_EPOCH + Duration::from_micros(moment.micros() as u64);
            let mut asked = PriceRequest::new(&model.model, &theirs)
                .with_provider_id(&model.provider)
                .with_timestamp(when);
            if let Some((key, value)) = service {
                asked = asked.with_price_context(key, value);
            }
            let Ok(said) = genai_prices::calculate(&asked) else { continue };
            let cost = prices.cost(&ours, *moment, service.map(|(_, of)| of)).unwrap().as_dollars_lossy();
            compared += 1;
            if !is_the_same(cost, said.total_price) {
                unlike.push(format!(
                    "{} {} {request:?} {moment:?} {service:?}: {cost} and {}",
                    model.provider, model.model, said.total_price
                ));
            }
        }
    }
    println!("{compared} costs compared");
    assert!(unlike.is_empty(), "{} of {compared}: {:#?}", unlike.len(), &unlike[..unlike.len().min(20)]);
    assert!(compared > 100_000, "{compared}");
}
