//! Costs worked out by hand: units times the published price, each product written out.
//!
//! Prices are US dollars for a million units (server tools: for one), as the vendor's page said on the day that is given; a
//! product is in nano-dollars.

use maof_core::Unit::{
    self, AudioInput, CacheWrite, CacheWriteLong, CachedInput, Image, ImageOutput, Input, Output, Reasoning,
    ServerTool,
};

/// A recorded exchange and its cost.
pub(crate) struct Row {
    /// The folder and the recording.
    pub(crate) recorded: (&'static str, &'static str),
    /// Provider and model, as price files name them.
    pub(crate) model: (&'static str, &'static str),
    /// When it is priced, in hours since 1970.
    pub(crate) at: (&'static str, u8),
    /// Where the price was published, and the day on which it was read there.
    #[allow(dead_code, reason = "for readers")]
    pub(crate) published: (&'static str, &'static str),
    /// Each class: units, the price, and the product in nano-dollars.
    pub(crate) parts: &'static [(Unit, u64, &'static str, &'static str)],
    /// The sum, rounded up to a nano-dollar.
    pub(crate) nanos: i64,
}

const CLAUDE: (&str, &str) = ("https://platform.claude.com/docs/en/about-claude/pricing", "2026-10");
const OPENAI: (&str, &str) = ("https://developers.openai.com/api/docs/pricing", "2026-11-05");
const GEMINI: (&str, &str) = ("https://ai.google.dev/gemini-api/docs/pricing", "2026-10-07");
const DEEPSEEK: (&str, &str) = ("https://api-docs.deepseek.com/quick_start/pricing", "2026-08");
const GROQ: (&str, &str) = ("https://console.groq.com/docs/models", "2026-05");
const MISTRAL: (&str, &str) = ("https://docs.mistral.ai/inference/pricing", "2026-09-29");
const OPENROUTER: (&str, &str) = ("https://openrouter.ai/openai/gpt-5.2", "2026-10");

/// At least one exchange of each provider and class of usage that is recorded.
pub(crate) const ROWS: [Row; 14] = [
    Row {
        recorded: (
            "anthropic",
            "rig__messages_thinking__static_prefix_ttl_coexists_with_extended_thinking#0",
        ),
        model: ("anthropic", "claude-sonnet-4-6"),
        at: ("2026-10-20", 12),
        published: CLAUDE,
        parts: &[
            (Input, 10, "3.00", "30000"),
            (CacheWrite, 67, "3.75", "251250"),
            (CacheWriteLong, 1_603, "6.00", "9618000"),
            (Output, 6, "15.00", "90000"),
            (Reasoning, 7, "15.00", "105000"),
        ],
        nanos: 10_094_250,
    },
    Row {
        recorded: ("anthropic", "rig__opus_4_8__web_search_with_dynamic_filtering_succeeds#0"),
        model: ("anthropic", "claude-opus-4-8"),
        at: ("2026-10-20", 12),
        published: CLAUDE,
        parts: &[
            (Input, 22_205, "5.00", "111025000"),
            (Output, 1_552, "25.00", "38800000"),
            (ServerTool, 2, "0.01", "20000000"),
        ],
        nanos: 169_825_000,
    },
    Row {
        recorded: ("deepseek", "rig__extractor_usage__extract_and_extract_with_usage_return_same_data#1"),
        model: ("deepseek", "deepseek-v4-flash"),
        at: ("2026-06-01", 12),
        published: DEEPSEEK,
        parts: &[
            (Input, 49, "0.14", "6860"),
            (CachedInput, 384, "0.0028", "1075.2"),
            (Output, 79, "0.28", "22120"),
            (Reasoning, 25, "0.28", "7000"),
        ],
        nanos: 37_056,
    },
    // The same at a later day's peak hour.
    Row {
        recorded: ("deepseek", "rig__extractor_usage__extract_and_extract_with_usage_return_same_data#1"),
        model: ("deepseek", "deepseek-v4-flash"),
        at: ("2026-10-27", 2),
        published: ("https://api-docs.deepseek.com/quick_start/pricing", "2026-10-27"),
        parts: &[
            (Input, 49, "0.30", "14700"),
            (CachedInput, 384, "0.006", "2304"),
            (Output, 79, "1.20", "94800"),
            (Reasoning, 25, "1.20", "30000"),
        ],
        nanos: 141_804,
    },
    Row {
        recorded: ("gemini", "pydantic-ai__test_google__test_google_model_youtube_video_url_input#0"),
        model: ("google", "gemini-2.5-flash"),
        at: ("2026-10-20", 12),
        published: GEMINI,
        parts: &[
            (Input, 15_796, "0.30", "4738800"),
            (AudioInput, 1_917, "1.00", "1917000"),
            (Output, 100, "2.50", "250000"),
            (Reasoning, 1_176, "2.50", "2940000"),
        ],
        nanos: 9_845_800,
    },
    Row {
        recorded: ("groq", "pydantic-ai__test_groq__test_tool_use_failed_error#2"),
        model: ("groq", "openai/gpt-oss-120b"),
        at: ("2026-10-20", 12),
        published: GROQ,
        parts: &[
            (Input, 80, "0.15", "12000"),
            (CachedInput, 256, "0.075", "19200"),
            (Output, 37, "0.60", "22200"),
            (Reasoning, 59, "0.60", "35400"),
        ],
        nanos: 88_800,
    },
    Row {
        recorded: ("mistral", "rig__agent_tool_sessions__sequential_complex_tool_calls_nonstreaming#1"),
        model: ("mistral", "mistral-small-latest"),
        at: ("2026-10-20", 12),
        published: MISTRAL,
        parts: &[
            (Input, 30, "0.15", "4500"),
            (CachedInput, 704, "0.015", "10560"),
            (Output, 82, "0.60", "49200"),
        ],
        nanos: 64_260,
    },
    Row {
        recorded: ("openai", "rig__image_params_matrix__additional_params_quality_reaches_the_api#0"),
        model: ("openai", "gpt-image-1-mini"),
        at: ("2026-10-20", 12),
        published: OPENAI,
        parts: &[
            (Input, 14, "2.00", "28000"),
            (ImageOutput, 272, "8.00", "2176000"),
            // Told beside its tokens, and not charged again.
            (Image, 1, "0", "0"),
        ],
        nanos: 2_204_000,
    },
    Row {
        recorded: ("openai", "pydantic-ai__test_openai__test_openai_moderation_flagged#0"),
        model: ("openai", "gpt-5-2025-08-07"),
        at: ("2026-10-20", 12),
        published: OPENAI,
        parts: &[
            (Input, 12, "1.25", "15000"),
            (Output, 288, "10.00", "2880000"),
            (Reasoning, 1_600, "10.00", "16000000"),
        ],
        nanos: 18_895_000,
    },
    Row {
        recorded: ("openai", "rig__embedding_matrix__dimensions_request#0"),
        model: ("openai", "text-embedding-3-small"),
        at: ("2026-10-20", 12),
        published: OPENAI,
        parts: &[(Input, 31, "0.02", "620")],
        nanos: 620,
    },
    Row {
        recorded: (
            "openai_responses",
            "pydantic-ai__test_openai_responses__test_openai_responses_thinking_with_tool_calls#1",
        ),
        model: ("openai", "gpt-5-2025-08-07"),
        at: ("2026-10-20", 12),
        published: OPENAI,
        parts: &[
            (Input, 39, "1.25", "48750"),
            (CachedInput, 2_048, "0.125", "256000"),
            (Output, 124, "10.00", "1240000"),
        ],
        nanos: 1_544_750,
    },
    Row {
        recorded: (
            "openai_responses",
            "pydantic-ai__test_openai_responses__test_openai_responses_model_web_search_tool_without_external_access#0",
        ),
        model: ("openai", "gpt-5.6-sol"),
        at: ("2026-10-20", 12),
        published: OPENAI,
        parts: &[
            (Input, 4_158, "4.00", "16632000"),
            (CacheWrite, 4_418, "5.00", "22090000"),
            (Output, 20, "20.00", "400000"),
            (Reasoning, 32, "20.00", "640000"),
            (ServerTool, 1, "0.01", "10000000"),
        ],
        nanos: 49_762_000,
    },
    Row {
        recorded: ("openrouter", "rig__reasoning_roundtrip__nonstreaming#0"),
        model: ("openrouter", "openai/gpt-5.2-20251211"),
        at: ("2026-10-20", 12),
        published: OPENROUTER,
        parts: &[
            (Input, 73, "1.75", "127750"),
            (Output, 373, "14.00", "5222000"),
            (Reasoning, 137, "14.00", "1918000"),
        ],
        nanos: 7_267_750,
    },
    // Before its long context cost no more, Sonnet 4.6 was dearer from 200,000 tokens on; this is far below.
    Row {
        recorded: (
            "anthropic",
            "rig__messages_thinking__static_prefix_ttl_coexists_with_extended_thinking#0",
        ),
        model: ("anthropic", "claude-sonnet-4-6"),
        at: ("2026-03-01", 12),
        published: CLAUDE,
        parts: &[
            (Input, 10, "3.00", "30000"),
            (CacheWrite, 67, "3.75", "251250"),
            (CacheWriteLong, 1_603, "6.00", "9618000"),
            (Output, 6, "15.00", "90000"),
            (Reasoning, 7, "15.00", "105000"),
        ],
        nanos: 10_094_250,
    },
];
