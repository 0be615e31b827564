//! Families and pictures.

use super::*;
use crate::tokens::{COUNT_AT_MOST, Count, CountTokens, Detail, Family, PICTURE_AT_MOST, Tiktoken, picture};

#[test]
fn a_model_belongs_to_the_family_of_its_name() {
    let check = |model: &str, expect: Family| assert_eq!(Family::of(model), expect, "{model}");
    check("gpt-4o", Family::OpenAi(Encoding::O200k));
    check("openai/gpt-oss-120b", Family::GptOss);
    for model in
        ["claude-3-5-sonnet-latest", "claude-sonnet-4-5", "anthropic/claude-haiku-4.5", "claude-opus-4-6"]
    {
        check(model, Family::Claude);
    }
    for model in ["claude-opus-4-7", "us.anthropic.claude-opus-5", "claude-sonnet-5", "claude-opus-4.8"] {
        check(model, Family::Claude47);
    }
    check("google/gemini-3-pro", Family::Gemini);
    check("deepseek-r1-distill-llama-70b", Family::Llama);
    check("DeepSeek-R1-Distill-Qwen-7B", Family::Qwen);
    check("deepseek-chat", Family::DeepSeek);
    check("ministral-3b-latest", Family::Mistral);
    check("Qwen3-1.7B-Q4_K_M", Family::Qwen);
    check("command-r", Family::Other);
}

#[test]
fn counts_say_whether_they_are_exact() {
    let check =
        |model: &str, text: &str, expect: Count| assert_eq!(Tiktoken.count(model, text), expect, "{model}");
    check("gpt-4o-mini", "hello world", Count::Exact(2));
    check("gpt-oss:20b", "hello world", Count::Exact(2));
    check("claude-sonnet-4-5", "hello world", Count::Estimate(3));
    check("some-other-model", "hello world", Count::Estimate(4));
    let most = "a".repeat(COUNT_AT_MOST as usize);
    assert!(matches!(Tiktoken.count("gpt-4o", &most), Count::Exact(_)));
    check("gpt-4o", &[&most, "a"].concat(), Count::Estimate(16_667));
}

#[test]
fn a_picture_has_the_tokens_of_its_makers_examples() {
    let check = |model: &str, size: (u32, u32), detail: Detail, expect: u64| {
        assert_eq!(picture(model, size, detail), expect, "{model} {size:?} {detail:?}");
    };
    // OpenAI's own examples.
    check("gpt-4o", (1024, 1024), Detail::High, 765);
    check("gpt-4o", (2048, 4096), Detail::High, 1105);
    check("gpt-4o", (4096, 8192), Detail::Low, 85);
    check("gpt-4.1-mini", (1024, 1024), Detail::High, 1659);
    check("gpt-4.1-mini", (1800, 2400), Detail::High, 2489);
    // Anthropic's.
    check("claude-sonnet-4-5", (200, 200), Detail::High, 64);
    check("claude-sonnet-4-5", (1000, 1000), Detail::High, 1296);
    check("claude-sonnet-4-5", (4000, 4000), Detail::High, 1568);
    check("claude-opus-4-8", (1920, 1080), Detail::High, 2691);
    check("claude-opus-4-8", (2000, 1500), Detail::High, 3888);
    check("claude-opus-4-8", (3840, 2160), Detail::High, 4784);
    // Google's: one tile for a small one, else tiles of 768.
    check("gemini-2.5-flash", (384, 384), Detail::High, 258);
    check("gemini-2.5-flash", (1536, 769), Detail::High, 1032);
    check("gemini-3-pro", (4000, 4000), Detail::High, 1120);
    check("gpt-5-2025-08-07", (1024, 1024), Detail::High, 630);
    check("gpt-5.6-sol", (1024, 1024), Detail::High, PICTURE_AT_MOST);
    check("gpt-4o", (0, 0), Detail::High, 255);
    check("gpt-4o", (u32::MAX, 1), Detail::High, 765);
}
