//! Why a call went where it went, in its span.

use maof_core::{Decision, Observe, Signal};
use tracing::Span;
use tracing::field::display;

use crate::names::attribute;

/// Candidates of a decision that are written out; more would fill the log of whoever has hundreds.
const WRITTEN: usize = 8;

/// Writes decisions of the router into the span of the call that they are made for. Words cost more than a decision, so
/// they are made only where somebody listens to the span.
#[derive(Clone, Copy, Debug, Default)]
pub struct InSpans;

impl Observe for InSpans {
    fn on(&self, signal: Signal<'_>) {
        if let Signal::Routed { decision } = signal {
            let span = Span::current();
            if !span.is_disabled() {
                write(&span, decision);
            }
        }
    }
}

fn write(span: &Span, decision: &Decision) {
    span.record(attribute::ROUTE_DECISION, display(decision.id));
    span.record(attribute::ROUTE_STRATEGY, decision.why.strategy);
    if let Some(arm) = &decision.why.arm {
        span.record(attribute::ROUTE_ARM, display(arm));
    }
    if let Some(propensity) = decision.propensity {
        span.record(attribute::ROUTE_PROPENSITY, propensity);
    }
    let mut told = decision.explain();
    told.candidates.truncate(WRITTEN);
    told.left_out.truncate(WRITTEN);
    span.record(attribute::ROUTE_ORDER, display(told));
}
