//! How long it takes to decide: scores and masks over LeNet's weights at k=5 (1.5 million) and k=30 (53 million), and the
//! memory that a decision takes beyond the weights, in score buffers (4 bytes a weight). Prints; asserts nothing.
//!
//! `cargo bench -p secateur-pruner --bench select`

use secateur_pruner::*;
use std::time::Instant;

/// Weights of LeNet with width `k`, in burn's layout, filled with numbers of any size.
fn lenet(k: usize) -> Vec<(Vec<usize>, u64, Vec<f32>)> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The sum of a few is near a normal distribution, as trained weights are.
        let byte = |shift: u32| (state >> shift & 0xff) as f32;
        (byte(0) / 64.0 + byte(8) + byte(16) + byte(24) - 384.0) / 4_000.0
    };
    let shapes = [
        (vec![6 * k, 1, 3, 3], 26 * 26),
        (vec![16 * k, 6 * k, 3, 3], 11 * 11),
        (vec![400 * k, 120 * k], 1),
        (vec![120 * k, 84 * k], 1),
        (vec![84 * k, 10], 1),
    ];
    let fill = |(shape, positions): (Vec<usize>, u64)| {
        let values = (0..shape.iter().product::<usize>()).map(|_| next()).collect();
        (shape, positions, values)
    };
    shapes.map(fill).into()
}

/// What is timed: by which granularity, scope and criterion, at which sparsities, from full masks or again.
type Row<'a> = (&'a str, Granularity, Scope, Criterion, &'a [(f64, bool)]);

/// The peak of the process's resident memory in bytes since it was last reset, where Linux tells it.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * 1024)
}

fn main() {
    let element = Granularity::Element {};
    let [layerwise, global] = [Scope::Layerwise, Scope::Global];
    let half = [(0.5, false)];
    let twice = [(0.9, false), (0.9, true)];
    let rows: [Row; 13] = [
        ("element", element, layerwise, Criterion::L1, &twice),
        ("element", element, global, Criterion::L1, &twice),
        ("element", element, Scope::GlobalNormalised, Criterion::L1, &twice),
        ("element", element, Scope::Erk, Criterion::L1, &twice),
        ("element", element, Scope::MacAware, Criterion::L1, &twice),
        ("element", element, global, Criterion::Random, &twice),
        ("element", element, global, Criterion::Lamp, &twice),
        ("2:4", Granularity::NOfM { n: 2, m: 4 }, layerwise, Criterion::L1, &half),
        ("block 2x1", Granularity::Block { outputs: 2, inputs: 1 }, global, Criterion::L1, &twice),
        ("block 4x4", Granularity::Block { outputs: 4, inputs: 4 }, global, Criterion::L1, &twice),
        ("block 16x1", Granularity::Block { outputs: 16, inputs: 1 }, global, Criterion::L2, &twice),
        ("filter", Granularity::Filter {}, global, Criterion::L2, &half),
        ("channel", Granularity::Channel {}, global, Criterion::L2, &half),
    ];
    for k in [5, 30] {
        let network = lenet(k);
        let total: usize = network.iter().map(|(_, _, values)| values.len()).sum();
        println!("k={k}, {total} weights; median of {} times", if k == 5 { 9 } else { 3 });
        println!(
            "{:<11} {:<17} {:<7} {:>9}  {:>9}  {:>10}",
            "what goes", "scope", "score", "from", "scores ms", "select ms"
        );
        for (name, granularity, scope, criterion, cases) in rows {
            for &(share, again) in cases {
                let dense: Vec<Mask> = network.iter().map(|(shape, _, _)| Mask::full(shape)).collect();
                // A second prune begins with a tenth of the weights.
                let first =
                    if again { decide(&network, &dense, granularity, scope, criterion, share).2 } else { dense };
                let share = if again { 0.95 } else { share };
                let mut times: Vec<(f64, f64)> = (0..if k == 5 { 9 } else { 3 })
                    .map(|_| decide(&network, &first, granularity, scope, criterion, share))
                    .map(|(scores, select, _)| (scores, select))
                    .collect();
                times.sort_by(|a, b| (a.0 + a.1).total_cmp(&(b.0 + b.1)));
                let (scores, select) = times[times.len() / 2];
                let from = if again { "90 %" } else { "dense" };
                println!(
                    "{name:<11} {:<17} {:<7} {from:>9}  {scores:>9.2}  {select:>10.2}",
                    scope.to_string(),
                    criterion.to_string()
                );
            }
        }
        // Writing 5 resets the peak.
        let full: Vec<Mask> = network.iter().map(|(shape, _, _)| Mask::full(shape)).collect();
        for (name, granularity, criterion) in [
            ("element", element, Criterion::L1),
            ("2:4", Granularity::NOfM { n: 2, m: 4 }, Criterion::L1),
            ("block 2x1", Granularity::Block { outputs: 2, inputs: 1 }, Criterion::L1),
            ("element by LAMP", element, Criterion::Lamp),
        ] {
            if std::fs::write("/proc/self/clear_refs", "5").is_err() {
                continue;
            }
            let before = peak();
            decide(&network, &full, granularity, global, criterion, 0.5);
            if let (Some(before), Some(after)) = (before, peak()) {
                println!("memory, {name}: {:.2} score buffers", (after - before) as f64 / (4.0 * total as f64));
            }
        }
        println!();
    }
}

/// Milliseconds for the scores and for the selection, and the masks.
fn decide(
    network: &[(Vec<usize>, u64, Vec<f32>)],
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
