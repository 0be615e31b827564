//! What a span is told when what it is about has ended.

use maof_core::{End, ErrorKind, Finish, Origin, Outcome};
use tracing::Span;

use crate::names::attribute;

/// How it failed and by whose fault, if it did.
pub(crate) fn failure_of(end: &End) -> Option<(ErrorKind, Origin)> {
    match &end.outcome {
        Outcome::Complete => None,
        Outcome::Failed(failure) => Some((failure.kind, failure.origin)),
        Outcome::Dropped => Some((ErrorKind::Cancelled, Origin::Caller)),
    }
}

/// How it failed, if it did.
pub(crate) fn error_of(end: &End) -> Option<ErrorKind> {
    failure_of(end).map(|(error, _)| error)
}

/// Writes the end's figures into the span: nothing where nobody listens.
pub(crate) fn record_end(span: &Span, end: &End) {
    if span.is_disabled() {
        return;
    }
    if let Some(usage) = &end.usage {
        span.record(attribute::INPUT_TOKENS, usage.input_tokens());
        span.record(attribute::OUTPUT_TOKENS, usage.output_tokens());
    }
    if let Some(model) = &end.model {
        span.record(attribute::RESPONSE_MODEL, model.as_str());
    }
    if let Some(finish) = &end.finish {
        span.record(attribute::FINISH_REASONS, tracing::field::debug([word(finish)]));
    }
    if let Some(cost) = end.cost {
        span.record(attribute::COST, cost.nanos());
    }
}

/// Writes the kind of error into the span.
pub(crate) fn record_error(span: &Span, error: ErrorKind) {
    span.record(attribute::ERROR_TYPE, error.as_str());
}

fn word(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
        Finish::Other(word) => word,
    }
}
