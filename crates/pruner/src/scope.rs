//! Who competes with whom, on which terms, and how many weights each layer gives where it is not the scores that say. Pure.

use crate::{Layout, Sparsity};
use serde::{Deserialize, Serialize};

/// Who competes with whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every layer gives the same share of its own weights.
    #[default]
    Layerwise,
    /// Every output unit of a layer gives the same share of its own weights, as Wanda compares them (Sun et al., "A Simple and
    /// Effective Pruning Approach for Large Language Models", 2024). For single weights.
    Output,
    /// All layers compete together.
    Global,
    /// All layers compete together, each with its scores divided by their mean over what it still has.
    GlobalNormalised,
    /// Each layer keeps a density in proportion to the sum of its sides over their product, `(in + out + kh + kw) /
    /// (in out kh kw)`, at most 1: Erdos-Renyi-Kernel (Evci et al., "Rigging the Lottery", 2020).
    Erk,
    /// All layers compete together, with what pruning a weight costs its layer, a MAC saved: its squared score over the sum
    /// of the squares that the layer still has, over its positions. The order is that of the score times a factor a layer.
    MacAware,
}

impl Scope {
    /// Whether layers compete with each other, so that their scores have to compare.
    pub fn is_common(self) -> bool {
        match self {
            Self::Layerwise | Self::Output | Self::Erk => false,
            Self::Global | Self::GlobalNormalised | Self::MacAware => true,
        }
    }

    /// Whether it calculates with scores, and does not only put them in order, so that none may be negative.
    pub fn calculates(self) -> bool {
        match self {
            Self::GlobalNormalised | Self::MacAware => true,
            Self::Layerwise | Self::Output | Self::Global | Self::Erk => false,
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Layerwise => "layerwise",
            Self::Output => "output",
            Self::Global => "global",
            Self::GlobalNormalised => "global-normalised",
            Self::Erk => "erk",
            Self::MacAware => "mac-aware",
        })
    }
}

/// The terms on which one parameter competes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Which of its axes is which.
    pub layout: Layout,
    /// MACs an image that each weight takes: the positions of a convolution's output, 1 in a linear layer, 0 in a bias.
    pub positions: u64,
    /// Share of its weights that stays at least, `[0, 1]`.
    pub floor: f64,
    /// Share of its weights that stays at most, `[0, 1]`.
    pub ceiling: f64,
    /// A sparsity of its own; the others make up for the difference where they compete together.
    pub own: Option<Sparsity>,
}

impl Terms {
    /// Free terms, one MAC a weight.
    pub fn new(layout: Layout) -> Self {
        Self { layout, positions: 1, floor: 0.0, ceiling: 1.0, own: None }
    }

    /// How many of the output units of a parameter of this shape go at least and at most, where units go whole: what floor,
    /// ceiling and own sparsity say, in units, and no more than leaves `min_kept` weights.
    pub fn units(&self, shape: &[usize], min_kept: usize) -> [usize; 2] {
        let units = shape.get(self.layout.output).copied().unwrap_or(0);
        let size: usize = shape.iter().product();
        let floor = (self.floor.clamp(0.0, 1.0) * units as f64 - 1e-9).ceil() as usize;
        let floor = floor.max(min_kept.div_ceil((size / units.max(1)).max(1))).min(units);
        let most = units - floor;
        // The nearest number of units; of two as near the lower one.
        let nearest = |gone: f64| ((gone * units as f64 - 0.5 - 1e-9).ceil() as usize).min(most);
        match self.own {
            Some(own) => [nearest(own.get()); 2],
            None => [nearest(1.0 - self.ceiling.clamp(0.0, 1.0)), most],
        }
    }
}

/// How many of a layer's `size` weights may be pruned, at least and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) size: usize,
    pub(crate) least: usize,
    pub(crate) most: usize,
}

impl Bounds {
    /// The bounds of a layer that has `pruned` weights pruned, keeps `min_kept` whatever its terms say, and loses its
    /// weights in groups of `group`.
    pub(crate) fn new(terms: &Terms, size: usize, pruned: usize, min_kept: usize, group: usize) -> Self {
        let share = |share: f64| share.clamp(0.0, 1.0) * size as f64;
        // A share that is a whole number but for the arithmetic is that number.
        let floor = ((share(terms.floor) - 1e-9).ceil().max(0.0) as usize).max(min_kept);
        let floor = floor.next_multiple_of(group.max(1)).min(size);
        let ceiling = ((share(terms.ceiling) + 1e-9).floor() as usize).clamp(floor, size);
        let (least, most) = match terms.own {
            Some(own) => {
                let count = own.count(size).min(size - floor);
                (count, (count + group / 2).min(size - floor))
            }
            None => (size - ceiling, size - floor),
        };
        Self { size, least: least.max(pruned), most: most.max(pruned) }
    }
}

/// What a layer brings to [`allot`].
pub(crate) struct Stake {
    pub(crate) bounds: Bounds,
    /// Density in proportion to which it keeps weights.
    pub(crate) factor: f64,
    /// What one of its weights costs.
    pub(crate) cost: u64,
}

/// What the densities of parameters are in proportion to, where layers do not compete; all alike but for
/// Erdos-Renyi-Kernel.
pub(crate) fn density_factor(scope: Scope, shape: &[usize]) -> f64 {
    match scope {
        Scope::Erk => erk_factor(shape),
        Scope::Layerwise | Scope::Output | Scope::Global | Scope::GlobalNormalised | Scope::MacAware => 1.0,
    }
}

/// The Erdos-Renyi-Kernel factor of a parameter.
fn erk_factor(shape: &[usize]) -> f64 {
    let sum: usize = shape.iter().sum();
    let product: f64 = shape.iter().map(|size| *size as f64).product();
    if product == 0.0 { 0.0 } else { sum as f64 / product }
}

/// How many weights each layer has pruned when all together keep `kept` of their cost, each in proportion to its factor
/// within its bounds. With costs of 1 the sum is exact; else it is below `kept` by less than one weight's cost. The bounds
/// have to allow it.
pub(crate) fn allot(stakes: &[Stake], kept: u64) -> Vec<usize> {
    let ideal = |epsilon: f64, stake: &Stake| {
        let Bounds { size, least, most } = stake.bounds;
        (epsilon * stake.factor * size as f64).clamp((size - most) as f64, (size - least) as f64)
    };
    let sum = |epsilon: f64| stakes.iter().map(|stake| stake.cost as f64 * ideal(epsilon, stake)).sum::<f64>();
    let ends = stakes.iter().filter(|stake| stake.factor > 0.0).map(|stake| 1.0 / stake.factor);
    let (mut low, mut high) = (0.0, ends.fold(1.0, f64::max));
    // The sum rises with epsilon; 128 halvings leave neighbouring numbers.
    for _ in 0..128 {
        let middle = 0.5 * (low + high);
        if sum(middle) < kept as f64 { low = middle } else { high = middle }
    }
    let whole = |value: f64| (value + 1e-7).floor();
    let mut counts: Vec<usize> = stakes.iter().map(|stake| whole(ideal(high, stake)) as usize).collect();
    let rest = |place: usize| ideal(high, &stakes[place]) - whole(ideal(high, &stakes[place]));
    let mut order: Vec<usize> = (0..stakes.len()).collect();
    order.sort_by(|a, b| rest(*b).total_cmp(&rest(*a)));
    let spent: u64 = counts.iter().zip(stakes).map(|(count, stake)| *count as u64 * stake.cost).sum();
    let mut left = kept.saturating_sub(spent);
    // The largest remainders first, until nothing fits.
    loop {
        let before = left;
        for &place in &order {
            let Stake { bounds, cost, .. } = stakes[place];
            if cost <= left && left > 0 && counts[place] < bounds.size - bounds.least {
                counts[place] += 1;
                left -= cost;
            }
        }
        if left == before {
            break;
        }
    }
    counts.iter().zip(stakes).map(|(count, stake)| stake.bounds.size - count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stake(shape: &[usize], cost: u64) -> Stake {
        let size = shape.iter().product();
        Stake { bounds: Bounds { size, least: 0, most: size }, factor: erk_factor(shape), cost }
    }

    #[test]
    fn erk_by_hand() {
        // 2 x 2: factor 1. 4 x 4: factor 0.5. Together 20 weights, 6 of them stay: 4 e + 8 e = 6, e = 0.5.
        let both = [stake(&[2, 2], 1), stake(&[4, 4], 1)];
        assert_eq!(allot(&both, 6), [2, 12]);
        // 15 stay: the first would keep more than all; the rest go to the second.
        assert_eq!(allot(&both, 15), [0, 5]);
        // Rounding: 4 e + 8 e = 7 gives 2.33 and 4.67.
        assert_eq!(allot(&both, 7), [2, 11]);
        assert_eq!(allot(&both, 0), [4, 16]);
        assert_eq!(allot(&both, 20), [0, 0]);
    }

    /// The textbook's way: layers that would be denser than 1 leave, and the rest share again.
    fn by_iteration(shapes: &[Vec<usize>], kept: f64) -> Vec<f64> {
        let size = |shape: &Vec<usize>| shape.iter().product::<usize>() as f64;
        let mut full = vec![false; shapes.len()];
        loop {
            let free = || shapes.iter().zip(&full).filter(|(_, full)| !**full).map(|(shape, _)| shape);
            let taken: f64 = shapes.iter().zip(&full).filter(|(_, full)| **full).map(|(shape, _)| size(shape)).sum();
            let epsilon = (kept - taken) / free().map(|shape| erk_factor(shape) * size(shape)).sum::<f64>();
            let mut again = false;
            for (place, shape) in shapes.iter().enumerate() {
                if !full[place] && epsilon * erk_factor(shape) > 1.0 {
                    (full[place], again) = (true, true);
                }
            }
            if !again {
                let density = |place: usize| if full[place] { 1.0 } else { epsilon * erk_factor(&shapes[place]) };
                return shapes.iter().enumerate().map(|(place, shape)| density(place) * size(shape)).collect();
            }
        }
    }

    #[test]
    fn halving_finds_what_iteration_finds() {
        let shapes = [vec![30, 1, 3, 3], vec![80, 30, 3, 3], vec![2_000, 600], vec![600, 420], vec![420, 10]];
        let total: usize = shapes.iter().map(|shape| shape.iter().product::<usize>()).sum();
        for share in [0.9, 0.5, 0.2, 0.05, 0.01, 0.002] {
            let kept = (share * total as f64) as u64;
            let stakes: Vec<Stake> = shapes.iter().map(|shape| stake(shape, 1)).collect();
            let found = allot(&stakes, kept);
            assert_eq!(found.iter().sum::<usize>(), total - kept as usize);
            for ((pruned, stake), wanted) in found.iter().zip(&stakes).zip(by_iteration(&shapes, kept as f64)) {
                let own = (stake.bounds.size - pruned) as f64;
                assert!((own - wanted).abs() < 1.0 + 1e-6, "{share}: {own}, wanted {wanted}");
            }
        }
    }

    #[test]
    fn a_budget_of_macs_is_kept_to() {
        let stakes = [stake(&[4, 4], 100), stake(&[10, 10], 1)];
        for kept in [0, 99, 100, 500, 1_650, 1_700] {
            let pruned = allot(&stakes, kept);
            let left = (16 - pruned[0]) as u64 * 100 + (100 - pruned[1]) as u64;
            assert!(left <= kept && kept - left < 100, "{kept}: {left}");
        }
    }

    #[test]
    fn terms_become_bounds() {
        let free = Terms::new(Layout::BIAS);
        let bounds = |terms: Terms, pruned, min_kept| {
            let Bounds { least, most, .. } = Bounds::new(&terms, 10, pruned, min_kept, 1);
            (least, most)
        };
        assert_eq!(bounds(free, 0, 1), (0, 9));
        assert_eq!(bounds(free, 3, 0), (3, 10));
        assert_eq!(bounds(Terms { floor: 0.25, ceiling: 0.75, ..free }, 0, 1), (3, 7));
        assert_eq!(bounds(Terms { floor: 0.3, ceiling: 0.7, ..free }, 8, 1), (8, 8), "masks never grow back");
        assert_eq!(bounds(Terms { own: Sparsity::new(0.4).ok(), ..free }, 0, 1), (4, 4));
        assert_eq!(bounds(Terms { own: Sparsity::new(0.99).ok(), ..free }, 0, 2), (8, 8));
        assert_eq!(Bounds::new(&free, 10, 0, 1, 3).most, 7, "a whole group stays");
        assert_eq!(Bounds::new(&free, 0, 0, 1, 1), Bounds { size: 0, least: 0, most: 0 });
    }
}
