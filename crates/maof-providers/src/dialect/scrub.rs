//! Takes keys, URLs and hosts out of an upstream's text before anybody sees it.
//!
//! ```
//! use maof_providers::dialect::scrub;
//! assert_eq!(scrub("bad key sk-abc123 at https://10.0.0.7/v1."), "bad key [key] at [url].");
//! assert_eq!(scrub("unknown field `top_kk` in gpt-4.1"), "unknown field `top_kk` in gpt-4.1");
//! ```

/// The most characters that are kept.
const MOST: usize = 1000;
/// What keys and account ids of known providers begin with.
const KEYS: [&str; 18] = [
    "sk-", "sk_", "pk-", "pk_", "rk-", "gsk_", "xai-", "hf_", "r8_", "ghp_", "nvapi-", "AIza", "AKIA",
    "ya29.", "eyJ", "org-", "proj_", "pplx-",
];
/// Last labels that make a dotted word a host.
const ENDINGS: [&str; 14] =
    ["com", "net", "org", "io", "ai", "dev", "app", "cloud", "co", "cn", "eu", "internal", "local", "svc"];
/// From this length on, a word of mixed letters and digits is taken for a key.
const LONG: usize = 40;

/// The text, at most 1000 characters of it, with every key, URL and host replaced by what it was.
pub fn scrub(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MOST));
    let bounded: String = text.chars().take(MOST).collect();
    let mut rest = bounded.as_str();
    while !rest.is_empty() {
        let begin = rest.find(|c| !between(c)).unwrap_or(rest.len());
        let (gap, word_on) = rest.split_at(begin);
        let (word, after) = word_on.split_at(word_on.find(between).unwrap_or(word_on.len()));
        out.push_str(gap);
        let core = word.trim_end_matches(['.', ':', ';', '!', '?']);
        match secret(core) {
            Some(name) => {
                out.push_str(name);
                out.push_str(&word[core.len()..]);
            }
            None => out.push_str(word),
        }
        rest = after;
    }
    out
}

/// Whether `c` stands between words.
fn between(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"'`,()[]{}<>=|".contains(c)
}

fn secret(word: &str) -> Option<&'static str> {
    if word.contains("://") {
        return Some("[url]");
    }
    // `key:sk-…` and the like.
    if word.split([':', '/']).any(is_key) {
        return Some("[key]");
    }
    word.split(['/', '@']).any(is_host).then_some("[host]")
}

fn is_key(word: &str) -> bool {
    let known = KEYS.iter().any(|prefix| word.len() > prefix.len() + 3 && word.starts_with(prefix));
    let mixed = word.bytes().any(|b| b.is_ascii_digit()) && word.bytes().any(|b| b.is_ascii_alphabetic());
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_+*.".contains(&b));
    known || (word.len() >= LONG && mixed && plain)
}

fn is_host(word: &str) -> bool {
    let (host, port) = word.split_once(':').map_or((word, None), |(host, port)| (host, Some(port)));
    let has_port = port.is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    let labels: Vec<&str> = host.split('.').collect();
    let numbers = labels.len() == 4 && labels.iter().all(|l| l.parse::<u8>().is_ok());
    let named = labels.len() > 1 && labels.last().is_some_and(|last| ENDINGS.contains(last));
    host == "localhost" || numbers || named || (has_port && labels.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::scrub;

    #[test]
    fn what_must_not_be_seen_is_replaced_and_the_rest_is_kept() {
        let check = |text: &str, expect: &str| assert_eq!(scrub(text), expect);
        check("Incorrect API key provided: sk-proj-ab*****xyz.", "Incorrect API key provided: [key].");
        check("boom http://10.0.0.7:9/secret sk-upstream-SECRET", "boom [url] [key]");
        check("no route to 10.0.0.7:8080 or api.openai.com", "no route to [host] or [host]");
        check("localhost:11434 refused", "[host] refused");
        check("(key=AIzaSyA1234567)", "(key=[key])");
        check("for org-AbCdEf12 on model gpt-4o-mini", "for [key] on model gpt-4o-mini");
        check(
            "messages.0.content: 'x' is too long (4.5 > 3.0)",
            "messages.0.content: 'x' is too long (4.5 > 3.0)",
        );
        check("see user@example.com", "see [host]");
        check(&"a1".repeat(30), "[key]");
        check("", "");
        assert_eq!(scrub(&"ü ".repeat(2000)).chars().count(), 1000);
    }
}
