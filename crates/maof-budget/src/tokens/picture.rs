//! How many tokens a picture is, by its maker's rule. Sizes are in pixels.

use super::family::Family;

/// What a picture is taken for whose size is not known: the most that a picture is by any rule here at the
/// detail that is the default.
pub const PICTURE_AT_MOST: u64 = 4_784;

/// How closely a picture is to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Coarsely, at a fixed price; where the provider offers that.
    Low,
    /// As closely as the provider offers.
    #[default]
    High,
}

/// The tokens of a picture for a model.
///
/// - OpenAI's tiles and patches: <https://platform.openai.com/docs/guides/images-vision#calculating-costs>, 2025-10, for the
///   models up to GPT-5; later ones (GPT-5.6 looks at pictures in their own size) are taken for [`PICTURE_AT_MOST`].
/// - Anthropic: <https://platform.claude.com/docs/en/build-with-claude/vision>, 2026: a token for each 28 by 28 pixels of
///   a picture that is first scaled to a longest edge and to a most of tokens, which differ from Opus 4.7 on.
/// - Gemini: <https://ai.google.dev/gemini-api/docs/tokens>, 2025-10; Gemini 3:
///   <https://ai.google.dev/gemini-api/docs/media-resolution>, 2026.
///
/// Other families have no published rule: [`PICTURE_AT_MOST`].
pub fn picture(model: &str, (width, height): (u32, u32), detail: Detail) -> u64 {
    let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
    match Family::of(model) {
        Family::OpenAi(_) => openai(model, width, height, detail),
        Family::Claude => scaled(width, height, 1_568.0, 1_568),
        Family::Claude47 => scaled(width, height, 2_576.0, PICTURE_AT_MOST),
        Family::Gemini if model.contains("gemini-3") => 1_120,
        Family::Gemini if width <= 384.0 && height <= 384.0 => 258,
        Family::Gemini => 258 * tiles(width, height, 768.0),
        _ => PICTURE_AT_MOST,
    }
}

fn tiles(width: f64, height: f64, side: f64) -> u64 {
    whole((width / side).ceil() * (height / side).ceil())
}

/// Of a number that is not negative; what is too large is the largest.
fn whole(number: f64) -> u64 {
    number.ceil() as u64
}

/// What does not fit is scaled until it does, which may take some tokens less than the most.
fn scaled(width: f64, height: f64, longest: f64, most: u64) -> u64 {
    let scale = (longest / width.max(height)).min(1.0);
    tiles(width * scale, height * scale, 28.0).min(most)
}

fn openai(model: &str, width: f64, height: f64, detail: Detail) -> u64 {
    let model = model.rsplit('/').next().unwrap_or(model);
    let is = |names: &[&str]| names.iter().any(|n| model.starts_with(n));
    if is(&["gpt-5."]) || is(&["gpt-6"]) {
        return PICTURE_AT_MOST;
    }
    // Patches of 32 by 32 pixels, 1536 at most, times a factor (in percent).
    let patched = if is(&["gpt-4.1-nano", "gpt-5-nano"]) {
        Some(246)
    } else if is(&["gpt-4.1-mini", "gpt-5-mini"]) {
        Some(162)
    } else if is(&["o4-mini"]) {
        Some(172)
    } else {
        None
    };
    if let Some(percent) = patched {
        return (tiles(width, height, 32.0).min(1_536) * percent).div_ceil(100);
    }
    // A base, and tiles of 512 by 512 pixels.
    let (base, tile) = if is(&["gpt-4o-mini"]) {
        (2_833, 5_667)
    } else if is(&["gpt-5"]) {
        (70, 140)
    } else if is(&["o1", "o3"]) {
        (75, 150)
    } else {
        (85, 170)
    };
    if detail == Detail::Low {
        return base;
    }
    // First into a square of 2048, then the shorter edge to 768.
    let fit = (2_048.0 / width.max(height)).min(1.0);
    let (width, height) = (width * fit, height * fit);
    let scale = (768.0 / width.min(height)).min(1.0);
    base + tile * tiles(width * scale, height * scale, 512.0)
}
