//! Rings in a graph: the largest sets of files that all reach one another.

use super::arrows::Arrows;

/// Every set of two or more of the files `0..count` that reach one another along the arrows.
pub(super) fn rings(count: usize, arrows: &Arrows) -> Vec<Vec<usize>> {
    let reached: Vec<Vec<bool>> = (0..count).map(|start| reach(start, count, arrows)).collect();
    let mut placed = vec![false; count];
    let mut rings = Vec::new();
    for (start, reaches) in reached.iter().enumerate() {
        let beside = |other: &usize| !placed[*other] && reaches[*other] && reached[*other][start];
        let ring: Vec<usize> = (start..count).filter(beside).collect();
        ring.iter().for_each(|file| placed[*file] = true);
        if ring.len() > 1 {
            rings.push(ring);
        }
    }
    rings
}

/// Which files can be reached from `start` along at least one arrow.
fn reach(start: usize, count: usize, arrows: &Arrows) -> Vec<bool> {
    let mut reached = vec![false; count];
    let mut open = vec![start];
    while let Some(file) = open.pop() {
        for (_, to) in arrows.range((file, 0)..(file + 1, 0)).map(|(arrow, _)| *arrow) {
            if !std::mem::replace(&mut reached[to], true) {
                open.push(to);
            }
        }
    }
    reached
}
