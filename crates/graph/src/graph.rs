//! The graph: nodes in the order in which they are computed, each with the shape of what it gives.

use crate::error::Error;
use crate::op::{Op, Role, values};
use std::collections::HashMap;

/// Values of one image, the input, all outputs and padded copies added up, that a graph may have at most: 1 GiB of f32.
pub const MOST_VALUES: usize = 1 << 28;

/// Parameters, buffers included, that a graph may have at most: 2 GiB of f32.
pub const MOST_PARAMETERS: usize = 1 << 29;

/// A network's structure: every value is given once, by the input or by one node, and a node reads earlier values only.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
    /// By value: that of the input, then that of each node.
    shapes: Vec<Vec<usize>>,
    parameters: Vec<Parameter>,
}

/// A value of a graph: its input, or what one of its nodes gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(usize);

impl Value {
    /// Its place among the values of its graph: 0 for the input, `n + 1` for what the n-th node gives.
    pub fn index(self) -> usize {
        self.0
    }
}

/// One operation of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name, such as `layer1.0.conv1`: that of its parameters, without their field.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<Value>,
    /// What it gives.
    pub output: Value,
}

/// A parameter or a buffer of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, such as `layer1.0.conv1.weight`.
    pub name: String,
    /// Place of its node in [`Graph::nodes`].
    pub node: usize,
    /// What it is for.
    pub role: Role,
    /// Its shape, as in PyTorch.
    pub shape: Vec<usize>,
}

impl Parameter {
    /// How many values it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no values; a graph has no such parameter.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Graph {
    /// A chain of operations: each reads what the one before gives.
    ///
    /// # Errors
    /// As [`Builder::add`].
    pub fn sequential<'a>(input: &[usize], ops: impl IntoIterator<Item = (&'a str, Op)>) -> Result<Self, Error> {
        let mut builder = Builder::new(input)?;
        let mut last = builder.input();
        for (name, op) in ops {
            last = builder.add(name, op, &[last])?;
        }
        Ok(builder.finish())
    }

    /// The nodes, in the order in which they are computed.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The input.
    pub fn input(&self) -> Value {
        Value(0)
    }

    /// What the last node gives; the input, when there is no node.
    pub fn output(&self) -> Value {
        Value(self.nodes.len())
    }

    /// The node that gives a value; `None` for the input.
    pub fn node(&self, value: Value) -> Option<&Node> {
        self.nodes.get(value.0.checked_sub(1)?)
    }

    /// The shape of a value for one image: `[channels, height, width]` or `[features]`.
    pub fn shape(&self, value: Value) -> &[usize] {
        &self.shapes[value.0]
    }

    /// All parameters and buffers, in the order of the nodes; of one node weight before bias, scale before shift.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|own| own.name == name)
    }
}

/// A graph that is being built.
#[derive(Clone, Debug)]
pub struct Builder {
    graph: Graph,
    names: HashMap<String, Value>,
    values: usize,
    parameters: usize,
}

impl Builder {
    /// Nothing but an input of this shape: `[channels, height, width]` or `[features]`.
    ///
    /// # Errors
    /// When the shape is empty, has a side of 0, or more values than the budget.
    pub fn new(input: &[usize]) -> Result<Self, Error> {
        let name = || "input".to_owned();
        let count = match values(input) {
            Some(count) if count > 0 && !input.is_empty() => count,
            Some(_) => {
                let expected = "[channels, height, width] or [features], none of them 0".to_owned();
                return Err(Error::Shape { node: name(), op: name(), expected, found: format!("{input:?}") });
            }
            None => usize::MAX,
        };
        let graph = Graph { nodes: vec![], shapes: vec![input.to_vec()], parameters: vec![] };
        let mut own = Self { graph, names: HashMap::from([(name(), Value(0))]), values: 0, parameters: 0 };
        own.spend("input", Some(count), Some(0))?;
        Ok(own)
    }

    /// The input.
    pub fn input(&self) -> Value {
        Value(0)
    }

    /// The value of this name: `input`, or a node's.
    pub fn find(&self, name: &str) -> Option<Value> {
        self.names.get(name).copied()
    }

    /// The value of this index: 0 for the input, `n + 1` for what the n-th node gives; `None` where there is none yet.
    pub fn value(&self, index: usize) -> Option<Value> {
        (index < self.graph.shapes.len()).then_some(Value(index))
    }

    /// The shape of a value.
    pub fn shape(&self, value: Value) -> &[usize] {
        self.graph.shape(value)
    }

    /// Values of one image so far: the input, all outputs and padded copies added up.
    pub fn value_count(&self) -> usize {
        self.values
    }

    /// Parameters so far, buffers included.
    pub fn parameter_count(&self) -> usize {
        self.parameters
    }

    /// The node that gives a value so far; `None` for the input.
    pub fn node(&self, value: Value) -> Option<&Node> {
        self.graph.node(value)
    }

    /// The node that was added last.
    pub fn last(&self) -> Option<&Node> {
        self.graph.nodes.last()
    }

    /// All parameters and buffers so far, in the order of [`Graph::parameters`].
    pub fn parameters(&self) -> &[Parameter] {
        &self.graph.parameters
    }

    /// Adds a node, and gives its output.
    ///
    /// # Errors
    /// When the name is empty, taken or holds characters that are no part of names; when the operation does not take
    /// inputs of these shapes; or when the graph has more values or parameters than the budget.
    ///
    /// # Panics
    /// When an input is a value of another graph.
    pub fn add(&mut self, name: &str, op: Op, inputs: &[Value]) -> Result<Value, Error> {
        self.check_name(name)?;
        let shapes: Vec<&[usize]> = inputs.iter().map(|value| self.graph.shape(*value)).collect();
        let output = op.output(&shapes).map_err(|(expected, found)| Error::Shape {
            node: name.to_owned(),
            op: op.to_string(),
            expected,
            found,
        })?;
        let own = op.parameters(shapes[0]);
        let parameters = own.iter().try_fold(0usize, |sum, (_, shape)| sum.checked_add(values(shape)?));
        let padded = op.padded(shapes[0]);
        self.spend(name, values(&output).and_then(|own| own.checked_add(padded?)), parameters)?;
        let node = self.graph.nodes.len();
        self.graph.parameters.extend(own.into_iter().map(|(role, shape)| Parameter {
            name: format!("{name}.{}", role.field()),
            node,
            role,
            shape,
        }));
        let value = Value(node + 1);
        self.graph.nodes.push(Node { name: name.to_owned(), op, inputs: inputs.to_vec(), output: value });
        self.graph.shapes.push(output);
        self.names.insert(name.to_owned(), value);
        Ok(value)
    }

    /// Adds a node whose inputs are named.
    ///
    /// # Errors
    /// When an input is no earlier node's name and not `input`, and as [`add`](Self::add).
    pub fn add_named(&mut self, name: &str, op: Op, inputs: &[&str]) -> Result<Value, Error> {
        let found = |input: &&str| {
            self.find(input).ok_or_else(|| Error::UnknownInput { node: name.to_owned(), input: (*input).to_owned() })
        };
        let inputs: Vec<Value> = inputs.iter().map(found).collect::<Result<_, _>>()?;
        self.add(name, op, &inputs)
    }

    /// The graph; its output is what the last node gives.
    pub fn finish(self) -> Graph {
        self.graph
    }

    fn check_name(&self, name: &str) -> Result<(), Error> {
        let refuse = |why: &str| Err(Error::Name { name: name.chars().take(80).collect(), why: why.to_owned() });
        let fine = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
        if name.is_empty() || name.len() > 200 || !name.chars().all(fine) {
            return refuse("expected 1 to 200 letters, digits, `_`, `-` and `.` as a name");
        }
        if self.names.contains_key(name) {
            return refuse(if name == "input" { "the name is that of the input" } else { "two nodes have this name" });
        }
        Ok(())
    }

    /// Counts what a node adds; `None` is more than a `usize` holds.
    fn spend(&mut self, node: &str, values: Option<usize>, parameters: Option<usize>) -> Result<(), Error> {
        let count = |sum: &mut usize, own: Option<usize>, most: usize, what: &str| {
            let total = own.and_then(|own| sum.checked_add(own));
            *sum = total.filter(|total| *total <= most).ok_or_else(|| Error::Budget {
                node: node.to_owned(),
                what: total.map_or(format!("far too many {what}"), |total| format!("{total} {what}")),
                most,
            })?;
            Ok(())
        };
        count(&mut self.values, values, MOST_VALUES, "values for one image")?;
        count(&mut self.parameters, parameters, MOST_PARAMETERS, "parameters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Activation, BatchNorm, Conv2d, Linear, Pool};

    fn conv(outputs: usize) -> Op {
        Op::Conv2d(Conv2d::new(outputs, 3).padding(1))
    }

    #[test]
    fn a_residual_block_is_a_graph() {
        let mut net = Builder::new(&[3, 8, 8]).expect("a shape");
        let input = net.input();
        let mut add = |name: &str, op, inputs: &[Value]| net.add(name, op, inputs).expect("fits");
        let shortcut = add("shortcut", Op::Conv2d(Conv2d::new(16, 1).without_bias()), &[input]);
        let conv = add("conv", conv(16), &[input]);
        let norm = add("norm", Op::BatchNorm(BatchNorm::default()), &[conv]);
        let sum = add("sum", Op::Add, &[norm, shortcut]);
        add("relu", Op::Activation(Activation::Relu), &[sum]);
        let graph = net.finish();
        assert_eq!(graph.shape(graph.output()), [16, 8, 8]);
        assert_eq!(graph.node(sum).expect("a node").inputs, [norm, shortcut]);
        assert_eq!(graph.node(graph.input()), None);
        let names: Vec<&str> = graph.parameters().iter().map(|own| own.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "shortcut.weight",
                "conv.weight",
                "conv.bias",
                "norm.weight",
                "norm.bias",
                "norm.running_mean",
                "norm.running_var"
            ]
        );
        let buffers = graph.parameters().iter().filter(|own| own.role.is_buffer()).count();
        assert_eq!((buffers, graph.parameter("conv.weight").expect("there").shape.clone()), (2, vec![16, 3, 3, 3]));
    }

    #[test]
    fn names_and_inputs_are_checked() {
        let mut net = Builder::new(&[3, 8, 8]).expect("a shape");
        let mut error = |name: &str, inputs: &[&str]| match net.add_named(name, conv(4), inputs) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert_eq!(error("a", &["input"]), "");
        assert_eq!(error("a", &["input"]), "node `a`: two nodes have this name");
        assert_eq!(error("input", &["a"]), "node `input`: the name is that of the input");
        assert!(
            error("b", &["c"]).starts_with("node `b` reads `c`, which no node before it gives; expected `input` or")
        );
        assert!(error("b", &["b"]).starts_with("node `b` reads `b`"), "a cycle");
        for odd in ["", "a b", "a/b", "\u{e9}", &"x".repeat(201)] {
            assert!(error(odd, &["a"]).contains("expected 1 to 200 letters"), "{odd}");
        }
        assert_eq!(
            error("d", &["a", "a"]),
            "node `d` (conv2d, 4 filters of 3x3, padding 1): expected one input, found 2 inputs"
        );
        assert_eq!(net.finish().nodes().len(), 1, "what is refused changes nothing");
    }

    #[test]
    fn a_refused_node_leaves_the_budget_as_it_was() {
        let mut net = Builder::new(&[1, 1 << 13, 1 << 13]).expect("fits");
        let input = net.input();
        let said = net.add("wide", conv(3), &[input]).expect_err("too much").to_string();
        assert!(said.starts_with("node `wide`: the network up to here has 3355"), "{said}");
        assert!(said.ends_with("values for one image, expected at most 268435456"), "{said}");
        net.add("pool", Op::Pool(Pool::max(2)), &[input]).expect("still fits");
    }

    #[test]
    fn nothing_overflows() {
        for shape in [&[][..], &[0], &[3, 0, 3], &[usize::MAX, 2], &[1 << 20, 1 << 20]] {
            Builder::new(shape).expect_err("no input");
        }
        let mut net = Builder::new(&[2, 8, 8]).expect("fits");
        let (input, huge) = (net.input(), usize::MAX);
        let kernel = Conv2d::new(4, 3);
        for op in [
            Op::Conv2d(Conv2d { outputs: huge, ..kernel }),
            Op::Conv2d(Conv2d { outputs: huge / 2, groups: 2, ..kernel }),
            Op::Conv2d(kernel.padding(1 << 27).stride(1 << 28)),
            Op::Conv2d(kernel.padding(huge / 2)),
            Op::Conv2d(Conv2d::new(1, 1 << 20).padding(1 << 20)),
            Op::Reshape(vec![huge, huge]),
        ] {
            net.add("odd", op, &[input]).expect_err("too much");
        }
        let flat = net.add("flat", Op::Flatten, &[input]).expect("fits");
        net.add("fc", Op::Linear(Linear { outputs: huge, bias: true }), &[flat]).expect_err("too much");
        let said = net.add("fc", Op::Linear(Linear::new(1 << 23)), &[flat]).expect_err("too much").to_string();
        assert_eq!(said, "node `fc`: the network up to here has 1082130432 parameters, expected at most 536870912");
    }
}
