//! What is to be known of a request where its answer does not say what was used.

use maof_core::{Call, Card, Delta, Event, Unit, Usage};

/// What is to be known of the request once its answer ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Choices that it wants.
    pub(crate) choices: u64,
    /// What its input probably is.
    input: Usage,
    /// The most output tokens of the answer.
    output: u64,
    /// Bytes and pieces of the answer so far; none once the upstream has told what it used.
    said: Option<(u64, u64)>,
}

impl Asked {
    pub(crate) fn of(call: &Call, card: &Card) -> Asked {
        Asked {
            choices: call.body.choices(),
            input: call.likely_input(&card.tariff),
            output: call.body.max_output(card.max_output),
            said: Some((0, 0)),
        }
    }

    pub(crate) fn note(&mut self, event: &Event) {
        let Some((said, pieces)) = &mut self.said else { return };
        for bytes in event.deltas.iter().map(Delta::bytes) {
            *said += bytes;
            *pieces += u64::from(bytes > 0);
        }
        if event.deltas.iter().any(|delta| matches!(delta, Delta::Usage(_))) {
            self.said = None;
        }
    }

    /// What was probably used, unless the upstream has told it.
    pub(crate) fn estimate(&self) -> Option<Usage> {
        self.said.map(|(said, pieces)| self.used(said, pieces))
    }

    /// What was probably used for an answer of so many bytes, in so many pieces where it was streamed: a quarter of the
    /// bytes of English text are tokens, no piece has less than one, and there are no more than may come.
    pub(crate) fn used(&self, said: u64, pieces: u64) -> Usage {
        self.input.with(Unit::Output, said.div_ceil(4).max(pieces).min(self.output)).estimate()
    }
}
