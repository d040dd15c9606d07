//! How many weights each layer keeps: as little loss as a budget allows, by dynamic programming over measured losses and costs (as in
//! Frantar and Alistarh, "SPDY: Accurate Pruning with Speedup Guarantees", 2022).

/// One way to prune a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level {
    /// Weights that are kept.
    pub kept: usize,
    /// What they cost of the budget.
    pub cost: f64,
    /// What their choice loses.
    pub loss: f64,
}

/// Parts that a budget is divided into.
const PARTS: usize = 1 << 14;

/// For each layer the place of one of its levels, so that the sum of the costs is at most the budget, and the sum of the losses is
/// the smallest; `None` where even the cheapest cost more. Costs are rounded up to a part of the budget, so that with some ten
/// thousands of layers a sum that just fits might be missed.
pub(crate) fn allocate(layers: &[Vec<Level>], budget: f64) -> Option<Vec<usize>> {
    let part =
        |cost: f64| if budget > 0.0 { (cost / budget * PARTS as f64 - 1e-9).ceil().max(0.0) } else { f64::INFINITY };
    // By parts that are spent: the smallest loss, after each layer the level that it took.
    let mut losses = vec![0.0; PARTS + 1];
    let mut taken: Vec<Vec<u32>> = vec![];
    for levels in layers {
        let mut next = vec![f64::INFINITY; PARTS + 1];
        let mut own = vec![u32::MAX; PARTS + 1];
        for (place, level) in levels.iter().enumerate() {
            let cost = part(level.cost);
            if cost > PARTS as f64 {
                continue;
            }
            let cost = cost as usize;
            for spent in cost..=PARTS {
                let loss = losses[spent - cost] + level.loss;
                if loss < next[spent] {
                    (next[spent], own[spent]) = (loss, place as u32);
                }
            }
        }
        losses = next;
        taken.push(own);
    }
    if !losses[PARTS].is_finite() {
        // What is rounded up may have been too much.
        let cheapest = layers.iter().map(|levels| {
            levels.iter().enumerate().min_by(|(_, a), (_, b)| a.cost.total_cmp(&b.cost)).map_or(0, |(place, _)| place)
        });
        let cheapest: Vec<usize> = cheapest.collect();
        let sum: f64 = layers.iter().zip(&cheapest).map(|(levels, place)| levels[*place].cost).sum();
        return (sum <= budget).then_some(cheapest);
    }
    let (mut spent, mut chosen) = (PARTS, vec![]);
    for (levels, taken) in layers.iter().zip(&taken).rev() {
        let place = taken[spent] as usize;
        spent -= part(levels[place].cost) as usize;
        chosen.push(place);
    }
    chosen.reverse();
    Some(chosen)
}

/// The weights that each layer keeps at these levels, and as many more as the budget has room for: those first that lower the loss most
/// for what they cost, on the way to the next level, where costs rise evenly.
pub(crate) fn filled(layers: &[Vec<Level>], chosen: &[usize], budget: f64) -> Vec<usize> {
    let mut counts: Vec<usize> = layers.iter().zip(chosen).map(|(levels, place)| levels[*place].kept).collect();
    let mut left = budget - layers.iter().zip(chosen).map(|(levels, place)| levels[*place].cost).sum::<f64>();
    let mut is_full = vec![false; layers.len()];
    loop {
        // The level above what a layer keeps, what a weight on the way there costs, and the loss that this spares for its cost.
        let next = |place: usize| {
            let (levels, own) = (&layers[place], counts[place]);
            let above = levels.iter().filter(|level| level.kept > own).min_by_key(|level| level.kept)?;
            let below = levels.iter().filter(|level| level.kept <= own).max_by_key(|level| level.kept)?;
            let weights = (above.kept - below.kept) as f64;
            let price = ((above.cost - below.cost) / weights).max(0.0);
            let spared = (below.loss - above.loss) / weights;
            Some((place, above.kept - own, price, if price > 0.0 { spared / price } else { f64::INFINITY }))
        };
        let open = (0..layers.len()).filter(|place| !is_full[*place]).filter_map(next);
        let Some((place, most, price, _)) = open.max_by(|a, b| a.3.total_cmp(&b.3).then(b.0.cmp(&a.0))) else { break };
        let more = if price > 0.0 { ((left / price + 1e-9).floor().max(0.0) as usize).min(most) } else { most };
        is_full[place] = more == 0;
        counts[place] += more;
        left -= more as f64 * price;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(kept: usize, loss: f64) -> Level {
        Level { kept, cost: kept as f64, loss }
    }

    #[test]
    fn the_smallest_loss_within_the_budget_is_found() {
        let mut state = 1u64;
        let mut random = move |to: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % to
        };
        for _ in 0..200 {
            let layers: Vec<Vec<Level>> =
                (0..3).map(|_| (0..4).map(|_| level(1 + random(50) as usize, random(100) as f64)).collect()).collect();
            let budget = 8usize << random(5); // A part of the budget holds no fraction of a weight.
            let all = (0..64).map(|code| [code % 4, code / 4 % 4, code / 16]);
            let fits = all.filter_map(|chosen| {
                let own = || layers.iter().zip(chosen).map(|(levels, place)| levels[place]);
                (own().map(|own| own.kept).sum::<usize>() <= budget).then(|| own().map(|own| own.loss).sum::<f64>())
            });
            let best = fits.fold(f64::INFINITY, f64::min);
            match allocate(&layers, budget as f64) {
                None => assert_eq!(best, f64::INFINITY),
                Some(chosen) => {
                    let own = || layers.iter().zip(&chosen).map(|(levels, place)| levels[*place]);
                    assert!(own().map(|own| own.kept).sum::<usize>() <= budget);
                    assert_eq!(own().map(|own| own.loss).sum::<f64>(), best);
                }
            }
        }
    }

    #[test]
    fn what_is_left_goes_where_it_spares_most() {
        let layers = [vec![level(1, 9.0), level(11, 4.0), level(21, 0.0)], vec![level(5, 3.0), level(10, 0.0)]];
        assert_eq!(filled(&layers, &[0, 0], 6.0), [1, 5]);
        assert_eq!(filled(&layers, &[0, 0], 9.0), [1, 8], "0.6 a weight before 0.5");
        assert_eq!(filled(&layers, &[0, 0], 13.0), [3, 10], "then 0.5");
        assert_eq!(filled(&layers, &[0, 0], 99.0), [21, 10], "and no more than there are");
    }
}
