//! What every strategy reports in the same way.

use maof_core::{Answered, Error, Verdict};

/// The verdict that the member at `speaker` says, with whom those at `agreed` agree.
pub(crate) fn verdict(
    answers: Vec<Answered>,
    speaker: usize,
    agreed: &[usize],
    agreement_ppm: u32,
    tied: bool,
) -> Verdict {
    let value = answers[speaker].value.clone();
    let costs = answers.iter().map(|a| (a.agent.clone(), a.cost)).collect();
    let dissent = answers.into_iter().enumerate().filter(|(place, _)| !agreed.contains(place));
    Verdict { value, agreement_ppm, dissent: dissent.map(|(_, a)| a).collect(), costs, tied }
}

/// A share in whole millionths, rounded to the nearest.
pub(crate) fn ppm(part: u128, whole: u128) -> u32 {
    let whole = whole.max(1);
    u32::try_from((part * 1_000_000 + whole / 2) / whole).unwrap_or(1_000_000).min(1_000_000)
}

pub(crate) fn nobody() -> Error {
    Error::invalid_request("no member gave an answer that can be counted").param("key")
}
