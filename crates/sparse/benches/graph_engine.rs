//! Times the engine on made-up images: ResNet-20, VGG-11 (batch-norm) or LeNet (k=5), dense and with
//! uniformly random masks, of single weights and of blocks of four inputs, each with f32 and with int8 in turns.
//!
//!   cargo bench -p secateur-sparse --bench graph_engine -- [resnet20|vgg11|lenet] [BATCH,..] [THREADS,..] [ROUNDS] [DENSITY,..] [SET]
//!
//! A call of batch 1 is a fraction of a millisecond, and so there are sixteen of them in a round.

mod cifar;
mod lenet;

use cifar::{Random, resnet20, vgg11};
use secateur_graph::{Graph, Role, Weights};
use secateur_sparse::infer::{Engine, Options};
use secateur_sparse::{InstructionSet, Ranges, Trained};
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|own| own != "--bench").collect();
    let list = |place: usize, default: &str| -> Vec<f64> {
        let own = arguments.get(place).map_or(default, String::as_str);
        own.split(',').map(|own| own.parse().expect("a number")).collect()
    };
    let graph = match arguments.first().map(String::as_str) {
        Some("vgg11") => vgg11().expect("a network"),
        Some("lenet") => lenet::lenet(5).graph,
        _ => resnet20().expect("a network"),
    };
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
                for block in if density < 1.0 { vec![1, 4] } else { vec![1] } {
                    measure(&graph, density, block, &options, rounds * 16_usize.div_ceil(batch));
                }
            }
        }
    }
}

/// Weights of which a fraction is kept, in blocks of so many inputs.
fn weights(graph: &Graph, density: f64, block: usize) -> Weights {
    let (mut random, mut own) = (Random(7), Weights::neutral(graph));
    for parameter in graph.parameters().iter().filter(|own| own.role == Role::Weight) {
        let columns = (parameter.len() / parameter.shape[0]) as f32;
        let reach = (2.0 / columns / density as f32).sqrt();
        let (inputs, taps) = (parameter.shape[1], parameter.shape[2..].iter().product::<usize>());
        let blocks = inputs.div_ceil(block) * taps;
        let kept: Vec<bool> = (0..parameter.shape[0] * blocks).map(|_| f64::from(random.next()) < density).collect();
        for (place, value) in own.get_mut(&parameter.name).expect("there").iter_mut().enumerate() {
            let (filter, input, tap) = (place / (inputs * taps), place / taps % inputs, place % taps);
            let is_kept = kept[filter * blocks + input / block * taps + tap];
            *value = if is_kept { reach * (2.0 * random.next() - 1.0) } else { 0.0 };
        }
    }
    own
}

fn measure(graph: &Graph, density: f64, block: usize, options: &Options, rounds: usize) {
    let weights = weights(graph, density, block);
    let network = Trained { graph: graph.clone(), weights: weights.clone() };
    let mut engines = vec![("f32", Engine::new(graph, &weights, options).expect("a small network"))];
    let mut random = Random(11);
    let pixels: usize = network.input().iter().product();
    let images: Vec<f32> = (0..options.batch * pixels).map(|_| 4.0 * random.next() - 2.0).collect();
    let ranges = Ranges::of_network(&network, &images, options).expect("a small network");
    engines.push(("int8", Engine::over(&network, &ranges, options).expect("a small network")));
    let mut logits: Vec<Vec<f32>> = engines.iter_mut().map(|(_, engine)| engine.logits(&images)).collect();
    let mut times = vec![vec![]; engines.len()];
    for _ in 0..rounds {
        for (own, (_, engine)) in engines.iter_mut().enumerate() {
            let began = Instant::now();
            engine.logits_into(&images, &mut logits[own]);
            times[own].push(began.elapsed().as_secs_f64());
        }
    }
    let median = |mut own: Vec<f64>| {
        own.sort_by(f64::total_cmp);
        own[own.len() / 2]
    };
    let seconds: Vec<f64> = times.into_iter().map(median).collect();
    let masks = if block > 1 { format!("blocks of {block}") } else { "single".into() };
    for (own, (name, engine)) in engines.iter().enumerate() {
        println!(
            "  {:<8} batch {:<4} {} threads, density {density:<5} {masks:<12} {name:<4} {:9.1} images/s, {:7.3} ms a call, {:5.2}x of f32, \
             {:6.1} GMAC/s, {:6.2} MiB",
            options.instruction_set.name(),
            options.batch,
            options.threads,
            options.batch as f64 / seconds[own],
            seconds[own] * 1e3,
            seconds[0] / seconds[own],
            graph.macs() as f64 * density * options.batch as f64 / seconds[own] * 1e-9,
            engine.bytes() as f64 / f64::from(1 << 20),
        );
    }
}
