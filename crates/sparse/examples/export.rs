//! Writes made-up networks in every format, with images and the answers to them as raw f32: what `scripts/check-exports`
//! gives to PyTorch and ONNX Runtime.
//!
//! `export FOLDER` leaves `<network>.onnx`, `<network>-b4.onnx`, `<network>.safetensors`, `<network>-csr.safetensors`,
//! `<network>.images` and `<network>.answers`, little-endian and row-major, for a pruned LeNet, for a network with
//! every kind of layer, and for random graphs, as they are and compacted. `export FOLDER FILE.secateur ...` leaves images and
//! answers for the networks of these files instead, under their names.

#[path = "../tests/graphs/mod.rs"]
mod graphs;

use secateur_graph::{Activation, BatchNorm, Conv2d, Graph, Linear, Op, Pool, Role, Weights};
use secateur_sparse::export::{Form, onnx, safetensors};
use secateur_sparse::{compact, file::decode};
use std::error::Error;
use std::path::Path;

/// Images that are answered; the models with a fixed batch take as many.
const IMAGES: usize = 4;
/// Random graphs.
const GRAPHS: u64 = 120;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("expected a folder to write to")?;
    std::fs::create_dir_all(&folder)?;
    let files: Vec<String> = arguments.collect();
    if !files.is_empty() {
        return files.iter().try_for_each(|file| answer(Path::new(&folder), Path::new(file)));
    }
    write(Path::new(&folder), "lenet", [1, 28, 28], lenet(), 0.1)?;
    write(Path::new(&folder), "every", [3, 19, 17], every(), 0.7)?;
    for seed in 0..GRAPHS {
        let mut random = graphs::Random(seed);
        let graph = graphs::graph(&mut random);
        let weights = graphs::weights(&graph, &mut random);
        let images = graphs::images(&graph, IMAGES, &mut random);
        let small = compact(&graph, &weights);
        let name = format!("graph-{seed:03}");
        write_graph(Path::new(&folder), &name, (&graph, &weights), &images)?;
        write_graph(Path::new(&folder), &format!("{name}-compact"), (&small.graph, &small.weights), &images)?;
    }
    Ok(())
}

/// Writes images for the network of a model file, and the answers of the reference implementation.
fn answer(folder: &Path, file: &Path) -> Result<(), Box<dyn Error>> {
    let network = decode(&std::fs::read(file)?)?.network;
    let pixels: usize = network.input().iter().product();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let images: Vec<f32> = (0..IMAGES * pixels).map(|_| 2.0 * random.next() - 1.0).collect();
    let answers: Vec<f32> = images.chunks_exact(pixels).flat_map(|image| network.forward(image)).collect();
    for (end, values) in [("images", images), ("answers", answers)] {
        let name = file.with_extension(end);
        let name = name.file_name().ok_or("expected a file")?;
        std::fs::write(folder.join(name), values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())?;
    }
    Ok(())
}

/// Writes a graph, unless a value of it is infinite.
fn write_graph(
    folder: &Path,
    name: &str,
    (graph, weights): (&Graph, &Weights),
    images: &[Vec<f32>],
) -> Result<(), Box<dyn Error>> {
    let values: Vec<Vec<Vec<f32>>> = images.iter().map(|image| graph.forward_all(weights, image)).collect();
    if values.iter().flatten().flatten().any(|value| !value.is_finite()) {
        return Ok(());
    }
    let answers: Vec<f32> = values.iter().flat_map(|own| &own[graph.output().index()]).copied().collect();
    let save = |end: &str, bytes: Vec<u8>| std::fs::write(folder.join(format!("{name}{end}")), bytes);
    let raw = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    save(".onnx", onnx(graph, weights, name, None, &[])?)?;
    save("-b4.onnx", onnx(graph, weights, name, Some(IMAGES), &[])?)?;
    save(".safetensors", safetensors(graph, weights, Form::Dense, &[])?)?;
    save("-csr.safetensors", safetensors(graph, weights, Form::Csr, &[])?)?;
    save(".images", raw(&images.concat()))?;
    save(".answers", raw(&answers))?;
    Ok(())
}

/// Writes a network, of whose weights a share is not zero.
fn write(
    folder: &Path,
    name: &str,
    input: [usize; 3],
    ops: Vec<(&str, Op)>,
    density: f32,
) -> Result<(), Box<dyn Error>> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let graph = Graph::sequential(&input, ops)?;
    let mut weights = Weights::neutral(&graph);
    for own in graph.parameters() {
        let bound = (3.0 / density / own.shape[1..].iter().product::<usize>() as f32).sqrt();
        let mut value = || match own.role {
            Role::Weight if random.next() >= density => 0.0,
            Role::Weight => (2.0 * random.next() - 1.0) * bound,
            Role::Scale | Role::Variance => 0.5 + random.next(),
            Role::Bias | Role::Shift | Role::Mean | Role::Table => 0.2 * random.next() - 0.1,
        };
        weights.insert(&own.name, (0..own.len()).map(|_| value()).collect());
    }
    let pixels = input.iter().product();
    let images: Vec<Vec<f32>> = (0..IMAGES).map(|_| (0..pixels).map(|_| random.next() - 0.5).collect()).collect();
    write_graph(folder, name, (&graph, &weights), &images)
}

/// LeNet of width 1.
fn lenet() -> Vec<(&'static str, Op)> {
    let (relu, pool) = (|| Op::Activation(Activation::Relu), || Op::Pool(Pool::max(2)));
    vec![
        ("conv1", Op::Conv2d(Conv2d::new(6, 3))),
        ("relu1", relu()),
        ("pool1", pool()),
        ("conv2", Op::Conv2d(Conv2d::new(16, 3))),
        ("relu2", relu()),
        ("pool2", pool()),
        ("flatten", Op::Flatten),
        ("fc1", Op::Linear(Linear::new(120))),
        ("relu3", relu()),
        ("fc2", Op::Linear(Linear::new(84))),
        ("relu4", relu()),
        ("fc3", Op::Linear(Linear::new(10))),
    ]
}

/// Layers one behind the other with odd sizes, a stride, padding, a crop, and flat features that become an image again.
fn every() -> Vec<(&'static str, Op)> {
    let relu = || Op::Activation(Activation::Relu);
    vec![
        ("conv1", Op::Conv2d(Conv2d::new(7, 3).padding(1))),
        ("bn1", Op::BatchNorm(BatchNorm::default())),
        ("relu1", relu()),
        ("crop", Op::Crop([18, 15])),
        ("mean", Op::Pool(Pool::average(2))),
        ("conv2", Op::Conv2d(Conv2d::new(5, 2).stride(2))),
        ("max", Op::Pool(Pool::max(2))),
        ("flatten", Op::Flatten),
        ("fc1", Op::Linear(Linear::new(6))),
        ("bn2", Op::BatchNorm(BatchNorm::default())),
        ("image", Op::Reshape(vec![6, 1, 1])),
        ("conv3", Op::Conv2d(Conv2d::new(8, 1))),
        ("relu2", relu()),
        ("flat", Op::Flatten),
        ("fc2", Op::Linear(Linear::new(4))),
    ]
}

/// Marsaglia's xorshift, enough for made-up numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }
}
