//! The final masks of runs that differ by their seed only, pair by pair.

use super::Finished;
use secateur_pruner::{Mask, MaskSet};
use secateur_report::views::{LayerOverlap, Overlap, Pair};

/// Seeds that are compared, at most: each is compared with each.
const SEEDS: usize = 5;

/// How alike the masks of these runs are; `None` for fewer than two runs, and for those that prune nothing. A run whose model
/// cannot be read is left out with a note.
pub(super) fn overlap(members: &[&Finished<'_>], faults: &mut Vec<String>) -> Option<Overlap> {
    let first = members.first().filter(|own| own.experiment.prunes() && members.len() > 1)?;
    let mut found: Vec<(u64, MaskSet)> = vec![];
    for own in members.iter().take(SEEDS) {
        match own.trained() {
            Ok((_, masks)) => found.push((own.seed(), masks)),
            Err(error) => faults.push(format!("The masks of {} are not compared: {error}.", own.run.label)),
        }
    }
    let layers = layers(&found);
    (found.len() > 1).then(|| Overlap {
        series: first.series(),
        seeds: found.iter().map(|(seed, _)| *seed).collect(),
        left_out: (members.len() - found.len()) as u64,
        layers,
    })
}

/// Every parameter that has masks, input first, with every pair of seeds.
fn layers(found: &[(u64, MaskSet)]) -> Vec<LayerOverlap> {
    let names: Vec<&str> = found.first().map_or(vec![], |(_, masks)| masks.iter().map(|(name, _)| name).collect());
    let layer = |name: &str| {
        let mut pairs = vec![];
        for (place, (seed, own)) in found.iter().enumerate() {
            for (other_seed, other) in &found[place + 1..] {
                if let (Some(a), Some(b)) = (own.get(name), other.get(name)) {
                    pairs.push(pair([*seed, *other_seed], a, b));
                }
            }
        }
        LayerOverlap { name: name.to_owned(), pairs }
    };
    names.into_iter().map(layer).collect()
}

fn pair(seeds: [u64; 2], a: &Mask, b: &Mask) -> Pair {
    Pair { seeds, kept: [a.kept() as u64, b.kept() as u64], both: a.both(b) as u64, total: a.total() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(seed: u64, keeps: impl Fn(usize) -> bool) -> (u64, MaskSet) {
        (seed, MaskSet::new(vec![("fc1.weight".into(), Mask::from_fn(&[10, 10], keeps))]))
    }

    #[test]
    fn each_pair_of_seeds_is_compared_once() {
        // Of 100 weights: the even ones, every third, and all of the second half.
        let found = [set(1, |index| index % 2 == 0), set(2, |index| index % 3 == 0), set(5, |index| index >= 50)];
        let layers = layers(&found);
        let pair = |seeds, kept, both| Pair { seeds, kept, both, total: 100 };
        let wanted = [pair([1, 2], [50, 34], 17), pair([1, 5], [50, 50], 25), pair([2, 5], [34, 50], 17)];
        assert_eq!((layers.len(), &layers[0].pairs[..]), (1, &wanted[..]));
    }
}
