//! How long it takes to decide: scores and masks over LeNet's weights at k=5 (1.5 million) and k=30 (53 million), and the
//! memory that a decision takes beyond the weights, in score buffers (4 bytes a weight), the scores themselves being one.
//! Prints; asserts nothing.
//!
//! `cargo bench -p secateur-pruner --bench select`, and `-- block` for the rows whose first words begin so.

use secateur_pruner::*;
use std::time::Instant;

/// A layer's shape, the positions of its output, and its weights.
type Layer = (Vec<usize>, u64, Vec<f32>);

/// Weights of LeNet with width `k`, in burn's layout, near a normal distribution, as trained weights are.
fn lenet(k: usize) -> Vec<Layer> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let shapes = [
        (vec![6 * k, 1, 3, 3], 26 * 26),
        (vec![16 * k, 6 * k, 3, 3], 11 * 11),
        (vec![400 * k, 120 * k], 1),
        (vec![120 * k, 84 * k], 1),
        (vec![84 * k, 10], 1),
    ];
    let fill = |(shape, positions): (Vec<usize>, u64)| {
        let values = (0..shape.iter().product()).map(|_| (next() + next() + next() + next()) / 10.0).collect();
        (shape, positions, values)
    };
    shapes.map(fill).into()
}

/// What is timed: by which granularity, scope and criterion, at which sparsities, from full masks or again.
type Row<'a> = (&'a str, Granularity, Scope, Criterion, &'a [(f64, bool)]);

/// The peak of the process's resident memory in bytes since [`forget_peak`], where Linux tells it.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * 1024)
}

/// Makes what is resident now the peak.
fn forget_peak() -> Option<usize> {
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    peak()
}

fn main() {
    let element = Granularity::Element {};
    let block = |outputs, inputs| Granularity::Block { outputs, inputs };
    let [layerwise, global] = [Scope::Layerwise, Scope::Global];
    let half = [(0.5, false)];
    let twice = [(0.9, false), (0.9, true)];
    let rows: [Row; 15] = [
        ("element", element, layerwise, Criterion::L1, &twice),
        ("element", element, global, Criterion::L1, &twice),
        ("element", element, Scope::GlobalNormalised, Criterion::L1, &twice),
        ("element", element, Scope::Erk, Criterion::L1, &twice),
        ("element", element, Scope::MacAware, Criterion::L1, &twice),
        ("element", element, global, Criterion::Random, &twice),
        ("element", element, global, Criterion::Lamp, &twice),
        ("2:4", Granularity::NOfM { n: 2, m: 4 }, layerwise, Criterion::L1, &half),
        ("block 1x1", block(1, 1), global, Criterion::L1, &twice),
        ("block 2x1", block(2, 1), global, Criterion::L1, &twice),
        ("block 2x1", block(2, 1), Scope::GlobalNormalised, Criterion::L1, &twice),
        ("block 4x4", block(4, 4), global, Criterion::L1, &twice),
        ("block 16x1", block(16, 1), global, Criterion::L2, &twice),
        ("filter", Granularity::Filter {}, global, Criterion::L2, &half),
        ("channel", Granularity::Channel {}, global, Criterion::L2, &half),
    ];
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    for (k, repeats) in [(5, 15), (30, 5)] {
        let network = lenet(k);
        let total: usize = network.iter().map(|(_, _, values)| values.len()).sum();
        println!("k={k}, {total} weights; median of {repeats} times");
        println!(
            "{:<11} {:<17} {:<7} {:>6}  {:>9}  {:>9}  {:>9}  {:>7}",
            "what goes", "scope", "score", "from", "scores ms", "select ms", "both ms", "buffers"
        );
        for (name, granularity, scope, criterion, cases) in rows.iter().filter(|row| row.0.starts_with(&wanted)) {
            for &(share, again) in *cases {
                let decide = |within: &[Mask], share| decide(&network, within, *granularity, *scope, *criterion, share);
                let dense: Vec<Mask> = network.iter().map(|(shape, _, _)| Mask::full(shape)).collect();
                // A second prune begins with a tenth of the weights.
                let first = if again { decide(&dense, share).2 } else { dense };
                let share = if again { 0.95 } else { share };
                let before = forget_peak();
                decide(&first, share);
                let memory = match (before, peak()) {
                    // Small buffers stay with the allocator, and the next decision has them for nothing.
                    (Some(before), Some(after)) if k == 30 => {
                        format!("{:.2}", (after - before) as f64 / (4.0 * total as f64))
                    }
                    _ => "-".into(),
                };
                let mut times: Vec<(f64, f64)> =
                    (0..repeats).map(|_| decide(&first, share)).map(|(scores, select, _)| (scores, select)).collect();
                times.sort_by(|a, b| (a.0 + a.1).total_cmp(&(b.0 + b.1)));
                let (scores, select) = times[times.len() / 2];
                let from = if again { "90 %" } else { "dense" };
                println!(
                    "{name:<11} {:<17} {:<7} {from:>6}  {scores:>9.2}  {select:>9.2}  {:>9.2}  {memory:>7}",
                    scope.to_string(),
                    criterion.to_string(),
                    scores + select,
                );
            }
        }
        println!();
    }
}

/// Milliseconds for the scores and for the selection, and the masks.
fn decide(
    network: &[Layer],
    within: &[Mask],
    granularity: Granularity,
    scope: Scope,
    criterion: Criterion,
    share: f64,
) -> (f64, f64, Vec<Mask>) {
    let mut kept: Vec<Vec<f32>> = vec![];
    for ((_, _, values), mask) in network.iter().zip(within) {
        // Full masks read the weights where they are.
        kept.push(if mask.kept() == mask.total() { vec![] } else { mask.gather(values) });
    }
    let began = Instant::now();
    let mut layers = vec![];
    for (place, ((shape, positions, values), mask)) in network.iter().zip(within).enumerate() {
        let kept = if mask.kept() == mask.total() { values } else { &kept[place] };
        let scores = score(criterion, "w", kept, mask, place, 1).expect("finite");
        let terms = Terms { positions: *positions, ..Terms::new(Layout::of_burn(shape)) };
        layers.push(Scores { name: "w", shape, scores, within: mask, terms });
    }
    let scored = began.elapsed().as_secs_f64() * 1e3;
    let amount = Amount::Share(Sparsity::new(share).expect("in range"));
    let request = Request { granularity, group_score: criterion.group_score(), ..Request::new(scope, amount) };
    let began = Instant::now();
    let set = select(&layers, &request).expect("possible");
    let selected = began.elapsed().as_secs_f64() * 1e3;
    (scored, selected, set.iter().map(|(_, mask)| mask.clone()).collect())
}
