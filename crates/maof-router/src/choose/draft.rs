//! An order in the making.

use maof_core::LeftOut;

use crate::pool::{Pool, Seat};

/// Who is asked, as far as it is decided.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) pool: &'a Pool,
    /// Sorted: 16 bits of the group, 32 of a key that the next sorting goes by, 16 of the place in the pool.
    pub(super) rows: Vec<u64>,
    pub(super) stages: usize,
    /// `stages` numbers for each place of the pool; empty until a stage says something.
    scores: Vec<f32>,
    pub(super) left_out: Vec<(u16, LeftOut)>,
    /// One who rests and is looked at by this call.
    pub(super) looked_at: Option<u16>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(pool: &'a Pool, stages: usize) -> Self {
        let rows = Vec::with_capacity(pool.seats.len());
        Draft { pool, rows, stages, scores: Vec::new(), left_out: Vec::new(), looked_at: None }
    }

    /// Notes what a stage says of a candidate.
    pub(super) fn score(&mut self, place: u16, stage: usize, score: f32) {
        let at = usize::from(place) * self.stages + stage;
        if let Some(cell) = self.scores().get_mut(at) {
            *cell = score;
        }
    }

    /// Everybody's scores.
    fn scores(&mut self) -> &mut [f32] {
        if self.scores.is_empty() {
            self.scores = vec![f32::NAN; self.pool.seats.len() * self.stages];
        }
        &mut self.scores
    }

    /// Notes what a stage says of everybody, and gives each row the key that `key` makes of it.
    pub(super) fn score_all(&mut self, stage: usize, score: impl Fn(&Seat) -> f32, key: impl Fn(f32) -> u32) {
        let (pool, stages) = (self.pool, self.stages);
        self.scores();
        for row in &mut self.rows {
            let at = usize::from(place(*row));
            let Some(seat) = pool.seats.get(at) else { continue };
            let score = score(seat);
            if let Some(cell) = self.scores.get_mut(at * stages + stage) {
                *cell = score;
            }
            *row = group(*row) << 48 | u64::from(key(score)) << 16 | u64::from(place(*row));
        }
    }

    /// Sorts by the keys; who has the same group and key is of one group from now on.
    pub(super) fn regroup(&mut self) {
        if deal(&mut self.rows) {
            return;
        }
        self.rows.sort_unstable();
        let (mut group, mut last) = (0_u64, self.rows.first().map_or(0, |row| row >> 16));
        for row in &mut self.rows {
            let this = *row >> 16;
            group += u64::from(this != last);
            last = this;
            *row = group << 48 | *row & 0xffff;
        }
    }

    /// The order, everybody's scores, and who was left out.
    pub(crate) fn finish(self) -> (Vec<u16>, Vec<f32>, Vec<(u16, LeftOut)>) {
        (self.rows.iter().map(|row| place(*row)).collect(), self.scores, self.left_out)
    }

    /// The places in the pool, in order.
    pub(crate) fn places(&self) -> impl Iterator<Item = u16> {
        self.rows.iter().map(|row| place(*row))
    }
}

/// The most keys by which rows are dealt out rather than sorted.
const FEW: usize = 16;
/// Places for keys: four times as many, so that a key is found where it is looked for first, nearly always.
const SLOTS: usize = 4 * FEW;
/// A place without a key. A key has 48 bits, so that none is all ones.
const FREE: u64 = u64::MAX;

/// Deals rows of few keys out into their groups: tiers, prices, or paces that are nearly equal, are few, and to sort a hundred rows
/// takes longer than the rest of a decision. Rows of one key stay in the order of their places. False where keys are many; then
/// nothing has changed.
fn deal(rows: &mut Vec<u64>) -> bool {
    let (mut slots, mut sizes, mut count) = ([FREE; SLOTS], [0_u16; SLOTS], 0);
    // An agent's endpoints often have one key: a run of rows at a time.
    for run in runs(rows) {
        let slot = slot(&slots, key(run));
        if slots[slot] == FREE {
            if count == FEW {
                return false;
            }
            slots[slot] = key(run);
            count += 1;
        }
        sizes[slot] += run.len() as u16;
    }
    let mut order = [(FREE, 0_u8); FEW];
    let known = slots.iter().zip(0_u8..).filter(|(key, _)| **key != FREE);
    order.iter_mut().zip(known).for_each(|(place, (key, slot))| *place = (*key, slot));
    let order = &mut order[..count];
    order.sort_unstable();
    // Of each slot: its group, and where its next row goes.
    let (mut next, mut begin) = ([(0_u64, 0_u16); SLOTS], 0);
    for ((_, slot), group) in order.iter().zip(0_u64..) {
        next[usize::from(*slot)] = (group << 48, begin);
        begin += sizes[usize::from(*slot)];
    }
    let mut dealt = vec![0; rows.len()];
    for run in runs(rows) {
        let (group, at) = &mut next[slot(&slots, key(run))];
        let cells = dealt.iter_mut().skip(usize::from(*at));
        cells.zip(run).for_each(|(cell, row)| *cell = *group | *row & 0xffff);
        *at += run.len() as u16;
    }
    *rows = dealt;
    true
}

/// Neighbouring rows of one key.
fn runs(rows: &[u64]) -> impl Iterator<Item = &[u64]> {
    rows.chunk_by(|a, b| a >> 16 == b >> 16)
}

fn key(run: &[u64]) -> u64 {
    run.first().map_or(FREE, |row| row >> 16)
}

/// Where a key is, or would be: of fewer keys than slots there is always one that is free.
fn slot(slots: &[u64; SLOTS], key: u64) -> usize {
    let mut slot = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % SLOTS;
    while slots[slot] != key && slots[slot] != FREE {
        slot = (slot + 1) % SLOTS;
    }
    slot
}

/// The place in the pool that a row stands for.
pub(super) fn place(row: u64) -> u16 {
    row as u16
}

/// The group that a row stands in.
pub(super) fn group(row: u64) -> u64 {
    row >> 48
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_few_keys_are_dealt_out_as_they_would_be_sorted() {
        for keys in [1_u64, 2, 3, 15, 16, 17, 100] {
            let all = (0..100).map(|place| (place * 7_919 % keys * 1_000 + 5) << 16 | place);
            let rows: Vec<u64> = all.collect();
            let (mut dealt, mut sorted) = (rows.clone(), rows);
            assert_eq!(deal(&mut dealt), keys <= 16, "{keys} keys");
            sorted.sort_unstable();
            let groups = sorted.chunk_by(|a, b| a >> 16 == b >> 16).zip(0_u64..);
            let grouped =
                groups.flat_map(|(rows, group)| rows.iter().map(move |row| group << 48 | row & 0xffff));
            if keys <= 16 {
                assert_eq!(dealt, grouped.collect::<Vec<_>>(), "{keys} keys");
            }
        }
    }
}
