//! An encoding's tokens, laid out for the two questions that counting asks: is this piece a token, and do these two
//! tokens merge.

use std::ops::{Range, RangeInclusive};
use std::sync::OnceLock;

use super::long::Suffixes;

/// No token.
pub(crate) const NONE: u32 = u32::MAX;
/// No token is longer, in bytes; the tests check it.
pub(crate) const LONGEST: usize = 128;
/// A token's number fits into so many bits; the tests check it.
const BITS: u32 = 18;
const EMPTY: u64 = u64::MAX;

/// The tokens of an encoding.
pub(crate) struct Vocabulary {
    /// All tokens' bytes, one after the other, in the order of rank.
    bytes: Vec<u8>,
    /// Where each token begins in them, and where the last one ends.
    starts: Vec<u32>,
    /// The two tokens that each is merged from; for one of a single byte, twice itself.
    parts: Vec<(u32, u32)>,
    singles: [u32; 256],
    /// The token of two bytes, by them.
    doubles: Vec<u32>,
    /// Merges: the first token, the second, the token that they become, in [`BITS`] bits each.
    merges: Vec<u64>,
    /// Tokens of up to 7 bytes, with their length in the highest byte.
    short: Vec<u64>,
    /// Tokens of 8 to 15 bytes, with their length in the highest byte.
    middle: Vec<u128>,
    /// The numbers of longer tokens.
    long: Vec<u32>,
    suffixes: OnceLock<Suffixes>,
}

/// A table of open addressing with room for `n` entries, at most half full, and its length's logarithm.
fn table<T: Clone>(n: usize, empty: T) -> Vec<T> {
    vec![empty; (n * 2).max(2).next_power_of_two()]
}

/// Multiplies and keeps the highest bits: all bits of a key reach them.
#[inline]
fn slot(key: u64, table_len: usize) -> usize {
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // A table has at least two entries, so the shift is at most 63.
    (hash >> (64 - table_len.trailing_zeros())) as usize
}

#[inline]
fn fold(key: u128) -> u64 {
    (key as u64) ^ ((key >> 64) as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
}

/// FNV-1a (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>), for what is too long for a number.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// Up to 15 bytes of `text` from `start`, and their number, as one number.
#[inline]
fn key(text: &[u8], start: usize, len: usize) -> u128 {
    let read = match text.get(start..start + 16).and_then(|wide| wide.first_chunk::<16>()) {
        Some(wide) => u128::from_le_bytes(*wide) & ((1 << (8 * len)) - 1),
        None => {
            let mut wide = [0; 16];
            for (to, from) in wide.iter_mut().zip(text.iter().skip(start).take(len)) {
                *to = *from;
            }
            u128::from_le_bytes(wide)
        }
    };
    read | (len as u128) << 120
}

/// The same of up to 7 bytes.
#[inline]
fn short_key(text: &[u8], start: usize, len: usize) -> u64 {
    let read = match text.get(start..start + 8).and_then(|wide| wide.first_chunk::<8>()) {
        Some(wide) => u64::from_le_bytes(*wide) & ((1 << (8 * len)) - 1),
        None => key(text, start, len) as u64,
    };
    read | (len as u64) << 56
}

#[inline]
fn merge_key(first: u32, second: u32) -> u64 {
    u64::from(first) << BITS | u64::from(second)
}

/// Puts an entry where it is found again; the table has room.
fn put<T: PartialEq>(table: &mut [T], hash: u64, empty: &T, entry: T) {
    let start = slot(hash, table.len());
    let (before, after) = table.split_at_mut(start);
    if let Some(free) = after.iter_mut().chain(before).find(|e| *e == empty) {
        *free = entry;
    }
}

/// The first entry, from where `hash` says, that is `stop`; so an entry or the empty place behind it.
#[inline]
fn find<T: Copy>(table: &[T], hash: u64, stop: impl Fn(T) -> bool) -> Option<T> {
    let mask = table.len() - 1;
    let mut i = slot(hash, table.len());
    loop {
        let entry = *table.get(i)?;
        if stop(entry) {
            return Some(entry);
        }
        i = (i + 1) & mask;
    }
}

impl Vocabulary {
    /// Reads what build.rs wrote.
    pub(crate) fn new(merges: &[u8]) -> Vocabulary {
        let tokens = merges.len() / 6;
        let number = |b: &[u8]| b.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b));
        let mut v = Vocabulary {
            bytes: Vec::with_capacity(tokens * 8),
            starts: Vec::with_capacity(tokens + 1),
            parts: Vec::with_capacity(tokens),
            singles: [NONE; 256],
            doubles: vec![NONE; 1 << 16],
            merges: table(tokens * 3 / 4, EMPTY),
            short: Vec::new(),
            middle: Vec::new(),
            long: Vec::new(),
            suffixes: OnceLock::new(),
        };
        v.starts.push(0);
        for (id, pair) in (0_u32..).zip(merges.chunks_exact(6)) {
            let (first, second) = (number(&pair[..3]), number(&pair[3..]));
            if second == 0xff_ffff {
                v.bytes.push(first as u8);
                v.singles[first as usize & 255] = id;
                v.parts.push((id, id));
            } else {
                let (a, b) = (v.range(first), v.range(second));
                v.bytes.extend_from_within(a);
                v.bytes.extend_from_within(b);
                v.parts.push((first, second));
                let key = merge_key(first, second);
                put(&mut v.merges, key, &EMPTY, key << BITS | u64::from(id));
            }
            v.starts.push(v.bytes.len() as u32);
        }
        v.index();
        v
    }

    fn index(&mut self) {
        let tokens = self.parts.len() as u32;
        let in_class = |lengths: RangeInclusive<usize>| {
            (0..tokens).filter(|id| lengths.contains(&self.range(*id).len())).count()
        };
        let mut short = table(in_class(1..=7), EMPTY);
        let mut middle = table(in_class(8..=15), u128::MAX);
        let mut long = table(in_class(16..=LONGEST), NONE);
        for id in 0..tokens {
            let range = self.range(id);
            let (start, len) = (range.start, range.len());
            match len {
                0..=7 => {
                    let key = short_key(&self.bytes, start, len);
                    put(&mut short, key, &EMPTY, key);
                }
                8..=15 => {
                    let key = key(&self.bytes, start, len);
                    put(&mut middle, fold(key), &u128::MAX, key);
                }
                _ => put(&mut long, fnv(self.token(id)), &NONE, id),
            }
            if let [a, b] = *self.token(id) {
                self.doubles[usize::from(a) << 8 | usize::from(b)] = id;
            }
        }
        (self.short, self.middle, self.long) = (short, middle, long);
    }

    fn range(&self, id: u32) -> Range<usize> {
        let at = |id: usize| self.starts.get(id).map_or(0, |start| *start as usize);
        at(id as usize)..at(id as usize + 1)
    }

    /// A token's bytes.
    pub(crate) fn token(&self, id: u32) -> &[u8] {
        self.bytes.get(self.range(id)).unwrap_or_default()
    }

    /// How many tokens there are.
    pub(crate) fn len(&self) -> u32 {
        self.parts.len() as u32
    }

    /// Whether a piece of `text` is one token.
    #[inline]
    pub(crate) fn is_token(&self, text: &[u8], start: usize, end: usize) -> bool {
        match end - start {
            len @ 0..=7 => {
                let key = short_key(text, start, len);
                find(&self.short, key, |e| e == key || e == EMPTY) == Some(key)
            }
            len @ 8..=15 => {
                let key = key(text, start, len);
                find(&self.middle, fold(key), |e| e == key || e == u128::MAX) == Some(key)
            }
            len if len <= LONGEST => {
                let piece = text.get(start..end).unwrap_or_default();
                let found = find(&self.long, fnv(piece), |e| e == NONE || self.token(e) == piece);
                found.is_some_and(|id| id != NONE)
            }
            _ => false,
        }
    }

    /// The token of one byte.
    #[inline]
    pub(crate) fn single(&self, byte: u8) -> u32 {
        self.singles[usize::from(byte)]
    }

    /// What two bytes become.
    #[inline]
    pub(crate) fn double(&self, first: u8, second: u8) -> u32 {
        let at = usize::from(first) << 8 | usize::from(second);
        self.doubles.get(at).copied().unwrap_or(NONE)
    }

    /// What two tokens become, if they merge.
    #[inline]
    pub(crate) fn merged(&self, first: u32, second: u32) -> u32 {
        let key = merge_key(first, second);
        match find(&self.merges, key, |e| e >> BITS == key || e == EMPTY) {
            Some(entry) if entry != EMPTY => (entry & ((1 << BITS) - 1)) as u32,
            _ => NONE,
        }
    }

    /// The two tokens that one is merged from; itself twice where it is a single byte.
    #[inline]
    pub(crate) fn parts(&self, id: u32) -> (u32, u32) {
        self.parts.get(id as usize).copied().unwrap_or((id, id))
    }

    /// The tokens by their ends; built when the first long piece is counted.
    pub(crate) fn suffixes(&self) -> &Suffixes {
        self.suffixes.get_or_init(|| Suffixes::new(self))
    }
}
