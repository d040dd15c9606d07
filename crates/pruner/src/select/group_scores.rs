//! The weights of a parameter as groups: the score of each, whether anything of it is left, and the mask of those that stay.

use super::rows::{Bits, NOTHING, Rows, living};
use super::{Entrant, Request};
use crate::{GroupScore, Mask, Scope, Tiling};

/// Elements of groups of which none is left.
pub(super) fn pruned(mask: &Mask, tiling: &Tiling) -> usize {
    if tiling.largest() <= 1 || mask.kept() == mask.total() {
        return mask.total() - mask.kept();
    }
    let (length, step) = tiling.row();
    let (mut alive, mut next) = (vec![false; tiling.groups()], 0);
    tiling.rows(|first| {
        let alive = &mut alive[first..];
        match step {
            1 => living(mask, next, length).for_each(|place| alive[place] = true),
            _ => living(mask, next, length).for_each(|place| alive[place / step] = true),
        }
        next += length;
    });
    let (mut group, mut count) = (0, 0);
    while group < alive.len() {
        let (size, run) = tiling.run(group);
        count += size * alive[group..group + run].iter().filter(|alive| !**alive).count();
        group += run;
    }
    count
}

/// The score of each group as an integer of the same order, which for [`NOTHING`] is above that of every score.
pub(super) fn keys(own: &Entrant<'_, '_>, tiling: &Tiling, request: &Request) -> Vec<u32> {
    let mut scale = own.scale;
    if request.scope == Scope::GlobalNormalised {
        let mut living = (0.0, 0usize);
        each(own, tiling, request, |scores| {
            for score in scores.iter().filter(|score| score.is_sign_positive()) {
                living = (living.0 + score, living.1 + 1);
            }
        });
        scale = super::over_mean(living);
    }
    let mut keys = Vec::with_capacity(tiling.groups());
    each(own, tiling, request, |scores| keys.extend(scores.iter().map(|score| ((score * scale) as f32).to_bits())));
    keys
}

/// Calls `visit` with the scores of all groups, some at a time; a negative zero stands where nothing of a group is left.
fn each(own: &Entrant<'_, '_>, tiling: &Tiling, request: &Request, mut visit: impl FnMut(&[f64])) {
    let (length, step) = tiling.row();
    let mut rows = Rows::new(own.layer);
    let mut sums = vec![f64::from(NOTHING); tiling.band()];
    let mut band = 0;
    let mut finish = |band: usize, sums: &mut [f64]| {
        if own.layer.within.kept() == own.layer.within.total() {
            // No group is gone, whatever its scores are.
            sums.iter_mut().for_each(|sum| *sum += 0.0);
        }
        let mut done = 0;
        while done < sums.len() {
            let (size, run) = tiling.run(band + done);
            let run = run.min(sums.len() - done);
            finish(&mut sums[done..done + run], size as f64, request);
            done += run;
        }
        visit(sums);
        sums.fill(f64::from(NOTHING));
    };
    tiling.rows(|first| {
        if first >= band + sums.len() {
            finish(band, &mut sums);
            band += sums.len();
        }
        let (sums, row) = (&mut sums[first - band..], rows.next(length));
        match request.group_score {
            GroupScore::L2 => add(sums, row, step, |sum, score| sum + score * score.abs()),
            GroupScore::L1 | GroupScore::Mean => add(sums, row, step, |sum, score| sum + score),
            GroupScore::First => add(sums, row, step, |sum, score| if sum.is_sign_negative() { score } else { sum }),
        }
    });
    finish(band, &mut sums);
}

/// From sums over groups of this size to their scores.
fn finish(sums: &mut [f64], size: f64, request: &Request) {
    let (kind, aware) = (request.group_score, request.scope == Scope::MacAware);
    if kind == GroupScore::Mean || aware && kind != GroupScore::First {
        sums.iter_mut().for_each(|sum| *sum /= size);
    }
    if kind == GroupScore::L2 {
        sums.iter_mut().for_each(|sum| *sum = sum.sqrt());
    }
}

/// Adds a row to the sums of its groups, of which each has `step` neighbours in it.
fn add(sums: &mut [f64], row: &[f32], step: usize, add: impl Fn(f64, f64) -> f64) {
    match step {
        1 => add_few::<1>(sums, row, add),
        2 => add_few::<2>(sums, row, add),
        4 => add_few::<4>(sums, row, add),
        _ => sums.iter_mut().zip(row.chunks(step)).for_each(|(sum, scores)| *sum = add_all(*sum, scores, &add)),
    }
}

fn add_all(sum: f64, scores: &[f32], add: impl Fn(f64, f64) -> f64) -> f64 {
    scores.iter().fold(sum, |sum, score| add(sum, f64::from(*score)))
}

/// The same for a number of neighbours that is known when this is compiled.
fn add_few<const STEP: usize>(sums: &mut [f64], row: &[f32], add: impl Fn(f64, f64) -> f64) {
    let (groups, rest) = row.as_chunks::<STEP>();
    sums.iter_mut().zip(groups).for_each(|(sum, scores)| *sum = add_all(*sum, scores, &add));
    if !rest.is_empty() {
        sums[groups.len()] = add_all(sums[groups.len()], rest, &add);
    }
}

/// What `within` keeps of the groups that stay.
pub(super) fn mask(within: &Mask, tiling: &Tiling, keys: &[u32], stays: impl Fn(&u32) -> bool) -> Mask {
    let (length, step) = tiling.row();
    let mut bits = Bits::new(within.total());
    tiling.rows(|first| bits.extend(&keys[first..first + length.div_ceil(step)], step, length, &stays));
    bits.mask(within)
}
