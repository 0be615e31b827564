//! Counts the tokens of a piece of any length, byte by byte, in time proportional to it and with bounded memory.
//!
//! Two facts make it possible (shown in the README of the crate `bpe`, <https://github.com/github/rust-gems/tree/main/crates/bpe>).
//! Tokens in a row are what byte pair encoding makes of their bytes exactly if each two neighbours are what it makes
//! of theirs. And so a text's last token is the one token at its end that may follow the last token of what is
//! before it. What is before it ends at most a token's length back; that much is kept.

use super::vocabulary::{LONGEST, NONE, Vocabulary};

/// How many ends are kept: a power of two beyond the longest token.
const KEPT: usize = 2 * LONGEST;

/// The bytes of a piece so far, and what byte pair encoding makes of each of its beginnings.
#[derive(Clone)]
pub(crate) struct Ends {
    len: u64,
    bytes: [u8; KEPT],
    /// For each beginning, by its length: its last token, and how many tokens it is.
    ends: [(u32, u64); KEPT],
    /// How many bytes at the end are equal.
    equal: usize,
}

impl Default for Ends {
    fn default() -> Self {
        Ends { len: 0, bytes: [0; KEPT], ends: [(NONE, 0); KEPT], equal: 0 }
    }
}

impl Ends {
    /// The tokens of the whole piece, of which this is the beginning.
    pub(crate) fn count(&mut self, vocabulary: &Vocabulary, piece: &[u8]) -> u64 {
        let suffixes = vocabulary.suffixes();
        for byte in piece {
            self.push(vocabulary, suffixes, *byte);
        }
        self.tokens()
    }

    /// The tokens so far.
    pub(crate) fn tokens(&self) -> u64 {
        self.end(0).1
    }

    /// The end so many bytes before the last one.
    fn end(&self, back: usize) -> (u32, u64) {
        self.ends[(self.len as usize).wrapping_sub(back) % KEPT]
    }

    fn byte(&self, back: usize) -> u8 {
        self.bytes[(self.len as usize).wrapping_sub(back) % KEPT]
    }

    fn push(&mut self, vocabulary: &Vocabulary, suffixes: &Suffixes, byte: u8) {
        self.equal = if self.len > 0 && self.byte(0) == byte { self.equal + 1 } else { 1 };
        self.len += 1;
        self.bytes[self.len as usize % KEPT] = byte;
        let end = self.last(vocabulary, suffixes, byte);
        self.ends[self.len as usize % KEPT] = end;
    }

    /// The last token, and how many there are with it.
    fn last(&self, vocabulary: &Vocabulary, suffixes: &Suffixes, byte: u8) -> (u32, u64) {
        let fits = |(id, len): (u32, usize)| {
            let (before, tokens) = self.end(len);
            let follows = before == NONE || may_follow(vocabulary, before, id);
            follows.then_some((id, tokens + 1))
        };
        // In a run of one byte, the tokens are runs too. Mostly the last one is a byte longer than before.
        if self.equal > LONGEST {
            let runs = suffixes.runs(byte);
            let run = |len: usize| runs.get(len).copied().filter(|id| *id != NONE).map(|id| (id, len));
            let longer = run(vocabulary.token(self.end(1).0).len() + 1).and_then(fits);
            return longer
                .or_else(|| (1..runs.len()).rev().filter_map(run).find_map(fits))
                .unwrap_or((NONE, 0));
        }
        let mut found = [(NONE, 0); LONGEST];
        let mut n = 0;
        let mut node = Suffixes::ROOT;
        let most = usize::try_from(self.len).unwrap_or(LONGEST).min(LONGEST);
        for back in 0..most {
            let Some(next) = suffixes.child(node, self.byte(back)) else { break };
            node = next;
            if let Some(id) = suffixes.token(node) {
                found[n] = (id, back + 1);
                n += 1;
            }
        }
        found[..n].iter().rev().copied().find_map(fits).unwrap_or((NONE, 0))
    }
}

/// Whether byte pair encoding leaves these two tokens as they are: whether none of the merges that made them would
/// have come later than one across their border.
pub(crate) fn may_follow(vocabulary: &Vocabulary, mut first: u32, mut second: u32) -> bool {
    let mut limit = NONE;
    loop {
        if vocabulary.merged(first, second) < limit {
            return false;
        }
        // Undoes the later of the two merges, and asks again.
        let (into, from) = (vocabulary.parts(first).1, vocabulary.parts(second).0);
        let (first_whole, second_whole) = (into == first, from == second);
        match (first_whole, second_whole) {
            (true, true) => return true,
            // The merges at the left come first among equals.
            _ if !first_whole && (first > second || second_whole) => {
                limit = first;
                first = into;
            }
            _ => {
                limit = second + 1;
                second = from;
            }
        }
    }
}

/// All tokens, read from their ends.
pub(crate) struct Suffixes {
    /// The child of a node by a byte: node, byte and child in 24, 8 and 24 bits.
    children: Vec<u64>,
    tokens: Vec<u32>,
    /// Of each byte the tokens that repeat it, by their lengths.
    runs: Vec<Vec<u32>>,
}

impl Suffixes {
    const ROOT: u32 = 0;

    pub(crate) fn new(vocabulary: &Vocabulary) -> Suffixes {
        let mut s =
            Suffixes { children: vec![u64::MAX; 1 << 16], tokens: vec![NONE], runs: vec![Vec::new(); 256] };
        for id in 0..vocabulary.len() {
            let token = vocabulary.token(id);
            let mut node = Suffixes::ROOT;
            for byte in token.iter().rev() {
                node = s.child(node, *byte).unwrap_or_else(|| s.grow(node, *byte));
            }
            s.tokens[node as usize] = id;
            if let [byte, rest @ ..] = token
                && rest.iter().all(|b| b == byte)
            {
                let runs = &mut s.runs[usize::from(*byte)];
                runs.resize(runs.len().max(token.len() + 1), NONE);
                runs[token.len()] = id;
            }
        }
        s
    }

    fn grow(&mut self, node: u32, byte: u8) -> u32 {
        let child = self.tokens.len() as u32;
        self.tokens.push(NONE);
        if self.tokens.len() * 2 > self.children.len() {
            let old = std::mem::take(&mut self.children);
            self.children = vec![u64::MAX; old.len() * 2];
            for entry in old.into_iter().filter(|e| *e != u64::MAX) {
                self.put(entry);
            }
        }
        self.put((u64::from(node) << 8 | u64::from(byte)) << 24 | u64::from(child));
        child
    }

    fn slot(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - self.children.len().trailing_zeros())) as usize
    }

    fn put(&mut self, entry: u64) {
        let mut i = self.slot(entry >> 24);
        while self.children[i] != u64::MAX {
            i = (i + 1) & (self.children.len() - 1);
        }
        self.children[i] = entry;
    }

    fn child(&self, node: u32, byte: u8) -> Option<u32> {
        let key = u64::from(node) << 8 | u64::from(byte);
        let mut i = self.slot(key);
        loop {
            let entry = self.children[i];
            if entry >> 24 == key {
                return Some((entry & 0xff_ffff) as u32);
            }
            if entry == u64::MAX {
                return None;
            }
            i = (i + 1) & (self.children.len() - 1);
        }
    }

    fn token(&self, node: u32) -> Option<u32> {
        self.tokens.get(node as usize).copied().filter(|id| *id != NONE)
    }

    fn runs(&self, byte: u8) -> &[u32] {
        &self.runs[usize::from(byte)]
    }
}
