//! Finds channels that do not vary with the input, and moves what they contribute to a layer into its bias.

use super::{Part, Small, name};
use secateur_graph::{MOST_PARAMETERS, Node, Op, Pool, PoolKind, Role, Window};

/// What a channel (or a feature) always is, a finite number; `None` when that depends on the image.
pub(super) type Constant = Option<f32>;

/// Moves what can be moved; whether there was something, and by value the constant of each channel.
pub(super) fn move_into_biases(small: &mut Small) -> (bool, Vec<Vec<Constant>>) {
    let graph = small.graph.clone();
    let mut constants: Vec<Vec<Constant>> = vec![vec![None; graph.shape(graph.input())[0]]];
    let (mut changed, mut new_biases) = (false, vec![false; graph.nodes().len()]);
    let mut parameters: usize = graph.parameters().iter().map(|own| own.len()).sum();
    for (place, node) in graph.nodes().iter().enumerate() {
        let read = &constants[node.inputs[0].index()];
        let [before, after] = [node.inputs[0], node.output].map(|value| graph.shape(value));
        let given = if node.op.is_layer() {
            // A fully connected layer has no window.
            let (groups, inside) = if let Op::Conv2d(conv) = &node.op {
                (conv.groups, never_in_padding(&conv.window, before, after))
            } else {
                (1, vec![true])
            };
            let layer = Layer { read, groups, inside: &inside };
            let moved = layer.moved(small, &node.name, after[0], &mut parameters);
            changed |= moved.changed;
            new_biases[place] = moved.new_bias;
            moved.given
        } else {
            let inputs = node.inputs.iter().map(|value| constants[value.index()].as_slice()).collect::<Vec<_>>();
            passed_on(small, node, place, &inputs, [before, after])
        };
        constants.push(given);
    }
    if new_biases.contains(&true) {
        let part = |(node, new): (&Node, &bool)| -> Part {
            let op = if *new { node.op.with_bias() } else { node.op.clone() };
            (node.name.clone(), op, node.inputs.iter().map(|value| value.index()).collect())
        };
        small.rebuild(graph.nodes().iter().zip(&new_biases).map(part).collect());
    }
    (changed, constants)
}

/// The constants that a node without weights makes of those that it reads.
fn passed_on(small: &Small, node: &Node, place: usize, inputs: &[&[Constant]], shapes: [&[usize]; 2]) -> Vec<Constant> {
    let read = inputs[0];
    let finite = |value: f32| Some(value).filter(|value| value.is_finite());
    let each = |of: &dyn Fn(f32) -> f32| read.iter().map(|own| own.and_then(|own| finite(of(own)))).collect();
    match &node.op {
        Op::BatchNorm(norm) => {
            let fields = [Role::Scale, Role::Shift, Role::Mean, Role::Variance].map(|role| small.of(place, role));
            let one = |(channel, own): (usize, &Constant)| {
                let fields = fields.map(|own| own[channel]);
                // Times 0 any finite value is as good as another.
                let own = if fields[0] == 0.0 { Some(0.0) } else { *own };
                own.and_then(|own| finite(norm.of(own, fields)))
            };
            read.iter().enumerate().map(one).collect()
        }
        Op::Activation(own) => each(&|value| own.of(value)),
        Op::Pool(pool) => {
            let [zero_only, never] = padding(pool, shapes);
            let stays = |value: &f32| !never && (!zero_only || *value == 0.0);
            read.iter().map(|own| own.filter(stays)).collect()
        }
        Op::GlobalAveragePool | Op::Crop(_) => read.to_vec(),
        Op::Add => read.iter().zip(inputs[1]).map(|(a, b)| finite((*a)? + (*b)?)).collect(),
        Op::Mul => read.iter().zip(inputs[1]).map(|(a, b)| multiplied(*a, *b)).collect(),
        Op::Concat => inputs.concat(),
        Op::Flatten | Op::Reshape(_) => regrouped(read, shapes),
        Op::Permute(_) | Op::LayerNorm(_) | Op::Softmax(_) | Op::Embedding(_) => vec![None; shapes[1][0]],
        Op::Conv2d(_) | Op::Linear(_) => unreachable!("it has weights"),
    }
}

/// The product of two channels. Times 0 any finite value is as good as another.
fn multiplied(a: Constant, b: Constant) -> Constant {
    match (a, b) {
        (Some(0.0), _) | (_, Some(0.0)) => Some(0.0),
        (Some(a), Some(b)) => Some(a * b).filter(|own| own.is_finite()),
        (None, _) | (_, None) => None,
    }
}

/// Of a pool: whether padding takes part in some window, so that zero alone is constant; and whether a window may lie in it
/// altogether, so that nothing is.
fn padding(pool: &Pool, [before, after]: [&[usize]; 2]) -> [bool; 2] {
    let padded = never_in_padding(&pool.window, before, after).contains(&false);
    match pool.kind {
        PoolKind::Average => [padded, false],
        // Half of the window at most is padding, unless there are gaps between its elements.
        PoolKind::Max => [false, padded && pool.window.dilation != [1; 2]],
    }
}

/// Of each element of a window, whether it reads the image at every position.
fn never_in_padding(window: &Window, before: &[usize], after: &[usize]) -> Vec<bool> {
    let inside = |axis: usize, element: usize| {
        let (first, side) = (element * window.dilation[axis], before[axis + 1]);
        let last = (after[axis + 1] - 1) * window.stride[axis] + first;
        first >= window.padding[axis] && last < side + window.padding[axis]
    };
    let [rows, columns] = window.size;
    let columns: Vec<bool> = (0..columns).map(|element| inside(1, element)).collect();
    (0..rows).flat_map(|row| columns.iter().map(move |column| inside(0, row) && *column)).collect()
}

/// Constants of channels as those of what a flatten or a reshape makes of them.
fn regrouped(read: &[Constant], [before, after]: [&[usize]; 2]) -> Vec<Constant> {
    let (old, new): (usize, usize) = (before[1..].iter().product(), after[1..].iter().product());
    let one = |channel: usize| {
        // The channels that its values come from.
        let own = &read[channel * new / old..=(channel * new + new - 1) / old];
        own[0].filter(|_| own.iter().all(|other| *other == own[0]))
    };
    (0..after[0]).map(one).collect()
}

/// A layer's way to read.
struct Layer<'a> {
    /// Constants of the channels.
    read: &'a [Constant],
    groups: usize,
    /// Of each element of the kernel, whether it reads the image at every position.
    inside: &'a [bool],
}

/// What became of a layer.
struct Moved {
    /// Whether a weight became zero.
    changed: bool,
    /// Whether it had no bias and has one now.
    new_bias: bool,
    /// Constants of what it gives.
    given: Vec<Constant>,
}

impl Layer<'_> {
    /// Moves constants into the biases of this node with so many outputs; `parameters` is how many the graph has.
    fn moved(&self, small: &mut Small, node: &str, outputs: usize, parameters: &mut usize) -> Moved {
        let [weight_name, bias_name] = [Role::Weight, Role::Bias].map(|role| name(node, role));
        let mut weight = small.weights.remove(&weight_name).expect("weights are checked against their graph");
        let had = small.weights.remove(&bias_name);
        let may_shift = had.is_some() || *parameters + outputs <= MOST_PARAMETERS;
        let has_bias = had.is_some();
        let mut bias = had.unwrap_or_else(|| vec![0.0; outputs]);
        let columns = weight.len() / outputs;
        let (mut changed, mut given) = (false, Vec::with_capacity(outputs));
        for (row, weights) in weight.chunks_exact_mut(columns).enumerate() {
            let first = row / (outputs / self.groups) * (columns / self.inside.len());
            changed |= self.moved_row(&self.read[first..], weights, &mut bias[row], may_shift);
            let constant = weights.iter().all(|weight| *weight == 0.0);
            given.push(Some(bias[row]).filter(|bias| constant && bias.is_finite()));
        }
        small.weights.insert(weight_name, weight);
        let new_bias = !has_bias && bias.iter().any(|bias| *bias != 0.0);
        if has_bias || new_bias {
            *parameters += if new_bias { outputs } else { 0 };
            small.weights.insert(bias_name, bias);
        }
        Moved { changed, new_bias, given }
    }

    /// The same for one output, which reads these channels; whether a weight became zero.
    fn moved_row(&self, read: &[Constant], weights: &mut [f32], bias: &mut f32, may_shift: bool) -> bool {
        let (mut sum, mut changed) = (f64::from(*bias), false);
        for (weights, constant) in weights.chunks_exact_mut(self.inside.len()).zip(read) {
            let Some(constant) = *constant else { continue };
            let exact = weights.iter().zip(self.inside).all(|(weight, inside)| *weight == 0.0 || *inside);
            if weights.iter().all(|weight| *weight == 0.0) || (constant != 0.0 && !(exact && may_shift)) {
                continue;
            }
            let own: f64 = weights.iter().map(|weight| f64::from(*weight) * f64::from(constant)).sum();
            if ((sum + own) as f32).is_finite() {
                sum += own;
                changed = true;
                weights.fill(0.0);
            }
        }
        if changed {
            *bias = sum as f32;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_that_meet_padding_are_told() {
        let meets = |window: Window, [height, width]: [usize; 2]| {
            let [rows, columns] = window.positions([height, width]).expect("it fits");
            let inside = never_in_padding(&window, &[1, height, width], &[1, rows, columns]);
            inside.iter().map(|inside| if *inside { '.' } else { 'x' }).collect::<String>()
        };
        assert_eq!(meets(Window::square(2), [4, 4]), "....");
        assert_eq!(meets(Window { padding: [1, 1], ..Window::square(3) }, [4, 4]), "xxxx.xxxx");
        assert_eq!(meets(Window { padding: [0, 1], ..Window::square(3) }, [4, 4]), "x.xx.xx.x");
        // Of 1 + 4 + 1 rows, windows of 3 in steps of 2 do not reach the last one.
        assert_eq!(meets(Window { padding: [1, 1], stride: [2, 2], ..Window::square(3) }, [4, 4]), "xxxx..x..");
        // Elements at distance 2, of the rows -1, 1 and 3.
        assert_eq!(meets(Window { padding: [1, 0], dilation: [2, 1], ..Window::square(3) }, [3, 3]), "xxx...xxx");
    }

    #[test]
    fn a_regrouped_channel_is_constant_when_all_of_it_is_the_same() {
        let read = [Some(1.0), Some(1.0), None, Some(2.0)];
        let regrouped = |before: &[usize], after: &[usize]| regrouped(&read, [before, after]);
        assert_eq!(regrouped(&[4, 3], &[2, 6]), [Some(1.0), None]);
        assert_eq!(regrouped(&[4, 3], &[4, 3, 1]), read);
        assert_eq!(regrouped(&[4, 3], &[12]), read.map(|own| [own; 3]).concat());
        assert_eq!(regrouped(&[4, 3], &[3, 4]), [Some(1.0), None, None]);
    }

    #[test]
    fn a_window_in_nothing_but_padding_gives_no_constant() {
        let pool = |kind, window| {
            let [rows, columns] = Window::positions(&window, [2, 2]).expect("it fits");
            padding(&Pool { kind, window }, [&[1, 2, 2], &[1, rows, columns]])
        };
        let padded = Window { padding: [1, 1], ..Window::square(3) };
        let apart = Window { dilation: [3, 3], padding: [1, 1], ..Window::square(2) };
        assert_eq!(pool(PoolKind::Max, padded), [false, false]);
        assert_eq!(pool(PoolKind::Average, padded), [true, false]);
        assert_eq!(pool(PoolKind::Max, apart), [false, true]);
        assert_eq!(pool(PoolKind::Average, Window::square(2)), [false, false]);
    }
}
