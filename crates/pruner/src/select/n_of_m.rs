//! N of M: every group of M neighbours along the input axis keeps its best N. The scope has no say.
//!
//! A target below `1 - n/m` is reached in whole weights a group: at a sparsity s each keeps `round((1 - s) m)`.

use super::rows::{Bits, Rows};
use super::{Request, Scores};
use crate::target::Amount;
use crate::{Error, Mask, MaskSet, Terms};
use std::cmp::Reverse;

/// Weights that each group keeps.
fn kept(total: usize, request: &Request, [n, m]: [usize; 2]) -> Result<usize, Error> {
    let share = match request.amount {
        Amount::Share(share) => share.get(),
        Amount::Weights(count) => count as f64 / total.max(1) as f64,
        Amount::Macs(_) => {
            let why = "wanted a target in weights, since the pattern fixes how many weights stay in each layer".into();
            return Err(Error::Target { target: format!("{n}:{m} with a target of MACs"), why });
        }
    };
    let kept = ((1.0 - share) * m as f64).round() as usize;
    if kept < n {
        let why = format!("{n} of {m} always stay, wanted a sparsity of at most {}", 1.0 - n as f64 / m as f64);
        return Err(Error::Target { target: format!("a sparsity of {share} by {n}:{m}"), why });
    }
    Ok(kept)
}

pub(super) fn select(layers: &[Scores<'_>], request: &Request, sizes: [usize; 2]) -> Result<MaskSet, Error> {
    let kept = kept(layers.iter().map(|layer| layer.within.total()).sum(), request, sizes)?;
    let mut masks = Vec::with_capacity(layers.len());
    for layer in layers {
        request.granularity.tiling(layer.name, layer.shape, layer.terms.layout)?;
        masks.push((layer.name.to_owned(), mask(layer, kept, sizes[1])));
    }
    Ok(MaskSet::new(masks))
}

pub(super) fn planned(
    layers: &[(&str, &[usize], Terms)],
    request: &Request,
    sizes: [usize; 2],
) -> Result<usize, Error> {
    let kept = kept(layers.iter().map(|(_, shape, _)| shape.iter().product::<usize>()).sum(), request, sizes)?;
    let mut left = 0;
    for (name, shape, terms) in layers {
        let tiling = request.granularity.tiling(name, shape, terms.layout)?;
        left += (0..tiling.groups()).map(|group| tiling.size(group).min(kept)).sum::<usize>();
    }
    Ok(left)
}

/// Keeps the best of each group; of equal scores the first ones.
fn mask(layer: &Scores<'_>, kept: usize, m: usize) -> Mask {
    let within = layer.within;
    let axis = layer.terms.layout.input.expect("a layer without an input axis was refused");
    let (inputs, stride) = (layer.shape[axis], layer.shape[axis + 1..].iter().product::<usize>());
    let (mut rows, mut bits) = (Rows::new(layer), Bits::new(within.total()));
    let mut stays = vec![];
    for _ in 0..within.total() / (inputs * stride).max(1) {
        for block in (0..inputs).step_by(m) {
            let members = m.min(inputs - block);
            let scores = rows.next(members * stride);
            stays.clear();
            stays.resize(scores.len(), true);
            match members {
                _ if members <= kept => {}
                2 => few::<2>(scores, kept, &mut stays),
                4 => few::<4>(scores, kept, &mut stays),
                8 => few::<8>(scores, kept, &mut stays),
                _ => many(scores, members, kept, &mut stays),
            }
            bits.extend(&stays, 1, stays.len(), |stays| *stays);
        }
    }
    bits.mask(within)
}

/// `M` members of each group, one after the other in rows of as many scores as there are groups: all are compared with
/// all. As an integer with a sign a pruned weight's score is below all others.
fn few<const M: usize>(scores: &[f32], kept: usize, stays: &mut [bool]) {
    let stride = scores.len() / M;
    let rows: [&[f32]; M] = std::array::from_fn(|member| &scores[member * stride..][..stride]);
    for (member, stays) in stays.chunks_exact_mut(stride).enumerate() {
        for (group, stays) in stays.iter_mut().enumerate() {
            let own = rows[member][group].to_bits() as i32;
            let better = |other: usize| {
                let score = rows[other][group].to_bits() as i32;
                u32::from(score > own) + u32::from(other < member && score == own)
            };
            *stays = (0..M).map(better).sum::<u32>() < kept as u32;
        }
    }
}

/// The same for groups of any size, by their order.
fn many(scores: &[f32], members: usize, kept: usize, stays: &mut [bool]) {
    let stride = scores.len() / members;
    let mut order: Vec<(i32, Reverse<usize>)> = Vec::with_capacity(members);
    for group in 0..stride {
        order.clear();
        order.extend((0..members).map(|member| (scores[member * stride + group].to_bits() as i32, Reverse(member))));
        order.select_nth_unstable(members - kept);
        for (_, Reverse(member)) in &order[..members - kept] {
            stays[member * stride + group] = false;
        }
    }
}
