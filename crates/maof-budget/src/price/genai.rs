//! Reads the data of `genai-prices` (<https://github.com/pydantic/genai-prices>, MIT; format of August to November 2026).
//!
//! Not taken, and told by the caller: classes that no usage of ours has, such as pages of documents; conditions other than
//! dates, hours, services and batches.

use std::collections::BTreeSet;

use maof_core::{Error, Money, Result};
use serde_json::{Map, Value};

use super::catalogue::Model;
use super::dollars::Dollars;
use super::rate::RateConfig;
use super::tariff::TariffConfig;

/// What was read of it, and what was not.
#[derive(Debug)]
pub struct Converted {
    /// The models, in its order.
    pub models: Vec<Model>,
    /// What was left out, each once.
    pub left_out: Vec<String>,
}

/// Reads `prices.json` of `genai-prices`.
///
/// # Errors
/// `invalid_request` naming the model and the field that is not as expected.
pub fn convert(json: &str) -> Result<Converted> {
    let wrong = |why: &str| Error::invalid_request(format!("no data of genai-prices: {why}"));
    let providers: Vec<Value> = serde_json::from_str(json).map_err(|e| wrong(&e.to_string()))?;
    let mut reading = Reading::default();
    let mut models = Vec::new();
    for provider in &providers {
        let of = text(provider, "id").ok_or_else(|| wrong("a provider without `id`"))?;
        for model in provider.get("models").and_then(Value::as_array).into_iter().flatten() {
            let name = text(model, "id").ok_or_else(|| wrong("a model without `id`"))?;
            let read = reading.model(of, name, model);
            models.extend(read.map_err(|e| wrong(&format!("{of}, {name}: {}", e.message())))?);
        }
    }
    Ok(Converted { models, left_out: reading.left_out.into_iter().collect() })
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn wrong(why: impl Into<String>) -> Error {
    Error::invalid_request(why.into())
}

/// An amount: the same for all requests, or other ones beyond numbers of input tokens.
struct Amount {
    base: u128,
    beyond: Vec<(u64, u128)>,
}

impl Amount {
    /// In 10^-12 dollars, to which numbers as they are written come exactly.
    fn read(value: &Value) -> Result<Amount> {
        let pico = |value: &Value| {
            let number = value.as_f64().filter(|n| (0.0..1e9).contains(n));
            let number = number.ok_or_else(|| wrong(format!("`{value}` is no price")))?;
            format!("{number:.12}").replace('.', "").parse::<u128>().map_err(|e| wrong(e.to_string()))
        };
        let Some(base) = value.get("base") else {
            return Ok(Amount { base: pico(value)?, beyond: Vec::new() });
        };
        let tiers =
            value.get("tiers").and_then(Value::as_array).ok_or_else(|| wrong("`base` without `tiers`"))?;
        let tier = |tier: &Value| {
            let start = tier.get("start").and_then(Value::as_u64).filter(|start| *start > 0);
            let start = start.ok_or_else(|| wrong("a tier without `start`"))?;
            Ok((start, pico(tier.get("price").unwrap_or(&Value::Null))?))
        };
        Ok(Amount { base: pico(base)?, beyond: tiers.iter().map(tier).collect::<Result<_>>()? })
    }

    fn at(&self, over: u64) -> u128 {
        let beyond = self.beyond.iter().filter(|(start, _)| *start <= over).max_by_key(|(start, _)| *start);
        beyond.map_or(self.base, |(_, amount)| *amount)
    }
}

#[derive(Default)]
struct Reading {
    left_out: BTreeSet<String>,
}

impl Reading {
    fn model(&mut self, provider: &str, name: &str, model: &Value) -> Result<Option<Model>> {
        let mut patterns = Vec::new();
        if let Some(rule) = model.get("match") {
            self.patterns(rule, &mut patterns)?;
        }
        patterns.retain(|pattern| pattern != name);
        let one;
        let rates = match model.get("prices") {
            Some(Value::Array(rates)) => rates,
            Some(prices) => {
                one = vec![serde_json::json!({"prices": prices})];
                &one
            }
            None => return Err(wrong("no `prices`")),
        };
        let mut prices = Vec::new();
        for rate in rates {
            self.rates(&condition(rate)?, fields(rate)?, &mut prices)?;
        }
        let variants = model.get("price_variants").and_then(Value::as_array);
        // The first that fits holds there, the last one here.
        for variant in variants.into_iter().flatten().rev() {
            let Some(service) = self.service(variant) else { continue };
            let of = condition(variant)?;
            for rate in rates {
                let mut both = condition(rate)?;
                both.from = both.from.max(of.from);
                both.hours = both.hours.or(of.hours);
                both.service = Some(service.to_owned());
                // What a variant does not price costs what it costs otherwise.
                let mut merged = fields(rate)?.clone();
                merged.extend(fields(variant)?.clone());
                self.rates(&both, &merged, &mut prices)?;
            }
        }
        if prices.iter().all(|rate| rate.price == TariffConfig::default()) && !is_free(rates) {
            self.left_out.insert(format!("{provider}, {name}: priced by what is not known here"));
            return Ok(None);
        }
        let context = model.get("context_window").and_then(Value::as_u64).filter(|context| *context > 0);
        Ok(Some(Model { provider: provider.to_owned(), model: name.to_owned(), patterns, context, prices }))
    }

    /// The service whose price a variant is; none where it is no other price, or one under a condition not known here.
    fn service<'a>(&mut self, variant: &'a Value) -> Option<&'a str> {
        let when = variant.get("when")?.as_object()?;
        let service = match when.iter().next() {
            Some((key, Value::String(value))) if when.len() == 1 => match key.as_str() {
                "processing" | "service_tier" => Some(value.as_str()),
                _ => None,
            },
            _ => None,
        };
        if service.is_none() {
            self.left_out.insert(format!("prices when {}", Value::Object(when.clone())));
        }
        service.filter(|_| variant.get("prices").and_then(Value::as_object).is_some_and(|p| !p.is_empty()))
    }

    /// A rate for requests of any size, and one beyond each number of tokens from which on another price holds.
    fn rates(
        &mut self,
        when: &RateConfig,
        prices: &Map<String, Value>,
        rates: &mut Vec<RateConfig>,
    ) -> Result<()> {
        let mut amounts = Vec::new();
        let mut steps = BTreeSet::from([0]);
        for (class, price) in prices {
            let amount = Amount::read(price).map_err(|e| wrong(format!("`{class}`: {}", e.message())))?;
            steps.extend(amount.beyond.iter().map(|(start, _)| *start));
            amounts.push((class.as_str(), amount));
        }
        for over in steps {
            let mut price = TariffConfig::default();
            for (class, amount) in &amounts {
                if !put(&mut price, class, amount.at(over))? {
                    self.left_out.insert(format!("the class `{class}`"));
                }
            }
            rates.push(RateConfig { over, price, ..when.clone() });
        }
        Ok(())
    }

    /// The names that a rule means, as patterns.
    fn patterns(&mut self, rule: &Value, patterns: &mut Vec<String>) -> Result<()> {
        for (kind, what) in rule.as_object().into_iter().flatten() {
            match (kind.as_str(), what) {
                ("equals", Value::String(text)) => patterns.push(text.clone()),
                ("starts_with", Value::String(text)) => patterns.push(format!("{text}*")),
                ("ends_with", Value::String(text)) => patterns.push(format!("*{text}")),
                ("contains", Value::String(text)) => patterns.push(format!("*{text}*")),
                ("regex", Value::String(text)) => match expression(text) {
                    Some(expressed) => patterns.extend(expressed),
                    None => drop(self.left_out.insert(format!("names that fit {text}"))),
                },
                ("or" | "and", Value::Array(rules)) => {
                    rules.iter().try_for_each(|rule| self.patterns(rule, patterns))?;
                }
                _ => return Err(wrong(format!("`match` has an unknown rule `{kind}`"))),
            }
        }
        Ok(())
    }
}

fn is_free(rates: &[Value]) -> bool {
    let zero = |price: &Value| price.as_f64() == Some(0.0);
    rates.iter().all(|rate| fields(rate).is_ok_and(|prices| prices.values().all(zero)))
}

fn fields(rate: &Value) -> Result<&Map<String, Value>> {
    rate.get("prices").and_then(Value::as_object).ok_or_else(|| wrong("no `prices`"))
}

/// When a rate holds.
fn condition(rate: &Value) -> Result<RateConfig> {
    let Some(constraint) = rate.get("constraint") else { return Ok(RateConfig::default()) };
    let from = text(constraint, "start_date").map(str::parse).transpose()?;
    let hours = match (text(constraint, "start_time"), text(constraint, "end_time")) {
        // `16:30:00Z`, always in UTC and of whole minutes.
        (Some(start), Some(end)) => {
            let minute = |text: &str| text.strip_suffix(":00Z").map(str::to_owned);
            let hours = minute(start).zip(minute(end)).ok_or_else(|| wrong("hours that are not in UTC"))?;
            Some(format!("{}-{}", hours.0, hours.1).parse()?)
        }
        _ => None,
    };
    if from.is_none() && hours.is_none() {
        return Err(wrong("a `constraint` that is not known"));
    }
    Ok(RateConfig { from, hours, ..RateConfig::default() })
}

/// Puts a class's price, 10^-12 dollars, where it belongs; false where it belongs nowhere. What is finer than a
/// nano-dollar for a million units is rounded up.
fn put(price: &mut TariffConfig, class: &str, pico: u128) -> Result<bool> {
    let dollars = |divisor: u128| {
        let nanos = i64::try_from(pico.div_ceil(1_000 * divisor));
        nanos.map(|n| Dollars(Money::from_nanos(n))).map_err(|_| wrong(format!("`{class}` is too large")))
    };
    match class {
        "input_mtok" => price.input = dollars(1)?,
        "cache_read_mtok" => price.cached_input = Some(dollars(1)?),
        "cache_write_mtok" => price.cache_write = Some(dollars(1)?),
        "cache_write_1h_mtok" => price.cache_write_long = Some(dollars(1)?),
        "input_audio_mtok" => price.audio_input = Some(dollars(1)?),
        "cache_audio_read_mtok" => price.cached_audio = Some(dollars(1)?),
        "input_image_mtok" => price.image_input = Some(dollars(1)?),
        "output_mtok" => price.output = dollars(1)?,
        "output_reasoning_mtok" => price.reasoning = Some(dollars(1)?),
        "output_audio_mtok" => price.audio_output = Some(dollars(1)?),
        "output_image_mtok" => price.image_output = Some(dollars(1)?),
        "input_mchars" => price.character = dollars(1)?,
        "web_searches_kcount" => price.server_tool = dollars(1_000)?,
        "requests_kcount" => price.request = dollars(1_000)?,
        "audio_hours" | "input_audio_hours" => price.audio_minute = dollars(60)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The patterns of the few kinds of expressions that are there: digits at the end, a list of characters, and names that
/// are not of speech. None for others.
fn expression(text: &str) -> Option<Vec<String>> {
    if text == "^(?!.*-[tT][tT][sS](?:$|-))" {
        return Some(vec!["!*-tts".to_owned(), "!*-tts-*".to_owned()]);
    }
    let text = text.strip_prefix('^')?;
    let (text, open) = match text.strip_suffix('$') {
        Some(text) => (text, ""),
        None => (text, "*"),
    };
    if let Some((before, rest)) = text.split_once('[') {
        // Escaped brackets stand for themselves.
        if let Some(before) = before.strip_suffix('\\') {
            return plain(&format!("{before}[{}", rest.replace("\\]", "]")))
                .map(|p| vec![format!("{p}{open}")]);
        }
        let (one_of, after) = rest.split_once(']')?;
        return one_of
            .chars()
            .map(|c| Some(format!("{}{open}", plain(&format!("{before}{c}{after}"))?)))
            .collect();
    }
    Some(vec![format!("{}{open}", plain(text)?)])
}

fn plain(text: &str) -> Option<String> {
    let text = text.replace("\\d{8}", "########").replace("\\d{4}", "####").replace("\\d{2}", "##");
    let text = text.replace("\\d", "#").replace("\\.", ".");
    (!text.contains(['\\', '(', ')', '{', '}', '|', '+', '?', '*', '^', '$'])).then_some(text)
}
