//! Times the engine of graphs on made-up images of CIFAR-10's size: ResNet-20 or VGG-11 (batch-norm), dense and with
//! uniformly random masks.
//!
//!   cargo bench -p secateur-sparse --bench graph_engine -- [resnet20|vgg11] [BATCH,..] [THREADS,..] [ROUNDS] [DENSITY,..] [SET]
//!
//! A call of batch 1 is a fraction of a millisecond, and so there are sixteen of them in a round.

mod cifar;

use cifar::{Random, resnet20, vgg11};
use secateur_graph::{Graph, Role, Weights};
use secateur_sparse::InstructionSet;
use secateur_sparse::infer::{GraphEngine, Options};
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|own| own != "--bench").collect();
    let list = |place: usize, default: &str| -> Vec<f64> {
        let own = arguments.get(place).map_or(default, String::as_str);
        own.split(',').map(|own| own.parse().expect("a number")).collect()
    };
    let graph = if arguments.first().is_some_and(|own| own == "vgg11") { vgg11() } else { resnet20() };
    let graph = graph.expect("a network");
    let rounds = list(3, "30")[0] as usize;
    println!("{} MACs an image, the median of {rounds} calls, of single images of {}", graph.macs(), 16 * rounds);
    for instruction_set in InstructionSet::available().into_iter().rev() {
        if arguments.get(5).is_some_and(|own| own != instruction_set.name()) {
            continue;
        }
        for batch in list(1, "128,1").into_iter().map(|batch| batch as usize) {
            for (threads, density) in list(2, "1,2").into_iter().flat_map(|threads| {
                list(4, "1,0.1,0.05,0.02").into_iter().map(move |density| (threads as usize, density))
            }) {
                let options = Options { threads, instruction_set, ..Options::new(batch) };
                measure(&graph, density, &options, rounds * 16_usize.div_ceil(batch));
            }
        }
    }
}

/// Weights of which a fraction is kept.
fn weights(graph: &Graph, density: f64) -> Weights {
    let (mut random, mut own) = (Random(7), Weights::neutral(graph));
    for parameter in graph.parameters().iter().filter(|own| own.role == Role::Weight) {
        let columns = (parameter.len() / parameter.shape[0]) as f32;
        let reach = (2.0 / columns / density as f32).sqrt();
        for value in own.get_mut(&parameter.name).expect("there") {
            let is_kept = f64::from(random.next()) < density;
            *value = if is_kept { reach * (2.0 * random.next() - 1.0) } else { 0.0 };
        }
    }
    own
}

fn measure(graph: &Graph, density: f64, options: &Options, rounds: usize) {
    let mut engine = GraphEngine::new(graph, &weights(graph, density), options).expect("a small network");
    let mut random = Random(11);
    let images: Vec<f32> = (0..options.batch * engine.pixels()).map(|_| 4.0 * random.next() - 2.0).collect();
    let mut logits = engine.logits(&images);
    let mut times = vec![];
    for _ in 0..rounds {
        let began = Instant::now();
        engine.logits_into(&images, &mut logits);
        times.push(began.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let seconds = times[times.len() / 2];
    println!(
        "  {:<8} batch {:<4} {} threads, density {density:<5} {:9.1} images/s, {:7.3} ms a call, {:6.1} GMAC/s, {:6.2} MiB",
        options.instruction_set.name(),
        options.batch,
        options.threads,
        options.batch as f64 / seconds,
        seconds * 1e3,
        graph.macs() as f64 * density * options.batch as f64 / seconds * 1e-9,
        engine.bytes() as f64 / f64::from(1 << 20),
    );
}
