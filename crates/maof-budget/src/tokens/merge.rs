//! Counts the tokens of one piece.

use super::long::{Ends, may_follow};
use super::vocabulary::{NONE, Vocabulary};

/// Up to here a piece is merged on the stack, looking through all pairs for each merge: the time is quadratic, but
/// for so few bytes less than that of anything clever.
const BLOCK: usize = 96;
/// How much of a block's end is left to the next block, in bytes: so far back what follows hardly ever matters.
const OVERLAP: usize = 24;

/// The tokens of the piece of `text` from `start` to `end`, as byte pair encoding merges it.
#[inline]
pub(crate) fn count(vocabulary: &Vocabulary, text: &[u8], start: usize, end: usize) -> u64 {
    if vocabulary.is_token(text, start, end) {
        return 1;
    }
    let piece = text.get(start..end).unwrap_or_default();
    if piece.len() <= BLOCK {
        return Block::default().merge(vocabulary, piece).len() as u64;
    }
    in_blocks(vocabulary, piece).unwrap_or_else(|| Ends::default().count(vocabulary, piece))
}

/// Merges a long piece block by block. The tokens are the right ones exactly if each two neighbours may stand side by
/// side (see [`long`](super::long)). Those of one block may; where two blocks meet it is asked, and if not, none is
/// returned.
fn in_blocks(vocabulary: &Vocabulary, mut piece: &[u8]) -> Option<u64> {
    let (mut count, mut last) = (0, None);
    let mut block = Block::default();
    loop {
        let whole = piece.len() <= BLOCK;
        let tokens = block.merge(vocabulary, &piece[..piece.len().min(BLOCK)]);
        let first = *tokens.first()?;
        if last.is_some_and(|last| !may_follow(vocabulary, last, first)) {
            return None;
        }
        if whole {
            return Some(count + tokens.len() as u64);
        }
        let (mut taken, mut bytes) = (0, 0);
        for token in tokens {
            let end = bytes + vocabulary.token(*token).len();
            if end > BLOCK - OVERLAP {
                break;
            }
            (taken, bytes, last) = (taken + 1, end, Some(*token));
        }
        if taken == 0 {
            return None;
        }
        count += taken;
        piece = &piece[bytes..];
    }
}

/// Room to merge a block in.
struct Block {
    /// Of each part its token.
    tokens: [u32; BLOCK],
    /// Of each part the rank of its merge with the next one.
    ranks: [u32; BLOCK],
}

impl Default for Block {
    fn default() -> Self {
        Block { tokens: [NONE; BLOCK], ranks: [NONE; BLOCK] }
    }
}

impl Block {
    /// Merges the adjacent pair of the lowest rank, the leftmost of equals, until none merges: the tokens.
    fn merge(&mut self, vocabulary: &Vocabulary, piece: &[u8]) -> &[u32] {
        let Block { tokens, ranks } = self;
        let mut len = piece.len().min(BLOCK);
        for (token, byte) in tokens.iter_mut().zip(piece) {
            *token = vocabulary.single(*byte);
        }
        for (rank, pair) in ranks.iter_mut().zip(piece.windows(2)) {
            *rank = vocabulary.double(pair[0], pair[1]);
        }
        // The last part has no next one.
        ranks[len - 1] = NONE;
        while let Some((at, rank)) = lowest(&ranks[..len]) {
            remove(&mut tokens[at..len]);
            remove(&mut ranks[at..len]);
            len -= 1;
            tokens[at] = rank;
            ranks[at] = if at + 1 < len { vocabulary.merged(rank, tokens[at + 1]) } else { NONE };
            if at > 0 {
                ranks[at - 1] = vocabulary.merged(tokens[at - 1], rank);
            }
        }
        &tokens[..len]
    }
}

/// Up to here a plain loop is faster than what works on several numbers at once (measured).
const FEW: usize = 24;

/// The first of the lowest ranks, and where it is; none where none merges.
#[inline]
fn lowest(ranks: &[u32]) -> Option<(usize, u32)> {
    if ranks.len() > FEW {
        let lowest = ranks.iter().copied().min().filter(|rank| *rank != NONE)?;
        return Some((ranks.iter().position(|rank| *rank == lowest)?, lowest));
    }
    let (mut at, mut lowest) = (0, NONE);
    for (i, rank) in ranks.iter().enumerate() {
        if *rank < lowest {
            (at, lowest) = (i, *rank);
        }
    }
    (lowest != NONE).then_some((at, lowest))
}

/// Removes the first.
#[inline]
fn remove(parts: &mut [u32]) {
    if parts.len() > FEW {
        parts.copy_within(1.., 0);
    } else {
        for i in 1..parts.len() {
            parts[i - 1] = parts[i];
        }
    }
}
