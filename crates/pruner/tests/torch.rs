//! Parity with PyTorch: masks that `torch.nn.utils.prune` made (`scripts/make-torch-masks`), against ours for the same
//! weights, random numbers and amounts. `docs/pytorch.md` says which call is which, and what differs on purpose.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use secateur_pruner::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    kind: String,
    layers: Vec<Layer>,
    steps: Vec<Step>,
    #[serde(default)]
    dim: usize,
    #[serde(default)]
    n: usize,
    /// The mask that was there before, for `l1_after_custom`.
    custom: Option<String>,
}

#[derive(Deserialize)]
struct Layer {
    shape: Vec<usize>,
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct Step {
    /// A count, or a fraction of what remains.
    amount: serde_json::Number,
    #[serde(default)]
    numbers: Vec<f32>,
    masks: Vec<String>,
}

fn read(shape: &[usize], bits: &str) -> Mask {
    let bits = bits.as_bytes();
    Mask::from_fn(shape, |index| bits[index] == b'1')
}

/// What PyTorch prunes of so many: Python rounds halves to even numbers.
fn torch_count(amount: &serde_json::Number, remaining: usize) -> usize {
    match amount.as_u64() {
        Some(count) => count as usize,
        None => (amount.as_f64().unwrap() * remaining as f64).round_ties_even() as usize,
    }
}

/// One step of a case by our own means.
fn step(case: &Case, step: &Step, old: &[Mask]) -> Vec<Mask> {
    // PyTorch's linear weights are `[out, in]`, like a convolution's.
    let layout = Layout::CONV;
    let granularity = match (case.kind.ends_with("structured") && !case.kind.ends_with("unstructured"), case.dim) {
        (false, _) => Granularity::Element {},
        (true, 0) => Granularity::Filter {},
        (true, _) => Granularity::Channel {},
    };
    let random = case.kind.starts_with("random");
    let shape = &case.layers[0].shape;
    let (remaining, size) = if granularity == (Granularity::Element {}) {
        (old.iter().map(Mask::kept).sum::<usize>(), 1)
    } else {
        let size = shape.iter().product::<usize>() / shape[case.dim];
        (old[0].kept() / size, size)
    };
    let pruned: usize = old.iter().map(|mask| mask.total() - mask.kept()).sum();
    let wanted = pruned + torch_count(&step.amount, remaining) * size;
    let scores = |(place, within): (usize, &Mask)| -> Vec<f32> {
        let kept = within.gather(&case.layers[place].values);
        match (random, granularity) {
            (false, _) => score(Criterion::L1, "w", &kept, within, 0, 0).unwrap(),
            // PyTorch prunes the weights with the highest numbers, and the channels with the lowest.
            (true, Granularity::Element {}) => step.numbers.iter().map(|number| 1.0 - number).collect(),
            (true, _) => {
                let stride = shape[case.dim + 1..].iter().product::<usize>();
                let channel = |index: usize| index / stride % shape[case.dim];
                let mut living: Vec<usize> = within.indices().map(channel).collect();
                living.sort_unstable();
                living.dedup();
                let number = |index| step.numbers[living.binary_search(&channel(index)).unwrap()];
                within.indices().map(number).collect()
            }
        }
    };
    let group_score = match (random, case.n) {
        (true, _) => GroupScore::First,
        (false, 2) => GroupScore::L2,
        (false, _) => GroupScore::L1,
    };
    let rows: Vec<Scores<'_>> = old
        .iter()
        .enumerate()
        .map(|(place, within)| Scores {
            name: "w",
            shape: within.shape(),
            scores: scores((place, within)),
            within,
            terms: Terms::new(layout),
        })
        .collect();
    let amount = Amount::Weights(wanted);
    // PyTorch empties a layer if told so.
    let request = Request { granularity, group_score, min_kept: 0, ..Request::new(Scope::Global, amount) };
    select(&rows, &request).unwrap().iter().map(|(_, mask)| mask.clone()).collect()
}

#[test]
fn masks_are_those_of_pytorch() {
    let file: File = serde_json::from_str(include_str!("testdata/torch-masks.json")).unwrap();
    let mut compared = 0;
    for (number, case) in file.cases.iter().enumerate() {
        let mut masks: Vec<Mask> = case.layers.iter().map(|own| Mask::full(&own.shape)).collect();
        if let Some(custom) = &case.custom {
            masks[0] = read(&case.layers[0].shape, custom);
        }
        for own in &case.steps {
            let theirs: Vec<Mask> =
                case.layers.iter().zip(&own.masks).map(|(layer, bits)| read(&layer.shape, bits)).collect();
            if case.kind == "custom_from_mask" {
                // A mask of one's own is a mask: there is nothing to select.
                let set = MaskSet::new(vec![("w".into(), theirs[0].clone())]);
                assert!(set.pruned() > 0 && theirs[0].is_within(&masks[0]));
                masks = theirs;
                continue;
            }
            let ours = step(case, own, &masks);
            for ((ours, theirs), layer) in ours.iter().zip(&theirs).zip(&case.layers) {
                let bits: String = (0..ours.total()).map(|index| if ours.keeps(index) { '1' } else { '0' }).collect();
                let wanted: String =
                    (0..theirs.total()).map(|index| if theirs.keeps(index) { '1' } else { '0' }).collect();
                assert_eq!(bits, wanted, "case {number}, {} of {:?} by {}", case.kind, layer.shape, own.amount);
                compared += 1;
            }
            masks = ours;
        }
    }
    assert!(compared > 60, "{compared} masks were compared");
}

/// What `docs/pytorch.md` shows as ours.
#[test]
fn the_migration_page_says_what_is_so() {
    let weight = [0.5f32, -1.0, 0.25, 2.0, -0.75, 0.125];
    let full = Mask::full(&[2, 3]);
    let layer = |scores: Vec<f32>, layout| Scores {
        name: "fc1.weight",
        shape: &[2, 3],
        scores,
        within: &full,
        terms: Terms::new(layout),
    };
    let kept = |row: Scores<'_>, request: Request| -> Vec<usize> {
        select(&[row], &request).unwrap().get("fc1.weight").unwrap().indices().collect()
    };
    let scores = || score(Criterion::L1, "fc1.weight", &weight, &full, 0, 1).unwrap();
    let half = Amount::Share(Sparsity::new(0.5).unwrap());
    assert_eq!(kept(layer(scores(), Layout::LINEAR), Request::new(Scope::Layerwise, half)), [1, 3, 4]);
    // By neuron: burn's [in, out] has three of them, with sums 2.5, 1.75 and 0.375.
    let filter = Request { granularity: Granularity::Filter {}, ..Request::new(Scope::Layerwise, Amount::Weights(2)) };
    assert_eq!(kept(layer(scores(), Layout::LINEAR), filter), [0, 1, 3, 4]);
    // By row of PyTorch's [out, in]: two neurons, with sums 1.75 and 2.875.
    let rows = Request { amount: Amount::Weights(3), ..filter };
    assert_eq!(kept(layer(scores(), Layout::CONV), rows), [3, 4, 5]);
    // Half of 3 is 2 here, and 2 by Python's rounding of 1.5; half of 5 is 3 here, and 2 there.
    assert_eq!(Sparsity::new(0.5).unwrap().count(5), 3);
    assert_eq!((0.5f64 * 5.0).round_ties_even(), 2.0);
}
