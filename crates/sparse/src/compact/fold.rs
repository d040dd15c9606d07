//! Folds batch normalisation into the layer before it: scaling and shifting what a linear layer gives is a linear layer.

use super::{Part, Small, name};
use secateur_graph::{BatchNorm, Op, Role};

/// Folds what can be folded; whether there was something.
pub(super) fn fold(small: &mut Small) -> bool {
    let count = small.graph.nodes().len();
    let mut readers = vec![0; count + 1];
    small.graph.nodes().iter().flat_map(|node| &node.inputs).for_each(|value| readers[value.index()] += 1);
    // By value: the layer that gives it, maybe by way of batch normalisation that is folded into it.
    let mut layers: Vec<Option<usize>> = vec![None; count + 1];
    let mut folds = Folds { into: vec![None; count], last: vec![None; count] };
    for place in 0..count {
        let node = &small.graph.nodes()[place];
        let (input, output) = (node.inputs[0].index(), node.output.index());
        if node.op.is_layer() {
            layers[output] = Some(place);
        }
        if let Op::BatchNorm(norm) = &node.op {
            let (norm, layer) = (*norm, layers[input].filter(|_| readers[input] == 1));
            if let Some(layer) = layer.filter(|layer| fold_into(small, *layer, place, norm)) {
                layers[output] = Some(layer);
                (folds.into[place], folds.last[layer]) = (Some(layer), Some(place));
            }
        }
    }
    let changed = folds.into.iter().any(Option::is_some);
    if changed {
        small.rebuild(folds.parts(small));
    }
    changed
}

/// What is folded into what.
struct Folds {
    /// By node: the layer that takes it over.
    into: Vec<Option<usize>>,
    /// By layer: the last node that it takes over. There it stands in the end: what it reads is computed by then, and nobody
    /// reads it earlier.
    last: Vec<Option<usize>>,
}

impl Folds {
    fn parts(&self, small: &Small) -> Vec<Part> {
        let nodes = small.graph.nodes();
        let mut parts: Vec<Part> = Vec::with_capacity(nodes.len());
        let mut values = vec![0; nodes.len() + 1];
        for (place, node) in nodes.iter().enumerate() {
            let (own, op) = match self.into[place] {
                Some(layer) if self.last[layer] == Some(place) => (&nodes[layer], nodes[layer].op.with_bias()),
                Some(_) => continue,
                None if self.last[place].is_some() => continue,
                None => (node, node.op.clone()),
            };
            let inputs = own.inputs.iter().map(|value| values[value.index()]).collect();
            parts.push((own.name.clone(), op, inputs));
            values[node.output.index()] = parts.len();
        }
        parts
    }
}

/// Gives a layer the weights and the bias that make the normalisation behind it superfluous; whether that gives finite ones.
fn fold_into(small: &mut Small, layer: usize, place: usize, norm: BatchNorm) -> bool {
    let [scale, shift, mean, variance] =
        [Role::Scale, Role::Shift, Role::Mean, Role::Variance].map(|role| small.of(place, role));
    let layer = &small.graph.nodes()[layer].name;
    let weight = small.weights.get(&name(layer, Role::Weight));
    // A layer into which something was folded before has a bias that the graph does not know of yet.
    let bias = small.weights.iter().find(|(own, _)| *own == name(layer, Role::Bias)).map(|(_, values)| values);
    let columns = weight.len() / scale.len();
    let (mut weights, mut biases) = (Vec::with_capacity(weight.len()), Vec::with_capacity(scale.len()));
    for channel in 0..scale.len() {
        let [scale, shift, mean, variance] = [scale, shift, mean, variance].map(|own| f64::from(own[channel]));
        let factor = scale / (variance + norm.epsilon).sqrt();
        let row = &weight[channel * columns..][..columns];
        // Adding 0 turns a negative zero into a positive one.
        weights.extend(row.iter().map(|weight| (f64::from(*weight) * factor) as f32 + 0.0));
        let bias = bias.map_or(0.0, |bias| f64::from(bias[channel]));
        biases.push(((bias - mean) * factor + shift) as f32);
    }
    let finite = weights.iter().chain(&biases).all(|value| value.is_finite());
    if finite {
        let layer = layer.clone();
        small.weights.insert(name(&layer, Role::Weight), weights);
        small.weights.insert(name(&layer, Role::Bias), biases);
    }
    finite
}

#[cfg(test)]
mod tests {
    use super::*;
    use secateur_graph::{Activation, Builder, Conv2d, Graph, Linear, Weights};

    fn folded(graph: Graph, fill: &[(&str, &[f32])]) -> (bool, Small) {
        let mut weights = Weights::neutral(&graph);
        fill.iter().for_each(|(name, values)| weights.insert(*name, values.to_vec()));
        weights.check(&graph).expect("all of them");
        let mut small = Small { graph, weights };
        (fold(&mut small), small)
    }

    fn norm() -> Op {
        Op::BatchNorm(BatchNorm { epsilon: 1.0, ..BatchNorm::default() })
    }

    #[test]
    fn it_goes_into_the_layer_before_which_gets_a_bias() {
        let ops = [("fc", Op::Linear(Linear { outputs: 2, bias: false })), ("norm", norm()), ("again", norm())];
        let graph = Graph::sequential(&[1], ops).expect("fits");
        // 2 (x - 1) / 2 + 0.5 and 3 (x - 0) / 1; then halved by the second one's variance of 3.
        let fill: [(&str, &[f32]); 6] = [
            ("fc.weight", &[4.0, 5.0]),
            ("norm.weight", &[2.0, 3.0]),
            ("norm.bias", &[0.5, 0.0]),
            ("norm.running_mean", &[1.0, 0.0]),
            ("norm.running_var", &[3.0, 0.0]),
            ("again.running_var", &[3.0, 3.0]),
        ];
        let (changed, small) = folded(graph, &fill);
        assert!(changed);
        assert_eq!(small.graph.nodes().len(), 1);
        assert_eq!(small.weights.get("fc.weight"), [2.0, 7.5]);
        assert_eq!(small.weights.get("fc.bias"), [-0.25, 0.0]);
        small.weights.check(&small.graph).expect("nothing is left over");
    }

    #[test]
    fn it_stays_where_somebody_else_reads_the_layer_or_nothing_linear_is_before_it() {
        let mut net = Builder::new(&[1, 2, 2]).expect("a shape");
        let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
        add("first", norm(), &["input"]);
        add("conv", Op::Conv2d(Conv2d::new(1, 1)), &["first"]);
        add("norm", norm(), &["conv"]);
        add("relu", Op::Activation(Activation::Relu), &["conv"]);
        add("other", norm(), &["relu"]);
        add("sum", Op::Add, &["norm", "other"]);
        let (changed, small) = folded(net.finish(), &[]);
        assert!(!changed && small.graph.nodes().len() == 6);
    }

    #[test]
    fn the_layer_moves_to_where_the_normalisation_stood() {
        let mut net = Builder::new(&[1, 2, 2]).expect("a shape");
        let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
        add("conv", Op::Conv2d(Conv2d::new(1, 1).without_bias()), &["input"]);
        add("relu", Op::Activation(Activation::Relu), &["input"]);
        add("norm", norm(), &["conv"]);
        let (changed, small) = folded(net.finish(), &[("conv.weight", &[1.0])]);
        let names: Vec<&str> = small.graph.nodes().iter().map(|node| node.name.as_str()).collect();
        assert!(changed && names == ["relu", "conv"], "{names:?}: the output is that of the last node");
        assert_eq!(small.graph.nodes()[1].inputs, [small.graph.input()]);
        // 1 / sqrt(1 + 1).
        assert_eq!(small.weights.get("conv.weight"), [std::f32::consts::FRAC_1_SQRT_2]);
    }

    #[test]
    fn numbers_that_are_none_are_left_alone() {
        let ops = [("conv", Op::Conv2d(Conv2d::new(1, 1))), ("norm", norm())];
        let graph = Graph::sequential(&[1, 2, 2], ops).expect("fits");
        for odd in [[-2.0f32], [f32::NAN]] {
            assert!(!folded(graph.clone(), &[("norm.running_var", &odd)]).0);
        }
        assert!(!folded(graph, &[("norm.weight", &[3e38]), ("conv.weight", &[3e38])]).0);
    }
}
