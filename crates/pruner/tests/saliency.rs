//! Criteria that look at more than weights, on a two-layer net whose gradients are checked by finite differences.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData, activation::relu};
use secateur_pruner::*;

#[derive(Module, Debug)]
struct Net {
    fc1: Linear,
    norm: BatchNorm,
    fc2: Linear,
}

impl Net {
    /// Three inputs, two hidden units, one output; weights that a person can type.
    fn new(device: &Device) -> Self {
        let net = Self {
            fc1: LinearConfig::new(3, 2).init(device),
            norm: BatchNormConfig::new(2).init(device),
            fc2: LinearConfig::new(2, 1).init(device),
        };
        let mut values = parameters(&net);
        for own in &mut values {
            match own.name.as_str() {
                "fc1.weight" => own.values = vec![0.5, -1.0, 2.0, 0.25, -0.75, 1.5],
                "fc1.bias" => own.values = vec![0.1, 0.2],
                "fc2.weight" => own.values = vec![1.0, -2.0],
                "fc2.bias" => own.values = vec![0.3],
                _ => {}
            }
        }
        set_parameters(net, &values).unwrap()
    }

    /// Smooth, so that differences converge.
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.fc2.forward(self.fc1.forward(input).tanh())
    }
}

fn input(device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(vec![1.0f32, -0.5, 0.2, 0.3, 0.8, -1.2], [2, 3]), device)
}

/// Half the mean square of the outputs.
fn loss(net: &Net) -> Tensor<1> {
    let outputs = net.forward(input(&Device::flex().autodiff()));
    (outputs.clone() * outputs).mean() * 0.5
}

fn loss_at(net: &Net, name: &str, index: usize, step: f32) -> f64 {
    let device = Device::flex().autodiff();
    let mut values = parameters(net);
    values.iter_mut().find(|own| own.name == name).unwrap().values[index] += step;
    let moved = set_parameters(Net::new(&device), &values).unwrap();
    f64::from(loss(&moved).into_data().iter::<f32>().next().unwrap())
}

fn masked(device: &Device) -> Net {
    let selection = Selection { include: vec!["fc?.weight".into()], exclude: vec![] };
    let net = mask_selected(Net::new(device), &selection).unwrap();
    let set = MaskSet::new(vec![
        ("fc1.weight".into(), Mask::from_fn(&[3, 2], |index| index != 2)),
        ("fc2.weight".into(), Mask::full(&[2, 1])),
    ]);
    set_masks(net, &set).unwrap()
}

#[test]
fn gradients_of_all_weights_are_those_of_finite_differences_pruned_ones_included() {
    let device = Device::flex().autodiff();
    let net = masked(&device);
    let gradients = Gradients::of(&net, loss).unwrap();
    for name in ["fc1.weight", "fc2.weight", "fc1.bias"] {
        let own = gradients.get(name).unwrap();
        for (index, gradient) in own.values.iter().enumerate() {
            let step = 1e-2;
            let slope = (loss_at(&net, name, index, step) - loss_at(&net, name, index, -step)) / f64::from(2.0 * step);
            assert!((slope - f64::from(*gradient)).abs() < 1e-3, "{name}[{index}]: {slope} {gradient}");
        }
    }
    assert!(gradients.get("fc1.weight").unwrap().values[2] != 0.0, "a pruned weight has a gradient");
    // The loop's own gradients come through the masks.
    let through = GradientsParams::from_grads(loss(&net).backward(), &net);
    let through = Gradients::through_masks(&net, &through).unwrap();
    let (mut wanted, own) = (gradients.get("fc1.weight").unwrap().clone(), through.get("fc1.weight").unwrap());
    wanted.values[2] = 0.0;
    assert_eq!(own, &wanted);
    // A second time the same bits, and two batches are the sum.
    let mut twice = Gradients::of(&net, loss).unwrap();
    assert_eq!(twice, gradients);
    twice.add(&gradients).unwrap();
    assert_eq!(twice.get("fc2.weight").unwrap().values[0], 2.0 * gradients.get("fc2.weight").unwrap().values[0]);
}

#[test]
fn gradient_and_taylor_scores_are_products() {
    let device = Device::flex().autodiff();
    let net = masked(&device);
    let (weights, gradients) = (parameters(&net), Gradients::of(&net, loss).unwrap());
    let snip = Saliency::gradient(&weights, &gradients).unwrap();
    let taylor = Saliency::taylor(&weights, &gradients).unwrap();
    let (weight, gradient) = (&weights[0].values, &gradients.get("fc1.weight").unwrap().values);
    for index in 0..6 {
        let product = weight[index] * gradient[index];
        assert_eq!(snip.get("fc1.weight").unwrap().values[index], product.abs());
        assert_eq!(taylor.get("fc1.weight").unwrap().values[index], product * product);
    }
    let (net, set) = prune_by(net, &snip, Scope::Global, Sparsity::new(0.5).unwrap()).unwrap();
    assert_eq!(set.pruned(), 4);
    assert!(!set.get("fc1.weight").unwrap().keeps(2));
    assert!(matches!(
        prune_by(net, &Saliency::new(vec![]).unwrap(), Scope::Global, Sparsity::DENSE),
        Err(Error::Missing { what: "score", .. })
    ));
}

#[test]
fn grasp_is_the_weight_times_the_hessian_times_the_gradient() {
    let device = Device::flex().autodiff();
    let net = masked(&device);
    let scores = grasp(&net, loss).unwrap();
    // H g by its definition: the slope of the gradient's components along g, from second differences of the loss.
    let gradients = Gradients::of(&net, loss).unwrap();
    let names = ["fc1.weight", "fc2.weight"];
    let mut places: Vec<(&str, usize, f32)> = vec![];
    for name in names {
        let own = gradients.get(name).unwrap();
        places.extend(own.values.iter().enumerate().map(|(index, value)| (name, index, *value)));
    }
    places.retain(|(name, index, _)| (*name, *index) != ("fc1.weight", 2));
    let weights = parameters(&net);
    let moved_loss = |moves: &[(&str, usize, f64)]| -> f64 {
        let value = |name: &str, index: usize| -> f64 {
            let stored = weights.iter().find(|own| own.name == name).unwrap().values[index];
            let moved = moves.iter().filter(|(n, i, _)| (*n, *i) == (name, index)).map(|(_, _, step)| step);
            f64::from(stored) + moved.sum::<f64>()
        };
        let rows = [[1.0f32, -0.5, 0.2], [0.3, 0.8, -1.2]];
        let outputs = rows.map(|row| {
            let hidden = (0..2).map(|unit| {
                let sum = (0..3).map(|i| f64::from(row[i]) * value("fc1.weight", i * 2 + unit)).sum::<f64>();
                (sum + value("fc1.bias", unit)).tanh() * value("fc2.weight", unit)
            });
            hidden.sum::<f64>() + value("fc2.bias", 0)
        });
        outputs.iter().map(|output| output * output / 4.0).sum()
    };
    for (name, index, _) in &places {
        let h = 1e-4;
        let mut second = 0.0;
        for (other, at, gradient) in &places {
            let mixed = |a: f64, b: f64| moved_loss(&[(name, *index, a * h), (other, *at, b * h)]);
            let slope = (mixed(1.0, 1.0) - mixed(1.0, -1.0) - mixed(-1.0, 1.0) + mixed(-1.0, -1.0)) / (4.0 * h * h);
            second += slope * f64::from(*gradient);
        }
        let weight = weights.iter().find(|own| own.name == *name).unwrap().values[*index];
        let (wanted, found) = (f64::from(weight) * second, f64::from(scores.get(name).unwrap().values[*index]));
        assert!((wanted - found).abs() < 2e-3 * (1.0 + wanted.abs()), "{name}[{index}]: {wanted} {found}");
    }
    assert_eq!(scores.get("fc1.weight").unwrap().values[2], 0.0);
    assert_eq!(scores, grasp(&net, loss).unwrap());
    let (_, set) = prune_by(net, &scores, Scope::Global, Sparsity::new(0.5).unwrap()).unwrap();
    assert_eq!(set.pruned(), 4);
}

#[derive(Module, Debug)]
struct Flow {
    fc1: Linear,
    norm: BatchNorm,
    fc2: Linear,
}

/// `fc1 [2, 2] = [[1, -2], [3, -4]]`, a normalisation, `fc2 [2, 1] = [[-5], [6]]`, no bias.
fn flow(device: &Device) -> Flow {
    let net = Flow {
        fc1: LinearConfig::new(2, 2).with_bias(false).init(device),
        norm: BatchNormConfig::new(2).with_epsilon(1e-12).init(device),
        fc2: LinearConfig::new(2, 1).with_bias(false).init(device),
    };
    let mut values = parameters(&net);
    for own in &mut values {
        match own.name.as_str() {
            "fc1.weight" => own.values = vec![1.0, -2.0, 3.0, -4.0],
            "fc2.weight" => own.values = vec![-5.0, 6.0],
            _ => {}
        }
    }
    set_parameters(net, &values).unwrap()
}

fn ones(net: &Flow) -> Tensor<2> {
    let input = Tensor::<2>::ones([1, 2], &Device::flex().autodiff());
    net.fc2.forward(relu(net.norm.forward(net.fc1.forward(input))))
}

#[test]
fn synaptic_flow_is_the_sum_over_all_paths_through_a_weight() {
    let device = Device::flex().autodiff();
    let net = mask_selected(flow(&device), &Selection::default()).unwrap();
    let before = parameters(&net);
    let scores = synflow(&net, ones).unwrap();
    // Absolute values: fc1 weights times what follows, fc2 weights times the sum of what enters.
    assert_eq!(scores.get("fc1.weight").unwrap().values, [5.0, 12.0, 15.0, 24.0]);
    assert_eq!(scores.get("fc2.weight").unwrap().values, [20.0, 36.0]);
    assert_eq!(parameters(&net), before, "neither weights nor running statistics moved");

    // In rounds of one weight each: 5 goes. Now fc1 has [-, 12, 15, 24] and fc2 [15, 36], so 12 goes. Then fc1 has
    // [-, -, 15, 24] and fc2 [15, 24], and of the two of 15 the later one goes.
    let (_, set) =
        prune_in_rounds(net.clone(), Scope::Global, Sparsity::new(0.5).unwrap(), 3, |net| synflow(net, ones)).unwrap();
    let kept = |name| set.get(name).unwrap().indices().collect::<Vec<_>>();
    assert_eq!((kept("fc1.weight"), kept("fc2.weight")), (vec![2, 3], vec![1]));
    // At once it is 5, 12, 15.
    let (_, set) = prune_by(net, &scores, Scope::Global, Sparsity::new(0.5).unwrap()).unwrap();
    assert_eq!(set.get("fc1.weight").unwrap().indices().collect::<Vec<_>>(), [3]);
}

#[test]
fn movement_is_positive_where_a_weight_leaves_zero() {
    let device = Device::flex().autodiff();
    let mut net = masked(&device);
    let mut movement = Movement::new(&["fc1.weight", "fc2.weight"]);
    assert!(movement.saliency().is_none());
    let mut optimizer = SgdConfig::new().init();
    let mut wanted = 0.0;
    for _ in 0..3 {
        let gradients = GradientsParams::from_grads(loss(&net).backward(), &net);
        movement.step(&net, &gradients).unwrap();
        let before = parameters(&net);
        net = optimizer.step(0.5, net, gradients);
        // Plain SGD moves by -0.5 g.
        let (old, new) = (before[0].values[1], parameters(&net)[0].values[1]);
        wanted += old * (new - old) / 0.5;
    }
    let scores = movement.saliency().unwrap();
    assert!((scores.get("fc1.weight").unwrap().values[1] - wanted).abs() < 1e-5);
    assert_eq!(scores.get("fc1.weight").unwrap().values[2].to_bits(), 0, "a pruned weight does not move");
    assert!(scores.get("fc1.bias").is_none());
    let gradients = GradientsParams::from_grads(loss(&net).backward(), &net);
    let error = Movement::new(&["fc9.weight"]).step(&net, &gradients).unwrap_err().to_string();
    assert_eq!(error, "there is no gradient of `fc9.weight`; there is one of none");
}

#[test]
fn wanda_weighs_by_the_norm_of_the_input() {
    let device = Device::flex();
    let rows = |values: [f32; 4]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 2]), &device);
    let mut activations = Activations::new();
    activations.features("fc.weight", &rows([3.0, 1.0, 0.0, 0.0])).unwrap();
    activations.features("fc.weight", &rows([4.0, 0.0, 0.0, 0.0])).unwrap();
    // Two channels of 1x2 pixels, two images.
    let images = TensorData::new(vec![1.0f32, 1.0, 0.0, 2.0, 1.0, 1.0, 0.0, 0.0], [2, 2, 1, 2]);
    let images = Tensor::<4>::from_data(images, &device);
    activations.channels("conv.weight", &images).unwrap();
    activations.channels("grouped.weight", &images).unwrap();
    let weight = |name: &str, shape: &[usize], values: &[f32]| Parameter {
        name: name.into(),
        shape: shape.to_vec(),
        values: values.to_vec(),
    };
    let conv: Conv2d = Conv2dConfig::new([2, 2], [1, 2]).init(&device);
    assert_eq!(conv.weight.dims(), [2, 2, 1, 2], "burn keeps [out, in, height, width]");
    let weights = [
        weight("fc.weight", &[2, 3], &[1.0, -1.0, 2.0, 7.0, -8.0, 9.0]),
        weight("fc.bias", &[3], &[0.0; 3]),
        weight("conv.weight", &[2, 2, 1, 2], &[1.0, -1.0, 3.0, 3.0, 2.0, 2.0, 1.0, 1.0]),
        weight("grouped.weight", &[2, 1, 1, 2], &[1.0, 1.0, 1.0, 5.0]),
    ];
    let scores = activations.wanda(&weights).unwrap();
    let of = |name| scores.get(name).unwrap().values.clone();
    // Norms of the inputs: 5 and 1 for the linear layer, 2 and 2 for the convolutions.
    assert_eq!(of("fc.weight"), [5.0, 5.0, 10.0, 7.0, 8.0, 9.0]);
    assert_eq!(of("conv.weight"), [2.0, 2.0, 6.0, 6.0, 4.0, 4.0, 2.0, 2.0]);
    assert_eq!(of("grouped.weight"), [2.0, 2.0, 2.0, 10.0]);
    assert!(scores.get("fc.bias").is_none());

    assert!(activations.features("conv.weight", &Tensor::<2>::ones([1, 3], &device)).is_err());
    assert!(activations.features("fc.weight", &(rows([1.0; 4]) * f32::INFINITY)).is_err());
    for shape in [vec![3, 2], vec![6], vec![1, 1, 6]] {
        let error = activations.wanda(&[weight("fc.weight", &shape, &[0.0; 6])]).unwrap_err().to_string();
        assert!(error.contains("`fc.weight`") && error.contains("2 inputs"), "{error}");
    }
}

#[test]
fn gradients_leave_running_statistics_alone_and_faults_are_named() {
    let device = Device::flex().autodiff();
    let net = flow(&device);
    let before = parameters(&net);
    let batch = || Tensor::<2>::from_data(TensorData::new(vec![1.0f32, 2.0, -3.0, 0.5], [2, 2]), &device);
    Gradients::of(&net, |net: &Flow| net.norm.forward(net.fc1.forward(batch())).powi_scalar(2).mean()).unwrap();
    net.norm.running_mean.value_sync();
    assert_eq!(parameters(&net), before);
    let error = Gradients::of(&net, |net: &Flow| net.fc1.forward(batch() * f32::NAN).sum()).unwrap_err().to_string();
    assert_eq!(error, "gradient of `fc1.weight` at flat index 0 is NaN; only finite numbers can be ranked");
    assert!(matches!(Gradients::of(&net, |_: &Flow| Tensor::ones([1], &Device::flex())), Err(Error::NoGradients)));
    // A buffer is no parameter, whatever the pattern.
    let selection = Selection { include: vec!["*".into()], exclude: vec![] };
    let net = mask_selected(net, &selection).unwrap();
    let names: Vec<String> = masks(&net).iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["fc1.weight", "norm.gamma", "norm.beta", "fc2.weight"]);
    assert!(matches!(mask_selected(net, &selection), Err(Error::AlreadyMasked { .. })));
}
