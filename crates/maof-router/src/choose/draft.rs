//! An order in the making.

use maof_core::LeftOut;

use crate::pool::Pool;

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
        if self.scores.is_empty() {
            self.scores = vec![f32::NAN; self.pool.seats.len() * self.stages];
        }
        if let Some(cell) = self.scores.get_mut(usize::from(place) * self.stages + stage) {
            *cell = score;
        }
    }

    /// Sorts by the keys; who has the same group and key is of one group from now on.
    pub(super) fn regroup(&mut self) {
        if !sort_few_keys(&mut self.rows) {
            self.rows.sort_unstable();
        }
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
const FEW: usize = 4;

/// Sorts rows of few keys in a pass for each: tiers, or paces that are nearly equal, are few, and to sort a hundred rows takes
/// longer than the rest of a decision. Rows of one key are in the order of their places already. False where keys are many.
fn sort_few_keys(rows: &mut Vec<u64>) -> bool {
    let (mut keys, mut count, mut last) = ([0; FEW], 0, None);
    for row in rows.iter() {
        let key = row >> 16;
        if last.replace(key) == Some(key) || keys[..count].contains(&key) {
            continue;
        }
        if count == FEW {
            return false;
        }
        keys[count] = key;
        count += 1;
    }
    let keys = &mut keys[..count];
    keys.sort_unstable();
    if count > 1 {
        let mut sorted = Vec::with_capacity(rows.len());
        for key in keys {
            sorted.extend(rows.iter().filter(|row| **row >> 16 == *key));
        }
        *rows = sorted;
    }
    true
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
        for keys in [1_u64, 2, 3, 4, 5, 100] {
            let rows: Vec<u64> = (0..100).map(|place| (place * 7_919 % keys) << 16 | place).collect();
            let (mut dealt, mut sorted) = (rows.clone(), rows);
            assert_eq!(sort_few_keys(&mut dealt), keys <= 4, "{keys} keys");
            if keys <= 4 {
                sorted.sort_unstable();
                assert_eq!(dealt, sorted, "{keys} keys");
            }
        }
    }
}
