//! Counts a text that comes in parts, as if it had come whole.

use super::class::{Class, at, class};
use super::encoding::Encoding;

/// A run without a certain border that is longer than this, in bytes, is cut.
const LONGEST_RUN: usize = 64 * 1024;

/// The count of a text that comes in parts, at whatever places it is cut. Keeps what may still belong together with
/// what comes, mostly a word.
///
/// ```
/// use maof_budget::tokens::Encoding;
/// let mut stream = Encoding::O200k.stream();
/// for part in ["The quick bro", "wn fox ", " ju", "mps."] {
///     stream.push(part);
/// }
/// assert_eq!(stream.tokens(), Encoding::O200k.count("The quick brown fox  jumps."));
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    encoding: Encoding,
    counted: u64,
    pending: String,
    exact: bool,
}

impl Stream {
    pub(crate) fn new(encoding: Encoding) -> Stream {
        Stream { encoding, counted: 0, pending: String::new(), exact: true }
    }

    /// Adds the next part.
    pub fn push(&mut self, part: &str) {
        let mut rest = part;
        if !self.pending.is_empty() {
            let before = self.pending.chars().next_back();
            let Some(border) = borders(before, rest).next() else {
                self.pending.push_str(rest);
                return self.relieve();
            };
            let (first, after) = rest.split_at(border);
            self.pending.push_str(first);
            self.counted += self.encoding.count(&self.pending);
            self.pending.clear();
            rest = after;
        }
        let whole = last_border(rest);
        let (whole, pending) = rest.split_at(whole);
        self.counted += self.encoding.count(whole);
        self.pending.push_str(pending);
        self.relieve();
    }

    /// The tokens of all that came, as if it ended here.
    pub fn tokens(&self) -> u64 {
        self.counted + self.encoding.count(&self.pending)
    }
}

impl Stream {
    /// Whether [`tokens`](Stream::tokens) is exact. It is not after a run of one kind (letters, signs, white space)
    /// of more than 64 KiB: that is cut, and each cut may be a few tokens too many.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Keeps what is pending bounded.
    fn relieve(&mut self) {
        if self.pending.len() <= LONGEST_RUN {
            return;
        }
        // What ends before this cannot change: beyond its end, a piece depends on a run of capitals or of white
        // space at most, and on a contraction.
        let text = self.pending.as_str();
        let decisive = |c: char| !matches!(class(c), Class::Upper | Class::Space | Class::Newline);
        let margin = text.floor_char_boundary(text.len() - 4);
        let sure = text.get(..margin).and_then(|t| t.rfind(decisive)).unwrap_or(0);
        let mut end = 0;
        while let Some(next) = self.encoding.rule().piece(text, end).filter(|next| *next <= sure) {
            end = next;
        }
        if end == 0 {
            end = text.len();
            self.exact = false;
        }
        self.counted += text.get(..end).map_or(0, |sure| self.encoding.count(sure));
        self.pending.drain(..end);
    }
}

/// Whether pieces never join these two, and none before depends on what follows them, in both encodings.
fn is_border(before: Class, after: Class, sign: u8) -> bool {
    match (before, after) {
        // A run of white space is split by what follows it; but a newline always ends one.
        (Class::Space, _) => false,
        (Class::Newline, _) => !after.is_white() && sign != b'/',
        (_, Class::Space) => true,
        (Class::Number, _) => after != Class::Number,
        (_, Class::Number) => true,
        (_, Class::Newline) => before.is_letter(),
        (_, Class::Sign) => before.is_letter() && sign != b'\'',
        _ => false,
    }
}

/// The borders in `text`, which follows `before`.
fn borders(before: Option<char>, text: &str) -> impl Iterator<Item = usize> {
    let mut before = before.map(class);
    let mut place = 0;
    std::iter::from_fn(move || {
        while let Some((after, len)) = at(text, place) {
            let here = place;
            let sign = text.as_bytes().get(here).copied().unwrap_or(0);
            place += len;
            if before.replace(after).is_some_and(|before| is_border(before, after, sign)) {
                return Some(here);
            }
        }
        None
    })
}

fn last_border(text: &str) -> usize {
    let mut after: Option<(usize, char)> = None;
    for (place, c) in text.char_indices().rev() {
        if let Some((border, next)) = after
            && is_border(class(c), class(next), text.as_bytes().get(border).copied().unwrap_or(0))
        {
            return border;
        }
        after = Some((place, c));
    }
    0
}
