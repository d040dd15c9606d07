//! Invariants 1 and 3: exact counts, fixed ties, monotone masks; and a sort as the reference implementation of the histogram.

use super::*;
use crate::Layout;
use crate::criterion::{Criterion, score};

fn s(share: f64) -> Sparsity {
    Sparsity::new(share).expect("in range")
}

fn row<'a>(shape: &'a [usize], scores: Vec<f32>, within: &'a Mask) -> Scores<'a> {
    Scores { name: "w", shape, scores, within, terms: Terms::new(Layout::BIAS) }
}

/// A layer may be emptied here.
fn request(scope: Scope, sparsity: f64) -> Request {
    Request { min_kept: 0, ..Request::new(scope, Amount::Share(s(sparsity))) }
}

/// Selects on layers given as plain score lists, from full masks, and shows the kept bits.
fn check(layers: &[&[f32]], scope: Scope, sparsity: f64, expected: &[&[u8]]) {
    let full: Vec<Mask> = layers.iter().map(|scores| Mask::full(&[scores.len()])).collect();
    let shapes: Vec<[usize; 1]> = layers.iter().map(|scores| [scores.len()]).collect();
    let rows: Vec<Scores<'_>> = layers
        .iter()
        .zip(full.iter().zip(&shapes))
        .map(|(scores, (within, shape))| row(shape, scores.to_vec(), within))
        .collect();
    let found = select(&rows, &request(scope, sparsity)).expect("a mask");
    let bits: Vec<Vec<u8>> =
        found.iter().map(|(_, mask)| (0..mask.total()).map(|index| u8::from(mask.keeps(index))).collect()).collect();
    assert_eq!(bits, expected, "{layers:?} {scope} {sparsity}");
}

#[test]
fn small_cases_by_hand() {
    use Scope::{Global, Layerwise};
    check(&[&[3.0, 1.0, 2.0, 4.0]], Layerwise, 0.5, &[&[1, 0, 0, 1]]);
    check(&[&[3.0, 1.0], &[0.5, 0.25]], Layerwise, 0.5, &[&[1, 0], &[1, 0]]);
    check(&[&[3.0, 1.0], &[0.5, 0.25]], Global, 0.5, &[&[1, 1], &[0, 0]]);
    // Ties keep the lower (layer, flat index).
    check(&[&[1.0, 1.0, 1.0, 1.0]], Layerwise, 0.5, &[&[1, 1, 0, 0]]);
    check(&[&[1.0, 2.0], &[1.0, 1.0]], Global, 0.5, &[&[1, 1], &[0, 0]]);
    // Rounding: 0.5 of 3 is 2, 0.1 of 3 is 0.
    check(&[&[1.0, 2.0, 3.0]], Layerwise, 0.5, &[&[0, 0, 1]]);
    check(&[&[1.0, 2.0, 3.0]], Layerwise, 0.1, &[&[1, 1, 1]]);
    // Empty and one-weight layers.
    check(&[&[], &[5.0]], Layerwise, 0.9, &[&[], &[0]]);
    check(&[&[], &[5.0]], Global, 0.4, &[&[], &[1]]);
}

#[test]
fn pruned_weights_go_first_and_never_come_back() {
    let within = Mask::from_fn(&[4], |index| index != 3);
    let layer = row(&[4], vec![1.0, 2.0, 3.0], &within);
    let found = select(std::slice::from_ref(&layer), &request(Scope::Global, 0.5)).expect("a mask");
    let mask = found.get("w").expect("named");
    assert!(mask.is_within(&within));
    assert_eq!([0, 1, 2, 3].map(|index| mask.keeps(index)), [false, true, true, false]);

    let error = select(&[layer], &request(Scope::Layerwise, 0.0)).expect_err("would grow");
    assert!(error.to_string().contains("1 of 4 weights of `w` are pruned already"), "{error}");
}

#[test]
fn the_same_target_again_changes_nothing() {
    let full = Mask::full(&[100]);
    let scores = score(Criterion::Random, "w", &[0.0; 100], &full, 0, 3).expect("finite");
    let first = row(&[100], scores, &full);
    let once = select(&[first], &request(Scope::Global, 0.37)).expect("a mask");
    let within = once.get("w").expect("named");
    let fresh = score(Criterion::Random, "w", &[0.0; 63], within, 0, 4).expect("finite");
    let again = row(&[100], fresh, within);
    assert_eq!(select(&[again], &request(Scope::Global, 0.37)).expect("a mask"), once);
}

/// The reference implementation: sort (pruned first, then by score, of ties the last first) and cut.
fn by_sorting(layers: &[Scores<'_>], sparsity: Sparsity) -> Vec<Vec<bool>> {
    let mut order = Vec::new();
    for (place, layer) in layers.iter().enumerate() {
        let scores = layer.within.scatter(&layer.scores);
        for (index, score) in scores.iter().enumerate() {
            order.push((layer.within.keeps(index), score.to_bits(), std::cmp::Reverse((place, index))));
        }
    }
    order.sort_unstable();
    let mut keeps: Vec<Vec<bool>> = layers.iter().map(|layer| vec![true; layer.within.total()]).collect();
    for &(_, _, std::cmp::Reverse((place, index))) in order.iter().take(sparsity.count(order.len())) {
        keeps[place][index] = false;
    }
    keeps
}

#[test]
fn histogram_and_sort_agree_and_counts_are_exact() {
    let sizes = [1usize, 7, 64, 65, 300];
    for seed in 0..20 {
        // Coarse scores, so that ties are common; zeros among them.
        let values: Vec<Vec<f32>> = sizes
            .iter()
            .enumerate()
            .map(|(layer, &size)| {
                let fine = score(Criterion::Random, "w", &vec![0.0; size], &Mask::full(&[size]), layer, seed);
                fine.expect("finite").iter().map(|score| (score * 8.0).floor() * 0.125).collect()
            })
            .collect();
        let mut within: Vec<Mask> = sizes.iter().map(|&size| Mask::full(&[size])).collect();
        for target in [0.1, 0.1, 0.5, 0.83, 0.9, 0.99] {
            let shapes: Vec<[usize; 1]> = sizes.iter().map(|&size| [size]).collect();
            let rows: Vec<Scores<'_>> = (0..sizes.len())
                .map(|i| (&shapes[i], within[i].gather(&values[i]), &within[i]))
                .map(|(shape, scores, within)| row(shape, scores, within))
                .collect();
            let expected = by_sorting(&rows, s(target));
            let found = select(&rows, &request(Scope::Global, target)).expect("a mask");
            assert_eq!(found.pruned(), s(target).count(sizes.iter().sum()));
            for ((_, mask), expected) in found.iter().zip(&expected) {
                assert_eq!((0..mask.total()).map(|i| mask.keeps(i)).collect::<Vec<_>>(), *expected);
            }
            let next: Vec<Mask> = found.iter().map(|(_, mask)| mask.clone()).collect();
            assert!(next.iter().zip(&within).all(|(new, old)| new.is_within(old)));
            within = next;
        }
    }
}

#[test]
fn scores_without_a_place_in_an_order_are_refused_by_layer_and_index() {
    let within = Mask::from_fn(&[2, 3], |index| index != 1);
    for granularity in [Granularity::Element {}, Granularity::Channel {}, Granularity::NOfM { n: 1, m: 2 }] {
        for scope in [Scope::Layerwise, Scope::Global, Scope::Erk] {
            let choose = |scores: [f32; 5]| {
                let terms = Terms::new(Layout::CONV);
                let layer =
                    Scores { name: "fc.weight", shape: &[2, 3], scores: scores.to_vec(), within: &within, terms };
                select(&[layer], &Request { granularity, ..request(scope, 0.5) }).map_err(|error| error.to_string())
            };
            let error = choose([1.0, 2.0, -0.5, 3.0, 4.0]).expect_err("negative");
            assert!(error.contains("score of `fc.weight` at flat index 3 is -0.5, expected at least 0"), "{error}");
            for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let error = choose([1.0, 2.0, 3.0, 4.0, odd]).expect_err("not finite");
                assert!(error.contains("score of `fc.weight` at flat index 5"), "{error}");
            }
            assert_eq!(choose([-0.0, 1.0, 0.0, 2.0, -0.0]), choose([0.0, 1.0, 0.0, 2.0, 0.0]), "zeros tie");
        }
    }
}
