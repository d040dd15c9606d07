//! Writes made-up networks in every format, with images and the answers to them as raw f32: what `scripts/check-exports`
//! gives to PyTorch and ONNX Runtime.
//!
//! `export FOLDER` leaves `<network>.onnx`, `<network>-b4.onnx`, `<network>.safetensors`, `<network>-csr.safetensors`,
//! `<network>.images` and `<network>.answers`, little-endian and row-major, for a pruned LeNet, for a network with
//! every kind of layer, and for random graphs, as they are and compacted. `export FOLDER FILE.secateur ...` leaves images and
//! answers for the networks of these files instead, under their names.

#[path = "../tests/graphs/mod.rs"]
mod graphs;

use secateur_graph::{Graph, Weights};
use secateur_sparse::export::{Form, onnx, onnx_graph, safetensors, safetensors_graph};
use secateur_sparse::{Affine, Conv2d, Layer, Network, Trained, compact_graph};
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
        let small = compact_graph(&graph, &weights);
        let name = format!("graph-{seed:03}");
        write_graph(Path::new(&folder), &name, (&graph, &weights), &images)?;
        write_graph(Path::new(&folder), &format!("{name}-compact"), (&small.graph, &small.weights), &images)?;
    }
    Ok(())
}

/// Writes images for the network of a model file, and the answers of the reference implementation.
fn answer(folder: &Path, file: &Path) -> Result<(), Box<dyn Error>> {
    let network = Trained::decode(&std::fs::read(file)?)?.network;
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
    save(".onnx", onnx_graph(graph, weights, name, None, &[])?)?;
    save("-b4.onnx", onnx_graph(graph, weights, name, Some(IMAGES), &[])?)?;
    save(".safetensors", safetensors_graph(graph, weights, Form::Dense, &[])?)?;
    save("-csr.safetensors", safetensors_graph(graph, weights, Form::Csr, &[])?)?;
    save(".images", raw(&images.concat()))?;
    save(".answers", raw(&answers))?;
    Ok(())
}

/// Writes a network of these layers, of whose weights a share is not zero.
fn write(folder: &Path, name: &str, input: [usize; 3], layers: Vec<Layer>, density: f32) -> Result<(), Box<dyn Error>> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let network = Network::new(input, layers)?.filled(|own| {
        let bound = (3.0 / density / own.shape[1..].iter().product::<usize>() as f32).sqrt();
        for value in own.weight {
            *value = if random.next() < density { (2.0 * random.next() - 1.0) * bound } else { 0.0 };
        }
        own.bias.iter_mut().for_each(|value| *value = 0.2 * random.next() - 0.1);
        Ok::<(), secateur_sparse::Error>(())
    })?;
    let pixels = input.iter().product();
    let images: Vec<Vec<f32>> = (0..IMAGES).map(|_| (0..pixels).map(|_| random.next() - 0.5).collect()).collect();
    let answers: Vec<f32> = images.iter().flat_map(|image| network.forward(image)).collect();
    let save = |end: &str, bytes: Vec<u8>| std::fs::write(folder.join(format!("{name}{end}")), bytes);
    let raw = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    save(".onnx", onnx(&network, name, None, &[])?)?;
    save("-b4.onnx", onnx(&network, name, Some(IMAGES), &[])?)?;
    save(".safetensors", safetensors(&network, Form::Dense, &[]))?;
    save("-csr.safetensors", safetensors(&network, Form::Csr, &[]))?;
    save(".images", raw(&images.concat()))?;
    save(".answers", raw(&answers))?;
    Ok(())
}

/// LeNet of width 1.
fn lenet() -> Vec<Layer> {
    let pool = || Layer::MaxPool2d { size: 2 };
    vec![
        Layer::conv("conv1", 1, 6, 3),
        Layer::Relu,
        pool(),
        Layer::conv("conv2", 6, 16, 3),
        Layer::Relu,
        pool(),
        Layer::Flatten,
        Layer::linear("fc1", 400, 120),
        Layer::Relu,
        Layer::linear("fc2", 120, 84),
        Layer::Relu,
        Layer::linear("fc3", 84, 10),
    ]
}

/// Every kind of layer, with odd sizes, a stride, padding, and flat features that become an image again.
fn every() -> Vec<Layer> {
    let strided = |name: &str, inputs, outputs, kernel, stride, padding| {
        let (weight, bias) = (vec![0.0; outputs * inputs * kernel * kernel], vec![0.0; outputs]);
        Layer::Conv2d(Conv2d { name: name.into(), inputs, outputs, kernel, stride, padding, weight, bias })
    };
    let affine = |name: &str, channels: usize| {
        let scale = (0..channels).map(|channel| 0.5 + channel as f32 / 8.0).collect();
        let shift = (0..channels).map(|channel| channel as f32 / 16.0 - 0.25).collect();
        Layer::Affine(Affine { name: name.into(), scale, shift })
    };
    vec![
        strided("conv1", 3, 7, 3, 1, 1),
        affine("bn1", 7),
        Layer::Relu,
        Layer::Crop { height: 18, width: 15 },
        Layer::AvgPool2d { size: 2 },
        strided("conv2", 7, 5, 2, 2, 0),
        Layer::MaxPool2d { size: 2 },
        Layer::Flatten,
        Layer::linear("fc1", 10, 6),
        affine("bn2", 6),
        strided("conv3", 6, 8, 1, 1, 0),
        Layer::Relu,
        Layer::linear("fc2", 8, 4),
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
