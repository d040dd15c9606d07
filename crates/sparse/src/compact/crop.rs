//! Cuts off rows and columns that nobody reads, as early as that saves something.
//!
//! Pooling and strides drop what does not fill a window at the right and lower edges. From the end to the start the nodes tell how much of
//! each value is read; from the start on, each convolution that would compute more gets a crop before it. Everything behind it then
//! has the size that is read. A window with padding reads everything: zeros stand where the image ends, and must not stand earlier.

use super::{Part, Small};
use secateur_graph::{Graph, Node, Op, Value, Window};
use std::collections::{HashMap, HashSet};

/// Rows and columns.
type Sides = [usize; 2];

/// Puts a crop before each convolution that has less to do for it.
pub(super) fn crop(small: &mut Small) {
    let graph = &small.graph;
    let read = sides_read(graph);
    // By value: its number among those that are to be built, and its sides there.
    let mut values = vec![0; graph.nodes().len() + 1];
    let mut sides: Vec<Sides> = vec![sides(graph, graph.input()); graph.nodes().len() + 1];
    let mut parts: Vec<Part> = vec![];
    // What was cut to which sides, and the number of what came of it.
    let mut crops: HashMap<(usize, Sides), usize> = HashMap::new();
    let mut names: HashSet<String> = graph.nodes().iter().map(|node| node.name.clone()).collect();
    for node in graph.nodes() {
        let needed = read[node.output.index()];
        let given = computed(graph, node, &sides);
        let mut inputs = vec![];
        for input in &node.inputs {
            let own = sides[input.index()];
            let least = reads(graph, node, *input, needed);
            let is_less = match &node.op {
                Op::Conv2d(_) => given != needed && own != least,
                Op::Add | Op::Mul | Op::Concat => given != needed && is_image(graph, node, *input) && own != least,
                _ => false,
            };
            let value = values[input.index()];
            inputs.push(match crops.get(&(value, least)) {
                _ if !is_less => value,
                Some(cropped) => *cropped,
                None => {
                    parts.push((free_name(&mut names, &node.name), Op::Crop(least), vec![value]));
                    crops.insert((value, least), parts.len());
                    parts.len()
                }
            });
        }
        let cropped = inputs.iter().zip(&node.inputs).any(|(own, input)| *own != values[input.index()]);
        let op = match &node.op {
            Op::Crop(_) => Op::Crop(needed),
            other => other.clone(),
        };
        sides[node.output.index()] = if cropped || matches!(op, Op::Crop(_)) { needed } else { given };
        parts.push((node.name.clone(), op, inputs));
        values[node.output.index()] = parts.len();
    }
    if !crops.is_empty() {
        small.rebuild(parts);
    }
}

/// The sides of a value: `[1, 1]` where it is no image.
fn sides(graph: &Graph, value: Value) -> Sides {
    match *graph.shape(value) {
        [_, height, width] => [height, width],
        _ => [1, 1],
    }
}

/// Of each value how many rows and columns are read.
fn sides_read(graph: &Graph) -> Vec<Sides> {
    let mut read = vec![[1, 1]; graph.nodes().len() + 1];
    read[graph.output().index()] = sides(graph, graph.output());
    for node in graph.nodes().iter().rev() {
        for input in &node.inputs {
            let own = reads(graph, node, *input, read[node.output.index()]);
            let all = &mut read[input.index()];
            *all = [0, 1].map(|axis| all[axis].max(own[axis]));
        }
    }
    read
}

/// How many rows and columns of an input a node reads to give so many.
fn reads(graph: &Graph, node: &Node, input: Value, given: Sides) -> Sides {
    let own = sides(graph, input);
    match window(&node.op) {
        Some(window) => {
            let extent = window.extent().expect(WHOLE);
            [0, 1].map(|axis| ((given[axis] - 1) * window.stride[axis] + extent[axis]).min(own[axis]))
        }
        None if is_image(graph, node, input) => given,
        None => own,
    }
}

/// The window that slides over an image without padding.
fn window(op: &Op) -> Option<Window> {
    let window = match op {
        Op::Conv2d(conv) => conv.window,
        Op::Pool(pool) => pool.window,
        _ => return None,
    };
    (window.padding == [0; 2]).then_some(window)
}

/// Whether each pixel of the output follows from the same pixel of this input.
fn is_image(graph: &Graph, node: &Node, input: Value) -> bool {
    let same = sides(graph, input) == sides(graph, node.output) && graph.shape(input).len() == 3;
    match node.op {
        Op::BatchNorm(_) | Op::Activation(_) | Op::Add | Op::Mul | Op::Concat => same,
        Op::Crop(_) => true,
        _ => false,
    }
}

/// The rows and columns that a node gives when its inputs have these.
fn computed(graph: &Graph, node: &Node, values: &[Sides]) -> Sides {
    let of = |input: &Value| values[input.index()];
    match window(&node.op) {
        Some(window) => window.positions(of(&node.inputs[0])).expect(WHOLE),
        None => {
            let images = node.inputs.iter().filter(|input| is_image(graph, node, **input));
            let most = images.map(of).reduce(|one, other| [0, 1].map(|axis| one[axis].max(other[axis])));
            most.unwrap_or_else(|| sides(graph, node.output))
        }
    }
}

/// A name for a crop before a node, that no other has so far.
fn free_name(names: &mut HashSet<String>, node: &str) -> String {
    // A name is ASCII, and may not be too long.
    let first = format!("{}.crop", &node[..node.len().min(LONGEST)]);
    let numbered = (2..).map(|number| format!("{first}_{number}"));
    let mut all = std::iter::once(first.clone()).chain(numbered);
    all.find(|name| names.insert(name.clone())).expect("numbers do not end")
}

const WHOLE: &str = "a window of a graph fits what is read of its image";

/// Longest part of a node's name that the name of its crop has.
const LONGEST: usize = 150;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compact::compact;
    use secateur_graph::{Activation, Builder, Conv2d, Pool, Weights};

    fn conv(kernel: usize, stride: usize, padding: usize) -> Op {
        Op::Conv2d(Conv2d::new(1, kernel).stride(stride).padding(padding).without_bias())
    }

    /// The operations that are left of those one behind the other, with weights of 1.
    fn left(input: [usize; 3], ops: &[Op]) -> Vec<Op> {
        let names: Vec<String> = (0..ops.len()).map(|place| format!("n{place}")).collect();
        let named = names.iter().map(String::as_str).zip(ops.iter().cloned());
        let graph = Graph::sequential(&input, named).expect("fits");
        let mut weights = Weights::neutral(&graph);
        for own in graph.parameters() {
            weights.insert(&own.name, vec![1.0; own.len()]);
        }
        let found = compact(&graph, &weights);
        let again = compact(&found.graph, &found.weights);
        assert_eq!(again.graph, found.graph, "once is enough");
        let image: Vec<f32> = (0..input.iter().product()).map(|place: usize| (place * 7 % 11) as f32).collect();
        assert_eq!(found.graph.forward(&found.weights, &image), graph.forward(&weights, &image));
        found.graph.nodes().iter().map(|node| node.op.clone()).collect()
    }

    fn pool() -> Op {
        Op::Pool(Pool::max(2))
    }

    #[test]
    fn what_pooling_drops_is_not_computed() {
        // 28 -> 26 -> 13 -> 11 -> 5, which reads 10 <- 12 <- 24 <- 26.
        let block = || vec![conv(3, 1, 0), Op::Activation(Activation::Relu), pool()];
        let ops = [block(), block(), vec![Op::Flatten]].concat();
        assert_eq!(left([1, 28, 28], &ops), [vec![Op::Crop([26, 26])], ops].concat());
        // Rows and columns apart: 8x9 -> 6x7 -> 3x3.
        let ops = [block(), vec![Op::Flatten]].concat();
        assert_eq!(left([1, 8, 9], &ops), [vec![Op::Crop([8, 8])], ops.clone()].concat());
        // Every pixel of the image is read.
        assert_eq!(left([1, 8, 8], &ops), ops);
    }

    #[test]
    fn what_strides_skip_is_not_computed() {
        // 10 -> 8 -> 3, which reads 7 <- 9; the first filter is the one that has less to do.
        let ops = [conv(3, 1, 0), conv(3, 2, 0)];
        assert_eq!(left([1, 10, 10], &ops), [&[Op::Crop([9, 9])], &ops[..]].concat());
        // 8 -> 3 reads 7, but nobody has less to do for it.
        let ops = [Op::Activation(Activation::Relu), conv(3, 2, 0)];
        assert_eq!(left([1, 8, 8], &ops), ops);
    }

    #[test]
    fn no_crop_passes_a_padded_window_or_a_flatten() {
        let (head, tail) = ([conv(1, 1, 0), conv(3, 1, 1)], [conv(2, 1, 0), pool()]);
        // 8 -> 8 -> 8 -> 7 -> 3: the last filter reads 7, the padded one the whole image.
        let ops = [&head[..], &tail].concat();
        assert_eq!(left([1, 8, 8], &ops), [&head[..], &[Op::Crop([7, 7])], &tail].concat());
        // 7 -> 7, pooled to 3: the padded filter itself computes all.
        let ops = [conv(3, 1, 1), pool()];
        assert_eq!(left([1, 7, 7], &ops), ops);
    }

    #[test]
    fn the_values_of_a_sum_are_cut_alike() {
        let mut net = Builder::new(&[1, 9, 9]).expect("a shape");
        let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
        add("relu", Op::Activation(Activation::Relu), &["input"]);
        add("conv", conv(1, 1, 0), &["relu"]);
        add("sum", Op::Add, &["relu", "conv"]);
        add("pool", pool(), &["sum"]);
        let graph = net.finish();
        let mut weights = Weights::neutral(&graph);
        weights.insert("conv.weight", vec![2.0]);
        let found = compact(&graph, &weights);
        let names: Vec<&str> = found.graph.nodes().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["relu", "conv.crop", "conv", "sum", "pool"]);
        let image: Vec<f32> = (0..81).map(|place| (place * 7 % 11) as f32).collect();
        assert_eq!(found.graph.forward(&found.weights, &image), graph.forward(&weights, &image));
    }
}
