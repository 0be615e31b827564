//! Prices as people write them.

use maof_core::{Unit, Usage};

use crate::price::{Dollars, TariffConfig};

#[test]
fn prices_are_read_as_written_without_a_float() {
    let check = |text: &str, nanos: Option<i64>| {
        let read = serde_json::from_str::<Dollars>(text).ok().map(|d| d.0.nanos());
        assert_eq!(read, nanos, "{text}");
    };
    check("0.15", Some(150_000_000));
    check("\"0.15\"", Some(150_000_000));
    check("0.000000001", Some(1));
    check("3", Some(3_000_000_000));
    check("0.1", Some(100_000_000));
    check("0.0000000001", None);
    check("true", None);
    check("\"a\"", None);
}

#[test]
fn a_wrong_price_is_refused_by_name() {
    let check = |text: &str, field: &str| {
        let config: TariffConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.validate().unwrap_err().field(), Some(field));
    };
    check("{\"output\": -1}", "output");
    check("{\"request\": 900000000}", "request");
    assert!(serde_json::from_str::<TariffConfig>("{\"inputs\": 1}").is_err());
}

#[test]
fn what_is_not_said_of_caches_costs_what_input_costs() {
    let config: TariffConfig = serde_json::from_str("{\"input\": 2, \"output\": 8}").unwrap();
    let tariff = config.tariff().unwrap();
    assert_eq!(tariff.price(Unit::CachedInput), tariff.price(Unit::Input));
    for unit in
        [Unit::CacheWrite, Unit::CacheWriteLong, Unit::AudioInput, Unit::CachedAudio, Unit::ImageInput]
    {
        assert_eq!(tariff.price(unit), tariff.price(Unit::Input), "{unit}");
    }
    for unit in [Unit::Reasoning, Unit::AudioOutput, Unit::ImageOutput] {
        assert_eq!(tariff.price(unit), tariff.price(Unit::Output), "{unit}");
    }
}

#[test]
fn what_is_priced_by_the_piece_costs_that_for_each() {
    let check = |price: &str, unit: Unit, units: u64, nanos: i64| {
        let config: TariffConfig = serde_json::from_str(price).unwrap();
        let cost = config.tariff().unwrap().cost(&Usage::default().with(unit, units)).unwrap();
        assert_eq!(cost.nanos(), nanos, "{price}");
    };
    check("{\"image\": 0.04}", Unit::Image, 3, 120_000_000);
    check("{\"audio_minute\": 0.006}", Unit::AudioMs, 90_000, 9_000_000);
    check("{\"server_tool\": 0.01}", Unit::ServerTool, 2, 20_000_000);
    check("{\"cache_write_long\": 6}", Unit::CacheWriteLong, 1000, 6_000_000);
}
