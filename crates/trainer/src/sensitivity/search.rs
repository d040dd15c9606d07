//! Which sparsities are asked of a layer, and the search for the highest that it bears. Pure.

use crate::Error;
use secateur_pruner::Sparsity;
use secateur_report::LayerPoint;

/// To how fine a part of the whole the search goes: thousandths.
const PARTS: f64 = 1_000.0;

/// The sparsities in rising order, each once.
pub(super) fn rising(asked: &[f64]) -> Result<Vec<Sparsity>, Error> {
    let refuse = |found: String| {
        let why = format!("found {found}, wanted shares of zeros, at least 0 and below 1, such as 0.5,0.8");
        Error::Meaning { key: "--sparsities", why }
    };
    let mut sparsities = vec![];
    for share in asked {
        sparsities.push(Sparsity::new(*share).map_err(|_| refuse(share.to_string()))?);
    }
    sparsities.sort_by(|a, b| a.get().total_cmp(&b.get()));
    sparsities.dedup();
    if sparsities.is_empty() { Err(refuse("none".into())) } else { Ok(sparsities) }
}

/// `count` of `total` places, evenly spread.
pub(super) fn spread(count: usize, total: usize) -> Vec<u32> {
    (0..count).map(|place| (place * total / count) as u32).collect()
}

/// The sparsity of a layer that has `pruned` of its `weights` pruned, in as few digits as give that count.
pub(super) fn share(pruned: usize, weights: usize) -> f64 {
    let share = pruned as f64 / weights.max(1) as f64;
    let rounded = (0..15).map(|digits| (share * 10f64.powi(digits)).round() / 10f64.powi(digits));
    let gives = |share: &f64| Sparsity::new(*share).is_ok_and(|own| own.count(weights) == pruned);
    rounded.into_iter().find(gives).unwrap_or(share)
}

/// The highest of the points that a layer bears, and the sparsity of the next one, which it does not. It bears its `own`.
pub(super) fn bracket(
    own: LayerPoint,
    points: &[LayerPoint],
    bears: impl Fn(&LayerPoint) -> bool,
) -> (LayerPoint, Option<f64>) {
    let sparsity = |place: usize| points.get(place).map(|point: &LayerPoint| point.sparsity);
    match points.iter().rposition(bears) {
        Some(place) => (points[place], sparsity(place + 1)),
        None => (own, sparsity(0)),
    }
}

/// Halves the way from a point that a layer bears to a higher sparsity that it does not; `ask` gives the point in between if
/// it bears that. Returns the highest that it was found to bear, less than a thousandth below one that it does not.
pub(super) fn edge<E>(
    mut low: LayerPoint,
    high: Option<f64>,
    mut ask: impl FnMut(f64) -> Result<Option<LayerPoint>, E>,
) -> Result<LayerPoint, E> {
    let Some(mut high) = high else { return Ok(low) };
    loop {
        let middle = (0.5 * (low.sparsity + high) * PARTS).round() / PARTS;
        if !(low.sparsity < middle && middle < high) {
            return Ok(low);
        }
        match ask(middle)? {
            Some(point) => low = point,
            None => high = middle,
        }
    }
}

/// About as many halvings as [`edge`] needs between two of these sparsities, or below the first.
pub(super) fn halvings(sparsities: &[Sparsity]) -> usize {
    let starts = std::iter::once(0.0).chain(sparsities.iter().map(|own| own.get()));
    let widest = starts.zip(sparsities).map(|(low, high)| high.get() - low).fold(0.0, f64::max);
    (widest * PARTS).max(1.0).log2().ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use secateur_report::event::Score;

    fn point(sparsity: f64) -> LayerPoint {
        LayerPoint { sparsity, pruned: 0, score: Score { correct: 0, total: 1, loss: 0.0 } }
    }

    fn all(shares: &[f64]) -> Vec<Sparsity> {
        shares.iter().map(|share| Sparsity::new(*share).expect("in range")).collect()
    }

    /// The edge of a layer that bears up to `limit`, and what was asked on the way.
    fn found(low: f64, high: f64, limit: f64) -> (f64, Vec<f64>) {
        let mut asked = vec![];
        let edge = edge(point(low), Some(high), |middle| {
            asked.push(middle);
            Ok::<_, ()>((middle <= limit).then(|| point(middle)))
        });
        (edge.expect("never fails").sparsity, asked)
    }

    #[test]
    fn the_edge_is_found_to_a_thousandth() {
        assert_eq!(found(0.6, 0.8, 0.6234), (0.623, vec![0.7, 0.65, 0.625, 0.613, 0.619, 0.622, 0.624, 0.623]));
        assert_eq!(found(0.98, 0.99, 0.98).0, 0.98);
        assert_eq!(found(0.98, 0.99, 0.989_99).0, 0.989);
        assert_eq!(found(0.999, 0.999_5, 0.999_4), (0.999, vec![]), "nothing stands in between");
        assert_eq!(edge(point(0.9), None, |_| Err(())), Ok(point(0.9)), "the end of the grid asks nothing");
        for limit in (0..1_000).map(|part| f64::from(part) / 997.0) {
            for (low, high) in [(0.0, 1.0 - 1e-9), (0.123_45, 0.9), (0.5, 0.987_65)] {
                if low <= limit && limit < high {
                    let (edge, asked) = found(low, high, limit);
                    assert!(edge <= limit && limit - edge < 1e-3 + 1e-12, "{limit}: {edge}");
                    assert!(asked.len() <= 11);
                }
            }
        }
    }

    #[test]
    fn the_bracket_is_the_highest_that_holds_and_the_next() {
        let points = [0.2, 0.5, 0.9].map(point);
        let at_most = |limit: f64| bracket(point(0.1), &points, |point| point.sparsity <= limit);
        assert_eq!(at_most(0.6), (points[1], Some(0.9)));
        assert_eq!(at_most(0.95), (points[2], None));
        assert_eq!(at_most(0.15), (point(0.1), Some(0.2)));
        assert_eq!(bracket(point(0.1), &[], |_| true), (point(0.1), None));
        // A dip that is overcome does not end it.
        assert_eq!(bracket(point(0.1), &points, |point| point.sparsity != 0.2).0, points[2]);
    }

    #[test]
    fn sparsities_rise_and_are_shares_of_zeros() {
        assert_eq!(rising(&[0.9, 0.5, 0.9, 0.0]).expect("shares"), all(&[0.0, 0.5, 0.9]));
        for (asked, wanted) in
            [(&[0.5, 1.0][..], "found 1,"), (&[-0.1], "found -0.1,"), (&[f64::NAN], "NaN"), (&[], "none")]
        {
            let said = rising(asked).expect_err(wanted).to_string();
            assert!(said.contains("`--sparsities`") && said.contains(wanted), "{said}");
        }
    }

    #[test]
    fn images_are_spread_over_the_whole_split() {
        assert_eq!(spread(4, 10), [0, 2, 5, 7]);
        assert_eq!(spread(3, 3), [0, 1, 2]);
        assert_eq!(spread(1, 5_000), [0]);
    }

    #[test]
    fn a_share_is_short_and_gives_its_count() {
        assert_eq!([share(0, 54), share(27, 54), share(51, 54), share(54, 54)], [0.0, 0.5, 0.94, 1.0]);
        for weights in [1, 7, 54, 864, 48_000] {
            for pruned in (0..weights).step_by(weights / 50 + 1) {
                assert_eq!(Sparsity::new(share(pruned, weights)).expect("in range").count(weights), pruned);
            }
        }
    }

    #[test]
    fn halvings_follow_the_widest_gap() {
        assert_eq!(halvings(&all(&[0.5, 0.9])), 9);
        assert_eq!(halvings(&all(&[0.1, 0.2])), 7);
        assert_eq!(halvings(&all(&[0.0])), 0);
    }
}
