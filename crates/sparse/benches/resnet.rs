//! Times training steps of ResNet-20 and VGG-11 (batch-norm) on made-up images of CIFAR-10's size: dense and with frozen
//! uniform masks, with the time and the multiply-accumulates a second of each kind of step.
//!
//!   cargo bench -p secateur-sparse --bench resnet -- [resnet20|vgg11] [BATCH] [THREADS] [ROUNDS] [DENSITY,..] [SET] [nodes]
//!
//! With `nodes` it says the time of each step of the plan. The last line is what the memory of the machine gives, which a
//! step at high sparsity waits for (docs/training.md).

mod cifar;

use cifar::{Random, resnet20, vgg11};
use secateur_graph::{Graph, Op, Role};
use secateur_sparse::train::{Crossovers, GraphTrainer, Images, Kept, Options, Tensor};
use secateur_sparse::{InstructionSet, Optimizer};
use std::collections::BTreeMap;
use std::sync::Barrier;
use std::time::Instant;

/// By parameter name which values are kept, and these.
type States = BTreeMap<String, (Kept, Vec<f32>)>;

fn states(graph: &Graph, density: f64, seed: u64) -> States {
    let mut random = Random(seed);
    let mut states = States::new();
    for own in graph.parameters() {
        let mut bits = vec![u8::MAX; own.len().div_ceil(8)];
        for index in (0..own.len()).filter(|_| own.role == Role::Weight) {
            if f64::from(random.next()) >= density {
                bits[index / 8] &= !(1 << (index % 8));
            }
        }
        let kept = Kept::new(own.len(), &bits);
        let reach = (2.0 * own.shape[0] as f32 / own.len() as f32 / density as f32).sqrt();
        let mut value = || match own.role {
            Role::Weight => reach * (2.0 * random.next() - 1.0),
            Role::Bias | Role::Shift | Role::Mean | Role::Table => 0.0,
            Role::Scale | Role::Variance => 1.0,
        };
        let values = (0..kept.kept()).map(|_| value()).collect();
        states.insert(own.name.clone(), (kept, values));
    }
    states
}

fn tensor<'s>(states: &'s States, name: &str) -> Tensor<'s> {
    let (kept, values) = &states[name];
    Tensor { values, moments: [&[], &[]], kept: Some(kept) }
}

/// What a step is, by its first node.
fn kind(graph: &Graph, node: &str) -> &'static str {
    let own = graph.nodes().iter().find(|own| own.name == node).expect("a node of the graph");
    match &own.op {
        Op::Conv2d(conv) if conv.window.size == [1, 1] => "conv 1x1",
        Op::Conv2d(_) => "conv 3x3",
        Op::Linear(_) => "linear",
        Op::BatchNorm(_) | Op::Activation(_) | Op::Add => "batch-norm, add, relu",
        Op::Pool(_) | Op::GlobalAveragePool => "pooling",
        Op::Concat | Op::Flatten | Op::Reshape(_) | Op::Crop(_) | Op::Permute(_) => "copies",
        Op::Mul | Op::LayerNorm(_) | Op::Softmax(_) | Op::Embedding(_) => "others",
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|own| own != "--bench").collect();
    let number = |place: usize, default: usize| {
        arguments.get(place).map_or(default, |own| own.parse().expect("a number of images, threads or rounds"))
    };
    let nets: Vec<&str> = arguments.first().map_or(vec!["resnet20", "vgg11"], |own| vec![own.as_str()]);
    let (batch, threads, rounds) = (number(1, 128), number(2, 2), number(3, 9));
    let densities: Vec<f64> = arguments
        .get(4)
        .map_or(vec![1.0, 0.1, 0.05, 0.02], |own| own.split(',').map(|own| own.parse().expect("a density")).collect());
    for net in nets {
        let graph = if net == "vgg11" { vgg11() } else { resnet20() }.expect("a network");
        println!(
            "{net}, {} MACs an image, batch {batch}, {threads} threads, the median of {rounds} steps; below it the fastest of each kind",
            graph.macs()
        );
        for set in InstructionSet::available().into_iter().rev() {
            if arguments.get(5).is_some_and(|own| own != set.name()) {
                continue;
            }
            for density in &densities {
                let options =
                    Options { threads, instruction_set: set, crossovers: Crossovers::table(set), compact: false };
                let nodes = arguments.get(6).is_some_and(|own| own == "nodes");
                measure(&graph, *density, options, (batch, rounds), nodes);
            }
        }
    }
    println!("memory: {:.1} GB/s with {threads} threads, three reads and a write", bandwidth(threads) * 1e-9);
}

/// Bytes a second that so many threads move, each through four vectors of its own that no cache holds, in the fastest round.
fn bandwidth(threads: usize) -> f64 {
    const FLOATS: usize = 16 << 20;
    const ROUNDS: usize = 8;
    let barrier = Barrier::new(threads);
    let worker = || {
        let [a, b, c, mut sum] = [1.0f32, 2.0, 3.0, 4.0].map(|value| vec![value; FLOATS]);
        let mut fastest = f64::INFINITY;
        for _ in 0..ROUNDS {
            barrier.wait();
            let began = Instant::now();
            for (((sum, a), b), c) in sum.iter_mut().zip(&a).zip(&b).zip(&c) {
                *sum = a * b + c;
            }
            std::hint::black_box(&mut sum);
            fastest = fastest.min(began.elapsed().as_secs_f64());
        }
        (4 * FLOATS * size_of::<f32>()) as f64 / fastest
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|own| own.join().expect("it only adds")).sum()
    })
}

fn measure(graph: &Graph, density: f64, options: Options, (batch, rounds): (usize, usize), nodes: bool) {
    let optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 };
    let [first, second] = [7, 8].map(|seed| states(graph, density, seed));
    let mut trainer =
        GraphTrainer::new(graph, |name| tensor(&first, name), optimizer, 0, options).expect("a small network");
    let mut random = Random(11);
    let pixels: usize = graph.shape(graph.input()).iter().product();
    let images: Vec<f32> = (0..batch * pixels).map(|_| 4.0 * random.next() - 2.0).collect();
    let rows: Vec<&[f32]> = images.chunks(pixels).collect();
    let labels: Vec<u16> = (0..batch).map(|_| (10.0 * random.next()) as u16).collect();
    let mut least_times: Vec<[f64; 2]> = vec![];
    let mut names = vec![];
    let (mut totals, mut kinds) = (vec![], BTreeMap::<&str, [Vec<f64>; 2]>::new());
    for round in 0..rounds + 2 {
        let began = Instant::now();
        let times = trainer.timed_step(Images::Floats { rows: &rows }, &labels, 1e-3);
        let total = began.elapsed().as_secs_f64();
        if round < 2 {
            continue;
        }
        totals.push(total);
        least_times.resize(times.len(), [f64::INFINITY; 2]);
        names = times.iter().map(|own| own.node.clone()).collect();
        for (least, own) in least_times.iter_mut().zip(&times) {
            (0..2).for_each(|way| least[way] = least[way].min(own.times[way].as_secs_f64()));
        }
        let mut sums = BTreeMap::<&str, [f64; 2]>::new();
        for own in times {
            let sum = sums.entry(kind(graph, &own.node)).or_default();
            (0..2).for_each(|way| sum[way] += own.times[way].as_secs_f64());
        }
        for (kind, sum) in sums {
            let all = kinds.entry(kind).or_default();
            (0..2).for_each(|way| all[way].push(sum[way]));
        }
    }
    let peak = peak_mib().map_or("?".to_owned(), |mib| mib.to_string());
    let mut changes: Vec<f64> = [&second, &first, &second]
        .map(|states| {
            let began = Instant::now();
            trainer.set(|name| tensor(states, name), 0);
            began.elapsed().as_secs_f64()
        })
        .to_vec();
    let (seconds, change) = (median(&mut totals), median(&mut changes));
    println!(
        "  {:<8} density {density:<5} {:8.1} images/s, {:7.1} ms a step, {:5.1} ms for other masks, peak memory of the process \
         so far {} MiB",
        options.instruction_set.name(),
        batch as f64 / seconds,
        seconds * 1e3,
        change * 1e3,
        peak
    );
    for (name, [forward, backward]) in names.iter().zip(least_times).filter(|_| nodes) {
        println!("    {name:<22} forward {:8.3} ms, backward {:8.3} ms", forward * 1e3, backward * 1e3);
    }
    let mut macs = BTreeMap::<&str, usize>::new();
    for (place, own) in graph.parameters().iter().enumerate() {
        *macs.entry(kind(graph, &graph.nodes()[own.node].name)).or_default() += own.len() * graph.positions(place);
    }
    for (kind, [mut forward, mut backward]) in kinds {
        let (forward, backward) = (least(&mut forward), least(&mut backward));
        let macs = macs.get(kind).copied().unwrap_or(0) as f64 * batch as f64 * density * 1e-9;
        let rate = if macs > 0.0 {
            format!(", {:6.1} and {:6.1} GMAC/s", macs / forward, 2.0 * macs / backward)
        } else {
            String::new()
        };
        println!("    {kind:<22} forward {:8.2} ms, backward {:8.2} ms{rate}", forward * 1e3, backward * 1e3);
    }
}

/// The largest resident size of this process so far, in MiB, where the system says it.
fn peak_mib() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<usize>().ok()? / 1024)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn least(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[0]
}
