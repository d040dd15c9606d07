//! Compacted networks against the originals, whose answers they have to give.

use secateur_sparse::{Affine, Conv2d, Error, Footprint, Layer, Network, Trained, compact};

/// Numbers in [0, 1): xorshift64* (Vigna, 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1u64 << 24) as f32
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() * count as f32) as usize
    }

    fn signed(&mut self, bound: f32) -> f32 {
        (2.0 * self.next() - 1.0) * bound
    }
}

fn conv(name: &str, [inputs, outputs]: [usize; 2], kernel: usize, stride: usize, padding: usize) -> Layer {
    let Layer::Conv2d(plain) = Layer::conv(name, inputs, outputs, kernel) else {
        unreachable!("it makes a convolution")
    };
    Layer::Conv2d(Conv2d { stride, padding, ..plain })
}

/// Layers so far, and the shape that they give.
struct Growing {
    layers: Vec<Layer>,
    shape: [usize; 3],
}

impl Growing {
    /// Leaves a layer out that does not fit.
    fn push(&mut self, layer: Layer) {
        if let Ok(network) = Network::new(self.shape, vec![layer.clone()]) {
            self.shape = network.shape(1);
            self.layers.push(layer);
        }
    }
}

/// A network of up to four convolutions and three fully connected layers, with values still to be drawn.
fn random_shape(random: &mut Random) -> Network {
    let input = [1 + random.below(3), 5 + random.below(10), 5 + random.below(10)];
    let mut own = Growing { layers: vec![], shape: input };
    let affine = |channels: usize| {
        let (scale, shift) = (vec![1.0; channels], vec![0.0; channels]);
        Layer::Affine(Affine { name: "affine".into(), scale, shift })
    };
    for place in 0..random.below(5) {
        let (kernel, stride, padding) = (1 + random.below(4), 1 + random.below(2), random.below(3).saturating_sub(1));
        let channels = [own.shape[0], 1 + random.below(6)];
        own.push(conv(&format!("conv{place}"), channels, kernel, stride, padding));
        for _ in 0..random.below(4) {
            let layer = match random.below(8) {
                0..3 => Layer::Relu,
                3 => affine(own.shape[0]),
                4 => Layer::MaxPool2d { size: 2 },
                5 => Layer::AvgPool2d { size: 2 },
                6 => Layer::MaxPool2d { size: 1 + random.below(3) },
                _ => Layer::Crop { height: 1 + random.below(own.shape[1]), width: 1 + random.below(own.shape[2]) },
            };
            own.push(layer);
        }
    }
    own.push(Layer::Flatten);
    for place in 0..1 + random.below(3) {
        if random.below(4) == 0 {
            own.push(affine(own.shape[0]));
        }
        own.push(Layer::linear(&format!("fc{place}"), own.shape[0], 1 + random.below(9)));
        if random.below(3) > 0 {
            own.push(Layer::Relu);
        }
    }
    Network::new(input, own.layers).expect("each layer fitted")
}

/// Draws a network's values: of the weights a share is not zero, and some units and layers have no weights at all.
fn drawn(shape: &Network, density: f32, random: &mut Random) -> Network {
    let mut layers = shape.layers().to_vec();
    for layer in &mut layers {
        if let Layer::Affine(own) = layer {
            let factors = [0.0, 1.0, 0.5, -1.5];
            own.scale.iter_mut().for_each(|scale| *scale = factors[random.below(if density < 1.0 { 4 } else { 3 })]);
            let shifted = random.below(2) == 0;
            own.shift.iter_mut().for_each(|shift| *shift = if shifted { random.signed(1.0) } else { 0.0 });
        }
        let Some(own) = layer.parameters_mut() else { continue };
        let columns = own.weight.len() / own.bias.len();
        let bound = (3.0 / (columns as f32 * density.max(0.05))).sqrt();
        let empty = density < 1.0 && random.below(12) == 0;
        for (row, bias) in own.bias.iter_mut().enumerate() {
            let idle = empty || density < 1.0 && random.below(4) == 0;
            for weight in &mut own.weight[row * columns..][..columns] {
                *weight = if !idle && random.next() < density { random.signed(bound) } else { 0.0 };
            }
            *bias = if random.below(3) == 0 { 0.0 } else { random.signed(0.5) };
        }
    }
    Network::new(shape.input(), layers).expect("only values changed")
}

fn images(network: &Network, count: usize, random: &mut Random) -> Vec<Vec<f32>> {
    let pixels: usize = network.input().iter().product();
    (0..count).map(|_| (0..pixels).map(|_| random.signed(1.0)).collect()).collect()
}

/// Both sides of every number of a footprint.
fn pairs(before: Footprint, after: Footprint) -> [[usize; 2]; 5] {
    let values = |own: Footprint| [own.units, own.weights, own.nonzero, own.macs, own.remaining_macs];
    let (before, after) = (values(before), values(after));
    std::array::from_fn(|place| [before[place], after[place]])
}

/// The largest difference between the answers of two chains.
fn difference<'a>(a: &Network, b: &Network, images: impl IntoIterator<Item = &'a [f32]>) -> f32 {
    secateur_sparse::difference(&Trained::Chain(a.clone()), &Trained::Chain(b.clone()), images)
}

#[test]
fn any_network_answers_the_same_compacted() {
    let mut smaller = [0; 5];
    for seed in 1..=1500u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let shape = random_shape(&mut random);
        let density = [1.0, 0.6, 0.3, 0.15, 0.05, 0.0][seed as usize % 6];
        let network = drawn(&shape, density, &mut random);
        let found = compact(&network);
        let about = format!("seed {seed}, density {density}: {:?} became {:?}", network, found.network);

        let images = images(&network, 4, &mut random);
        let logits = images.iter().flat_map(|image| network.forward(image));
        let scale = logits.fold(1e-2f32, |most, logit| most.max(logit.abs()));
        let own = difference(&network, &found.network, images.iter().map(Vec::as_slice));
        assert!(own <= 1e-4 * scale, "differs by {own} of {scale}; {about}");

        assert_eq!(found.before, Footprint::of(&network), "{about}");
        assert_eq!(found.after, Footprint::of(&found.network), "{about}");
        for (place, [before, after]) in pairs(found.before, found.after).into_iter().enumerate() {
            assert!(after <= before, "number {place} grew; {about}");
            smaller[place] += usize::from(after < before);
        }
        let again = compact(&found.network);
        assert_eq!(again.network, found.network, "once is enough; {about}");
        assert_eq!(found.network.input(), network.input());
    }
    assert!(smaller.iter().all(|count| *count > 300), "the sweep compacts hardly anything: {smaller:?}");
}

fn lenet(k: usize) -> Network {
    let block = |name: &str, inputs, outputs| {
        [Layer::conv(name, inputs, outputs, 3), Layer::Relu, Layer::MaxPool2d { size: 2 }]
    };
    let mut layers = [block("conv1", 1, 6 * k), block("conv2", 6 * k, 16 * k)].concat();
    layers.extend([Layer::Flatten, Layer::linear("fc1", 400 * k, 120 * k), Layer::Relu]);
    layers.extend([Layer::linear("fc2", 120 * k, 84 * k), Layer::Relu, Layer::linear("fc3", 84 * k, 10)]);
    Network::new([1, 28, 28], layers).expect("fits")
}

#[test]
fn a_dense_network_is_cropped_and_nothing_else() {
    let network = drawn(&lenet(1), 1.0, &mut Random(7));
    let found = compact(&network);
    let crop = Layer::Crop { height: 26, width: 26 };
    let wanted = [vec![crop], network.layers().to_vec()].concat();
    assert_eq!(found.network, Network::new([1, 28, 28], wanted).expect("fits"));
    assert_eq!(found.network.shape(2), [6, 24, 24], "of 26 x 26");
    let macs = [6 * 9 * 26 * 26 + 16 * 54 * 11 * 11, 6 * 9 * 24 * 24 + 16 * 54 * 10 * 10].map(|convs| convs + 58_920);
    assert_eq!([found.before.macs, found.after.macs], macs);
    assert_eq!(macs, [199_968, 176_424]);
    let size = |own: Footprint| (own.units, own.weights, own.nonzero);
    assert_eq!(size(found.before), (236, 59_838, 59_838));
    assert_eq!(size(found.after), size(found.before));
    assert_eq!(
        difference(&network, &found.network, images(&network, 2, &mut Random(1)).iter().map(Vec::as_slice)),
        0.0
    );
}

#[test]
fn after_structured_pruning_a_normal_small_network_is_left() {
    // Half of the filters and of the neurons lose all their weights, but not their bias.
    let dense = drawn(&lenet(2), 1.0, &mut Random(3));
    let pruned = dense.filled(|layer| {
        if layer.name != "fc3" {
            let columns = layer.weight.len() / layer.bias.len();
            layer.weight.chunks_mut(columns).step_by(2).for_each(|row| row.fill(0.0));
        }
        Ok::<(), Error>(())
    });
    let pruned = pruned.expect("only values changed");
    let found = compact(&pruned);
    let shapes: Vec<Vec<usize>> = found.network.parameters().map(|own| own.shape).collect();
    assert_eq!(shapes, [vec![6, 1, 3, 3], vec![16, 6, 3, 3], vec![120, 400], vec![84, 120], vec![10, 84]]);
    assert_eq!((found.after.nonzero, found.after.remaining_macs), (found.after.weights, found.after.macs));
    assert!(difference(&pruned, &found.network, images(&pruned, 5, &mut Random(2)).iter().map(Vec::as_slice)) < 1e-5);
}

#[test]
fn a_network_that_says_nothing_is_a_chain_of_single_units() {
    let found = compact(&lenet(1));
    assert_eq!((found.after.units, found.after.nonzero), (14, 0));
    assert_eq!(found.network.forward(&[1.0; 784]), [0.0; 10]);
}

#[test]
fn a_difference_is_the_largest_and_nan_wins() {
    let network = |bias: [f32; 2]| {
        let mut layer = Layer::linear("f", 1, 2);
        layer.parameters_mut().expect("it has a bias").bias.copy_from_slice(&bias);
        Network::new([1, 1, 1], vec![layer]).expect("fits")
    };
    let own = |a, b| difference(&network(a), &network(b), [&[0.0f32][..]]);
    assert_eq!(own([1.0, 2.0], [1.5, 0.0]), 2.0);
    assert_eq!(own([f32::INFINITY, 2.0], [f32::INFINITY, 3.0]), 1.0);
    assert!(own([f32::NAN, 2.0], [1.5, 0.0]).is_nan());
    assert_eq!(difference(&network([1.0; 2]), &network([2.0; 2]), []), 0.0, "no image, no difference");
}

#[test]
fn any_network_answers_the_same_as_a_graph() {
    for seed in 1..=300u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let network = drawn(&random_shape(&mut random), 0.6, &mut random);
        let (graph, weights) = network.to_graph().expect("small");
        weights.check(&graph).expect("all of them");
        let back = Network::from_graph(&graph, &weights).expect("it flattens once");
        for image in images(&network, 2, &mut random) {
            assert_eq!(graph.forward(&weights, &image), network.forward(&image), "seed {seed}");
            assert_eq!(back.forward(&image), network.forward(&image), "seed {seed}");
        }
    }
}
