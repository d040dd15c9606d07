//! How alike the masks of several seeds are, against masks of the same sizes drawn at random.

/// Runs that differ by their seed only, and their final masks.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlap {
    /// What the runs share, for people.
    pub series: String,
    /// The runs' seeds, in the order in which the runs were named.
    pub seeds: Vec<u64>,
    /// Finished runs of this kind that were not compared.
    pub left_out: u64,
    /// The masks, parameter by parameter, input first.
    pub layers: Vec<LayerOverlap>,
}

/// The masks of one parameter, each pair of runs compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerOverlap {
    /// Path of the parameter, such as `fc1.weight`.
    pub name: String,
    /// Each pair once.
    pub pairs: Vec<Pair>,
}

/// Two masks of one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The seeds of the two runs.
    pub seeds: [u64; 2],
    /// Weights that each keeps.
    pub kept: [u64; 2],
    /// Weights that both keep.
    pub both: u64,
    /// Weights in all.
    pub total: u64,
}

impl Pair {
    /// Weights that both keep, over those that at least one keeps; `None` where neither keeps any.
    pub fn iou(&self) -> Option<f64> {
        over_union(self.both as f64, self.kept)
    }

    /// What two masks of these sizes, drawn at random, share on average; over what they then keep together.
    pub fn chance(&self) -> Option<f64> {
        over_union(self.expected(), self.kept)
    }

    /// Weights that two such masks, drawn at random, both keep on average: the mean of the hypergeometric distribution.
    pub fn expected(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.kept[0] as f64 * self.kept[1] as f64 / self.total as f64 }
    }
}

fn over_union(both: f64, kept: [u64; 2]) -> Option<f64> {
    let union = kept[0] as f64 + kept[1] as f64 - both;
    (union > 0.0).then_some(both / union)
}

impl LayerOverlap {
    /// Smallest, mean and largest of [`Pair::iou`]; `None` where no pair has one.
    pub fn iou(&self) -> Option<[f64; 3]> {
        let all: Vec<f64> = self.pairs.iter().filter_map(Pair::iou).collect();
        let mean = mean(&all)?;
        let ends = all.iter().fold([mean, mean], |[low, high], own| [low.min(*own), high.max(*own)]);
        Some([ends[0], mean, ends[1]])
    }

    /// Mean of [`Pair::chance`]; `None` where no pair has one.
    pub fn chance(&self) -> Option<f64> {
        mean(&self.pairs.iter().filter_map(Pair::chance).collect::<Vec<_>>())
    }

    /// Mean share of the weights that a mask keeps.
    pub fn density(&self) -> Option<f64> {
        let share = |pair: &Pair| (pair.kept[0] + pair.kept[1]) as f64 / (2 * pair.total.max(1)) as f64;
        mean(&self.pairs.iter().map(share).collect::<Vec<_>>())
    }
}

fn mean(all: &[f64]) -> Option<f64> {
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(kept: [u64; 2], both: u64, total: u64) -> Pair {
        Pair { seeds: [1, 2], kept, both, total }
    }

    #[test]
    fn overlap_is_a_share_of_the_union_and_chance_follows_from_the_sizes() {
        // Of four weights each mask keeps two: by chance they share one of then three.
        let own = pair([2, 2], 2, 4);
        assert_eq!((own.iou(), own.expected(), own.chance()), (Some(1.0), 1.0, Some(1.0 / 3.0)));
        assert_eq!(pair([2, 2], 0, 4).iou(), Some(0.0));
        assert_eq!(pair([4, 4], 4, 4).chance(), Some(1.0), "whole masks are alike without merit");
        assert_eq!((pair([0, 0], 0, 4).iou(), pair([0, 0], 0, 4).chance()), (None, None));
        assert_eq!(pair([0, 0], 0, 0).expected(), 0.0);
    }

    #[test]
    fn chance_is_the_mean_over_all_pairs_of_masks() {
        // All pairs of masks that keep 2 and 3 of 5 weights.
        let masks = |kept: u32| (0u32..32).filter(move |mask| mask.count_ones() == kept);
        let shared: Vec<u32> = masks(2).flat_map(|a| masks(3).map(move |b| (a & b).count_ones())).collect();
        let mean = f64::from(shared.iter().sum::<u32>()) / shared.len() as f64;
        assert!((pair([2, 3], 0, 5).expected() - mean).abs() < 1e-12);
    }

    #[test]
    fn a_layer_has_the_ends_and_the_mean_of_its_pairs() {
        let layer = LayerOverlap {
            name: "fc1.weight".into(),
            pairs: vec![pair([2, 2], 2, 4), pair([2, 2], 0, 4), pair([0, 0], 0, 4)],
        };
        assert_eq!((layer.iou(), layer.chance()), (Some([0.0, 0.5, 1.0]), Some(1.0 / 3.0)));
        assert_eq!(layer.density(), Some(1.0 / 3.0));
        assert_eq!(LayerOverlap { pairs: vec![], ..layer }.iou(), None);
    }
}
