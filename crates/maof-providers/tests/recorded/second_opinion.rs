//! Usage of recorded answers, beside what the extractors of the `genai-prices` crate read in the same bytes:
//! <https://github.com/pydantic/genai-prices>.

use genai_prices::{Calculator, ExtractRequest};

use super::*;

/// The recordings of a provider, the end of their path, the provider and the shape as the extractors call them.
const ROWS: [(&str, &str, &str, &str, &dyn Dialect); 9] = [
    ("openai", "/chat/completions", "openai", "chat", &OPENAI),
    ("openai", "/embeddings", "openai", "embeddings", &OPENAI),
    ("openai_responses", "/responses", "openai", "responses", &RESPONSES),
    ("deepseek", "/chat/completions", "deepseek", "chat", &OPENAI),
    ("groq", "/chat/completions", "groq", "default", &OPENAI),
    ("mistral", "/chat/completions", "mistral", "default", &OPENAI),
    ("openrouter", "/chat/completions", "openrouter", "chat", &OPENAI),
    ("anthropic", "/messages", "anthropic", "default", &ANTHROPIC),
    ("gemini", ":generateContent", "google", "default", &GEMINI),
];

/// M07: classes are disjoint, and sum to what the provider says.
#[test]
fn usage_is_what_another_reader_of_the_same_bytes_says() {
    let mut compared = 0;
    let mut all = Vec::new();
    for (folder, path, provider, flavor, dialect) in ROWS {
        let operation = if path == "/embeddings" { Operation::Embed } else { Operation::Chat };
        let recorded = exchanges(folder);
        for exchange in recorded.iter().filter(|e| e.status == 200 && !e.is_stream()) {
            let bare = exchange.path.split('?').next().unwrap_or_default();
            let incoming = Incoming {
                model: Some("m".to_owned()),
                ..Incoming::json(operation, exchange.request.clone())
            };
            let Ok(body) = dialect.read(incoming).map_err(drop).and_then(|body| match bare.ends_with(path) {
                true => Ok(body),
                false => Err(()),
            }) else {
                continue;
            };
            let asked = call(body);
            let Ok(reply) = dialect.decode(&asked, Content::json(exchange.response.clone())) else {
                continue;
            };
            let request = ExtractRequest::new(&exchange.response[..])
                .with_provider_id(provider)
                .with_api_flavor(flavor);
            let Ok(theirs) = Calculator::bundled().extract_provider_usage(&request) else { continue };
            let their = |name: &str| theirs.usage.get(name).unwrap_or(0.0) as u64;
            let ours = reply.usage.unwrap();
            let sum = |units: &[Unit]| units.iter().map(|unit| ours.get(*unit)).sum::<u64>();
            let both = [
                ("input_tokens", ours.input_tokens()),
                ("output_tokens", ours.output_tokens()),
                ("cache_read_tokens", sum(&[Unit::CachedInput, Unit::CachedAudio])),
                ("cache_write_tokens", sum(&[Unit::CacheWrite, Unit::CacheWriteLong])),
            ];
            // Where theirs leaves something of the provider's own total out, ours is that total.
            let total = value(&exchange.response)["usage"]["total_tokens"].as_u64();
            if total.is_some_and(|total| total > their("input_tokens") + their("output_tokens")) {
                assert_eq!(Some(ours.total_tokens()), total, "{}", exchange.source);
                continue;
            }
            for (name, count) in both {
                assert_eq!(count, their(name), "{}: {name}: {:?} {ours:?}", exchange.source, theirs.usage);
            }
            compared += 1;
        }
        all.extend(recorded);
    }
    println!("{compared} answers, read twice");
    enough(compared, 550, &all);
}
