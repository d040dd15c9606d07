//! N of M: every group of M neighbours along the input axis keeps its best N. The scope has no say.
//!
//! A target below `1 - n/m` is reached in whole weights a group: at a sparsity s each keeps `round((1 - s) m)`.

use super::{Request, Scores};
use crate::target::Amount;
use crate::{Error, Mask, MaskSet, Terms};

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

fn mask(layer: &Scores<'_>, kept: usize, m: usize) -> Mask {
    let within = layer.within;
    let ranks = Ranks::new(within);
    let axis = layer.terms.layout.input.expect("a layer without an input axis was refused");
    let (inputs, stride) = (layer.shape[axis], layer.shape[axis + 1..].iter().product::<usize>());
    let mut words = within.words().to_vec();
    let full = within.kept() == within.total();
    // A score and the member's number in the group, the highest first among equal scores.
    let mut living: Vec<u64> = Vec::with_capacity(m.min(inputs));
    for first in (0..within.total()).step_by((inputs * stride).max(1)) {
        for block in (0..inputs).step_by(m) {
            let members = m.min(inputs - block);
            for index in first + block * stride..first + (block + 1) * stride {
                living.clear();
                for member in 0..members {
                    let own = index + member * stride;
                    let Some(rank) = (if full { Some(own) } else { ranks.of(own) }) else { continue };
                    living.push(u64::from(layer.scores[rank].to_bits()) << 32 | u64::from(!(member as u32)));
                }
                let Some(gone) = living.len().checked_sub(kept).filter(|gone| *gone > 0) else { continue };
                living.sort_unstable();
                for entry in &living[..gone] {
                    let own = index + !(*entry as u32) as usize * stride;
                    words[own / 64] &= !(1 << (own % 64));
                }
            }
        }
    }
    Mask::from_words(layer.shape, words)
}

/// The place of a kept element among the kept ones.
struct Ranks<'a> {
    mask: &'a Mask,
    /// Elements kept before each word; empty when all are kept, and nobody asks.
    before: Vec<usize>,
}

impl<'a> Ranks<'a> {
    fn new(mask: &'a Mask) -> Self {
        let full = mask.kept() == mask.total();
        let words = if full { &[] } else { mask.words() };
        let before = words.iter().scan(0, |sum, word| Some(std::mem::replace(sum, *sum + word.count_ones() as usize)));
        Self { mask, before: before.collect() }
    }

    fn of(&self, index: usize) -> Option<usize> {
        let word = self.mask.words()[index / 64];
        let bit = 1u64 << (index % 64);
        (word & bit != 0).then(|| self.before[index / 64] + (word & (bit - 1)).count_ones() as usize)
    }
}
