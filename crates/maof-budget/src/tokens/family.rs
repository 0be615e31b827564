//! Families of models, and what is known of how each counts.
//!
//! OpenAI publishes encodings for its models, so their texts are counted exactly. For the others a text is counted by
//! the encoding that is nearest, times what was measured: against the vocabulary where there is a public one (Llama,
//! Mistral, DeepSeek, Qwen), against what providers reported for recorded requests elsewhere. What surrounds the texts
//! is added by rules, published ones or those that recordings show. docs/tokens.md states how far each was off.

use super::encoding::Encoding;

/// Models that count alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI's, whose texts are counted exactly.
    OpenAi(Encoding),
    /// OpenAI's open models, whose texts are counted exactly, too: their prompts are framed otherwise.
    GptOss,
    /// Anthropic's up to Claude Opus 4.6 and Sonnet 4.6.
    Claude,
    /// Anthropic's from Claude Opus 4.7 on, whose release notes say that the same text is up to 35 % more tokens
    /// (<https://docs.claude.com/en/docs/about-claude/models/migrating-to-claude-4>, 2026-04).
    Claude47,
    /// Google's.
    Gemini,
    /// Meta's, from Llama 3 on.
    Llama,
    /// Mistral's.
    Mistral,
    /// DeepSeek's.
    DeepSeek,
    /// Alibaba's.
    Qwen,
    /// Any other.
    Other,
}

/// What a request has beside its texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Its messages, those of the system included.
    pub messages: u64,
    /// The tools that it offers.
    pub tools: u64,
    /// The tool calls in its messages.
    pub calls: u64,
    /// Whether it asks the model to think.
    pub thinks: bool,
}

/// How a family counts a request, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    /// By which encoding texts are counted.
    encoding: Encoding,
    /// Tokens for 100 of that encoding.
    text: u64,
    /// Once a request.
    request: u64,
    /// For each message, its role included.
    message: u64,
    /// Once, where there are tools.
    tools: u64,
    /// For each tool, beyond the texts of its description and schema.
    tool: u64,
    /// For each tool call in the conversation, beyond the texts of its name and arguments.
    call: u64,
    /// Once, where the model is asked to think.
    thought: u64,
    /// What is added to be on the safe side, in percent.
    margin: u64,
}

impl Family {
    /// The family of a model, by its name; a path before the name does not matter.
    pub fn of(model: &str) -> Family {
        if model.contains("gpt-oss") {
            return Family::GptOss;
        }
        if let Some(encoding) = Encoding::of(model) {
            return Family::OpenAi(encoding);
        }
        let name = model.to_ascii_lowercase();
        let has = |part: &str| name.contains(part);
        // A distilled model has the tokens of the one that it was made of: `deepseek-r1-distill-llama-70b`.
        if has("claude") {
            let newer = ["opus-4-7", "opus-4.7", "opus-4-8", "opus-4.8", "-5-", "fable", "mythos"];
            let is_newer = newer.iter().any(|n| has(n)) || (name.ends_with("-5") && !name.ends_with("-4-5"));
            let older = ["-4-5", "-4.5", "-3-5", "-3.5"].iter().any(|n| has(n));
            if is_newer && !older { Family::Claude47 } else { Family::Claude }
        } else if has("gemini") {
            Family::Gemini
        } else if has("llama") {
            Family::Llama
        } else if has("qwen") || has("qwq") {
            Family::Qwen
        } else if ["mistral", "ministral", "mixtral", "codestral", "devstral", "magistral", "pixtral"]
            .iter()
            .any(|n| has(n))
        {
            Family::Mistral
        } else if has("deepseek") {
            Family::DeepSeek
        } else {
            Family::Other
        }
    }

    fn rule(self) -> Rule {
        use Encoding::{Cl100k, O200k};
        let rule = |(encoding, text), [request, message, tools, tool, call, thought]: [u64; 6], margin| {
            Rule { encoding, text, request, message, tools, tool, call, thought, margin }
        };
        match self {
            // Three for the reply's opening, three and a role for a message, twelve at the end of tools, seven for each
            // (https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken, 2025).
            Family::OpenAi(encoding) => rule((encoding, 100), [3, 4, 12, 7, 12, 0], 10),
            Family::GptOss => rule((O200k, 100), [70, 4, 30, 7, 12, 0], 20),
            // Anthropic publishes a fixed number for tools (290 to 804, by model and choice:
            // https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview, 2026); these are between, the rest is
            // as recorded. The old encoding, since theirs is poor in other scripts too.
            Family::Claude => rule((Cl100k, 112), [3, 5, 520, 40, 10, 28], 25),
            Family::Claude47 => rule((Cl100k, 145), [3, 5, 580, 60, 10, 0], 25),
            Family::Gemini => rule((O200k, 102), [0, 1, 5, 12, 4, 0], 20),
            // Llama's vocabulary is that of cl100k and more.
            Family::Llama => rule((Cl100k, 100), [35, 5, 110, 30, 10, 0], 25),
            Family::Mistral => rule((O200k, 108), [12, 3, 6, 14, 4, 0], 25),
            Family::DeepSeek => rule((Cl100k, 105), [2, 2, 200, 60, 20, 0], 25),
            Family::Qwen => rule((Cl100k, 103), [3, 5, 85, 30, 10, 0], 15),
            Family::Other => rule((Cl100k, 125), [3, 5, 200, 60, 20, 30], 50),
        }
    }

    /// The tokens of a text, with nothing around it: exact for OpenAI's, for the others an estimate.
    pub fn text(self, text: &str) -> u64 {
        let rule = self.rule();
        (rule.encoding.count(text) * rule.text).div_ceil(100)
    }

    /// What is added to the texts of a request.
    pub fn around(self, around: Around) -> u64 {
        let rule = self.rule();
        let tools = if around.tools > 0 { rule.tools } else { 0 };
        let thought = if around.thinks { rule.thought } else { 0 };
        let each = [(around.messages, rule.message), (around.tools, rule.tool), (around.calls, rule.call)];
        each.iter().fold(rule.request + tools + thought, |sum, (many, tokens)| {
            sum.saturating_add(many.saturating_mul(*tokens))
        })
    }

    /// An estimate with the family's margin: what it is taken for where too few would cost more than too many.
    pub fn at_most(self, tokens: u64) -> u64 {
        tokens.saturating_add((tokens.saturating_mul(self.rule().margin)).div_ceil(100))
    }
}
