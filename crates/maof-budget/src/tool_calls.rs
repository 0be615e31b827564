//! Calls of tools that a reply may ask for, where a budget counts them.
//!
//! Nobody knows beforehand how many a model asks for at once. So a call holds as many as models hardly ever do, or, where that is
//! refused, one for each choice; and a reply that asks for more than it holds fails at that point, as a call does that a budget
//! refuses. What it had asked for until then counts, since the provider bills the reply.

use std::task::Poll;

use futures::stream::{self, StreamExt as _};
use maof_core::{Call, Error, Event, Events, Reply, Result, Retry, ToolChoice};

/// So many calls of tools at once are held for each choice, unless the caller wants one at a time.
const AT_ONCE: u64 = 16;

/// As many as a reply may ask for.
pub(crate) fn most(call: &Call) -> u64 {
    let Ok(chat) = call.body.chat() else { return 0 };
    least(call).saturating_mul(if chat.parallel_tool_calls == Some(false) { 1 } else { AT_ONCE })
}

/// As few as let a model call a tool at all.
pub(crate) fn least(call: &Call) -> u64 {
    match call.body.chat() {
        Ok(chat) if !chat.tools.is_empty() && chat.tool_choice != Some(ToolChoice::None) => {
            call.body.choices()
        }
        _ => 0,
    }
}

/// The reply, which fails where it asks for more.
///
/// # Errors
/// `budget_exceeded` where a whole one asks for more.
pub(crate) fn within(reply: Reply, most: u64) -> Result<Reply> {
    let asked = reply.response().map_or(0, |response| match response.finish {
        Some(maof_core::Finish::ToolCalls) => response.tool_calls(),
        _ => 0,
    });
    match asked > most {
        true => Err(too_many(most)),
        false => Ok(reply.map_events(|events| bounded(events, most))),
    }
}

fn bounded(mut events: Events, most: u64) -> Events {
    let mut asked = 0;
    Box::pin(stream::poll_fn(move |cx| {
        let item = std::task::ready!(events.poll_next_unpin(cx));
        asked += item.as_ref().map_or(0, |event| event.as_ref().map_or(0, begun));
        Poll::Ready(if asked > most { Some(Err(too_many(most))) } else { item })
    }))
}

fn begun(event: &Event) -> u64 {
    event.deltas.iter().filter(|delta| delta.begins_tool_call()).count() as u64
}

fn too_many(most: u64) -> Error {
    let why = format!(
        "the reply asks for more calls of tools than a budget has left: {most}; ask for one at a time (parallel_tool_calls), or \
         raise limit_tool_calls"
    );
    Error::budget_exceeded(why).param("limit_tool_calls").retry_is(Retry::Never)
}

#[cfg(test)]
#[path = "tests/tool_calls.rs"]
mod tests;
