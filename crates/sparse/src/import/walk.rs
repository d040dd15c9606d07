//! Goes over the nodes of a model, in their order, and builds the graph.

use super::Error;
use super::attributes::Read;
use super::elementwise::Affine;
use super::formula::{Binary, Formula, Reduction};
use super::layers::Layer;
use super::recognise;
use super::rows::{Indices, Rows};
use super::tensor::{Constant, Numbers};
use crate::node_names::NodeNames;
use crate::proto::{Graph, Node, Tensor};
use secateur_graph::{Builder, LayerNorm, MOST_PARAMETERS, Op, Value, Weights};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Numbers that are computed to tell what the formulas of a model are, at most: some seconds.
const MOST_RECOGNISED: u64 = 1 << 29;

/// What is known of a value of the model.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// A value of the graph.
    Value(Value),
    /// The same for every input.
    Constant(Rc<Constant>),
    /// Sides of a value, a list of them or a single one; `None` is the batch.
    Sizes(Vec<Option<i64>>, bool),
    /// A layer to which a bias may yet be added.
    Layer(Rc<Layer>),
    /// A value with factors and summands.
    Affine(Affine),
    /// What may become an activation, layer normalisation or a softmax.
    Formula(Rc<Formula>),
    /// Whole numbers, which choose rows.
    Indices(Indices),
    /// For each of these numbers a vector of so many, one of them 1 and the others 0.
    OneHot(Indices, usize),
    /// Rows of a table.
    Rows(Rows),
    /// A value with zeros above, left, below and right.
    Padded(Value, [usize; 4]),
}

/// The graph so far, and what is known of the model's values.
pub(super) struct Walk<'a> {
    nodes: Vec<&'a Node>,
    /// How many of the nodes read a value; the model's output is read once more.
    readers: HashMap<&'a str, usize>,
    tensors: HashMap<&'a str, &'a Tensor>,
    /// The tensors that have been read.
    constants: RefCell<HashMap<&'a str, Rc<Constant>>>,
    known: HashMap<&'a str, Known>,
    output: &'a str,
    /// Where the model takes so many images at once, and no other number.
    pub batch: Option<usize>,
    pub builder: Builder,
    /// Values of two sides, channels and length, which are images of one row in the graph.
    lines: HashSet<Value>,
    weights: Weights,
    /// Weights of all layers so far, those included that wait for a bias.
    pub layer_weights: usize,
    /// Numbers that may yet be computed to tell what formulas are.
    pub left_to_recognise: u64,
    names: NodeNames,
    pub remarks: Vec<String>,
}

impl<'a> Walk<'a> {
    /// Of the nodes that the output needs.
    pub(super) fn new(
        graph: &'a Graph,
        (input, batch, shape, is_whole): (&'a str, Option<usize>, &[usize], bool),
        output: &'a str,
    ) -> Result<Self, Error> {
        let mut givers: HashMap<&str, usize> = HashMap::new();
        for (place, node) in graph.node.iter().enumerate() {
            for name in node.output.iter().filter(|own| !own.is_empty()) {
                if givers.insert(name, place).is_some() || name == input {
                    return Err(Read(node).refuse(format!("`{name}` is given twice")));
                }
            }
        }
        let (mut is_needed, mut next) = (vec![false; graph.node.len()], vec![output]);
        while let Some(name) = next.pop() {
            if let Some(place) = givers.get(name).filter(|place| !is_needed[**place]) {
                is_needed[*place] = true;
                next.extend(graph.node[*place].input.iter().map(String::as_str));
            }
        }
        let nodes: Vec<&Node> =
            graph.node.iter().zip(is_needed).filter_map(|(node, own)| own.then_some(node)).collect();
        let mut readers: HashMap<&str, usize> = HashMap::from([(output, 1)]);
        for name in nodes.iter().flat_map(|node| &node.input) {
            *readers.entry(name).or_default() += 1;
        }
        let builder = match *shape {
            [channels, length] => Builder::new(&[channels, 1, length])?,
            _ => Builder::new(shape)?,
        };
        let lines = HashSet::from_iter((shape.len() == 2).then_some(builder.input()));
        let own = match is_whole {
            true => Known::Indices(Indices { of: builder.input(), shape: shape.to_vec() }),
            false => Known::Value(builder.input()),
        };
        let known = HashMap::from([(input, own)]);
        let tensors = graph.initializer.iter().filter_map(|own| Some((own.name.as_deref()?, own))).collect();
        Ok(Self {
            nodes,
            readers,
            tensors,
            constants: RefCell::default(),
            known,
            output,
            batch,
            builder,
            lines,
            weights: Weights::default(),
            layer_weights: 0,
            left_to_recognise: MOST_RECOGNISED,
            names: NodeNames::default(),
            remarks: vec![],
        })
    }

    /// Goes over all nodes.
    pub(super) fn all(&mut self) -> Result<(), Error> {
        for place in 0..self.nodes.len() {
            let node = Read(self.nodes[place]);
            let given = self.node(node).map_err(|error| match error {
                Error::Node { node, operator, why, .. } => {
                    Error::Node { node, operator, why, readers: self.behind(place) }
                }
                Error::Graph(error) => node.refuse(error.to_string()),
                Error::Model(_) => error,
            })?;
            self.known.insert(node.output(), given);
        }
        Ok(())
    }

    /// The graph that ends with the output.
    pub(super) fn finish(mut self, output: &str) -> Result<(secateur_graph::Graph, Weights, Vec<String>), Error> {
        let refuse = |why: String| Error::Model(format!("the output `{output}`: {why}"));
        let own = match self.known.get(output).cloned() {
            Some(Known::Formula(own)) if self.is_softmax(&own) => {
                self.remarks.push("the softmax at the end is left out: the network answers with logits".into());
                self.realised(output, Known::Value(own.of))?
            }
            Some(own) => self.realised(output, own).map_err(|error| match error {
                Error::Model(why) => refuse(why),
                other => refuse(other.to_string()),
            })?,
            None => return Err(refuse("no node gives it".into())),
        };
        let (graph, mut weights) = (needed(&self.builder.finish(), own)?, self.weights);
        // Of nodes that others took the place of nothing is left.
        weights =
            graph.parameters().iter().filter_map(|own| Some((own.name.clone(), weights.remove(&own.name)?))).collect();
        weights.check(&graph)?;
        if let Some((name, _)) = weights.iter().find(|(_, own)| own.iter().any(|own| !own.is_finite())) {
            return Err(Error::Model(format!("`{name}`: expected numbers, found NaN or an infinity")));
        }
        Ok((graph, weights, self.remarks))
    }

    /// How many nodes are computed from one, however far behind.
    fn behind(&self, place: usize) -> usize {
        let mut names: HashSet<&str> = self.nodes[place].output.iter().map(String::as_str).collect();
        let mut count = 0;
        for node in &self.nodes[place + 1..] {
            if node.input.iter().any(|own| names.contains(own.as_str())) {
                names.extend(node.output.iter().map(String::as_str));
                count += 1;
            }
        }
        count
    }

    /// What a node gives.
    fn node(&mut self, node: Read<'a>) -> Result<Known, Error> {
        if !matches!(node.0.domain.as_deref(), None | Some("" | "ai.onnx")) {
            let domain = node.0.domain.as_deref().unwrap_or("");
            return Err(node.refuse(format!("expected one of ONNX's own operators, found one of `{domain}`")));
        }
        match node.operator() {
            "Conv" => self.convolution(node),
            "Gemm" => self.gemm(node),
            "MatMul" => self.matrix_product(node),
            "BatchNormalization" => self.batch_norm(node),
            "LayerNormalization" => self.layer_norm(node),
            "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" => self.pool(node),
            "ReduceMean" => self.reduction(node, Reduction::Mean),
            "ReduceSum" => self.reduction(node, Reduction::Sum),
            "ReduceMax" => self.reduction(node, Reduction::Max),
            "Pad" => self.pad(node),
            "Relu" | "Clip" | "Sigmoid" | "HardSigmoid" | "HardSwish" | "Tanh" | "Gelu" | "Erf" | "Exp" | "Sqrt"
            | "Reciprocal" | "Neg" | "Abs" => self.function(node),
            "Equal" => self.equal(node),
            "OneHot" => self.one_hot(node),
            "Expand" => self.expand(node),
            "Concat" => self.concat(node),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => self.reshape(node),
            "Transpose" => self.transpose(node),
            "Slice" => self.slice(node),
            "Shape" => self.shape_of(node),
            "Gather" => self.gather(node),
            "Constant" => self.constant_node(node),
            "ConstantOfShape" => self.constant_of_shape(node),
            "Cast" => self.cast(node),
            "Identity" | "Dropout" => self.known(node, 0),
            "Softmax" | "LogSoftmax" if node.output() == self.output => {
                let what = node.operator().to_lowercase();
                self.remarks.push(format!("the {what} at the end is left out: the network answers with logits"));
                self.known(node, 0)
            }
            "Softmax" => self.softmax(node),
            other => match Binary::named(other) {
                Some(own) => self.arithmetic(node, own),
                None => Err(node.refuse("this operator is not supported")),
            },
        }
    }

    /// Whether a formula is a softmax along the last axis of its value.
    fn is_softmax(&self, own: &Formula) -> bool {
        let shape = self.shape(own.of);
        let last = shape.len() - 1;
        own.axes == [last] && own.is_whole(&shape) && recognise::is_softmax(&own.term, shape[last])
    }

    /// Counts values that are worked out and kept, such as tables.
    pub(super) fn spend(&mut self, node: Read<'a>, values: usize) -> Result<(), Error> {
        self.layer_weights = self.layer_weights.saturating_add(values);
        if self.layer_weights > MOST_PARAMETERS {
            return Err(node.refuse(format!("expected a model of at most {MOST_PARAMETERS} weights")));
        }
        Ok(())
    }

    /// Whether one node alone reads what a node gives.
    pub(super) fn has_one_reader(&self, name: &str) -> bool {
        self.readers.get(name) == Some(&1)
    }

    /// Takes this for what is known of a value of the model from here on.
    pub(super) fn learn(&mut self, name: &'a str, known: Known) {
        self.known.insert(name, known);
    }

    /// What is known of an input.
    pub(super) fn known(&self, node: Read<'a>, place: usize) -> Result<Known, Error> {
        let Some(name) = node.input(place) else { return Err(node.refuse(format!("expected an input {}", place + 1))) };
        if let Some(own) = self.known.get(name) {
            return Ok(own.clone());
        }
        if let Some(own) = self.constants.borrow().get(name) {
            return Ok(Known::Constant(Rc::clone(own)));
        }
        let tensor = self.tensors.get(name);
        let tensor = tensor.ok_or_else(|| node.refuse(format!("it reads `{name}`, which nothing before it gives")))?;
        let own = Rc::new(Constant::read(tensor).map_err(|why| node.refuse(format!("`{name}`: {why}")))?);
        self.constants.borrow_mut().insert(name, Rc::clone(&own));
        Ok(Known::Constant(own))
    }

    /// An input that has to be a value of the graph.
    pub(super) fn value(&mut self, node: Read<'a>, place: usize) -> Result<Value, Error> {
        let known = self.known(node, place)?;
        let name = node.input(place).expect("it is known");
        let value = self.realised(name, known).map_err(|error| match error {
            Error::Model(why) => node.refuse(format!("`{name}`: {why}")),
            other => other,
        })?;
        self.known.insert(name, Known::Value(value));
        Ok(value)
    }

    /// A known value as one of the graph.
    pub(super) fn realised(&mut self, name: &str, known: Known) -> Result<Value, Error> {
        match known {
            Known::Value(value) => Ok(value),
            Known::Layer(layer) => self.layer(&layer, None),
            Known::Affine(affine) => self.affine(name, affine),
            Known::Formula(own) => self.compiled(name, &own),
            Known::Rows(own) => self.rows(name, &own),
            Known::Indices(_) | Known::OneHot(..) => {
                Err(Error::Model("whole numbers are supported where they choose rows of a table only".into()))
            }
            Known::Padded(..) => Err(Error::Model("padding is supported before convolutions and means only".into())),
            Known::Constant(_) | Known::Sizes(..) => {
                Err(Error::Model("expected what depends on the input, found the same for every input".into()))
            }
        }
    }

    /// An input that has to be the same for every image.
    pub(super) fn constant(&self, node: Read<'a>, place: usize) -> Result<Rc<Constant>, Error> {
        match self.known(node, place)? {
            Known::Constant(own) => Ok(own),
            _ => Err(node.refuse(format!("expected an input {} that does not depend on the image", place + 1))),
        }
    }

    /// The same, of floats.
    pub(super) fn floats(&self, node: Read<'a>, place: usize) -> Result<Vec<f32>, Error> {
        let own = self.constant(node, place)?;
        own.floats().map(<[f32]>::to_vec).ok_or_else(|| node.refuse(format!("expected floats as input {}", place + 1)))
    }

    /// Whole numbers that stand in an input, or in an attribute as they did in earlier versions; `None` where in neither.
    pub(super) fn list(&self, node: Read<'a>, place: usize, attribute: &str) -> Result<Option<Vec<i64>>, Error> {
        if let Some(own) = node.ints(attribute) {
            return Ok(Some(own.to_vec()));
        }
        if node.input(place).is_none() {
            return Ok(None);
        }
        match &self.constant(node, place)?.values {
            Numbers::Integers(own) => Ok(Some(own.clone())),
            Numbers::Floats(_) => Err(node.refuse(format!("expected whole numbers as input {}", place + 1))),
        }
    }

    /// Adds a node to the graph with the values of its parameters, in their order. It is called so, or with a number behind.
    ///
    /// What is computed channel by channel is computed before sides of 1 come or go, next to the layer that it belongs to.
    pub(super) fn add(&mut self, name: &str, op: Op, inputs: &[Value], values: Vec<Vec<f32>>) -> Result<Value, Error> {
        if let &[outer] = inputs
            && let Some(inner) = self.before_reshape(&op, outer)
        {
            let own = self.add(name, op, &[inner], values)?;
            if self.builder.shape(own)[1..] == self.builder.shape(inner)[1..] {
                let shape = self.shape(outer);
                return self.shaped(name, own, shape);
            }
            // A single pixel is what it is in either shape.
            self.mark(own, self.is_line(outer));
            return Ok(own);
        }
        let name = self.free_name(name);
        let first = self.builder.parameters().len();
        let keeps_sides = !matches!(op, Op::Flatten | Op::Reshape(_) | Op::Linear(_));
        let value = self.builder.add(&name, op, inputs)?;
        if keeps_sides && self.lines.contains(&inputs[0]) {
            self.lines.insert(value);
        }
        for (own, values) in self.builder.parameters()[first..].iter().zip(values) {
            self.weights.insert(own.name.clone(), values);
        }
        Ok(value)
    }

    /// The value that a reshape has given other sides than the first one, where an operation can be computed of it instead.
    pub(super) fn before_reshape(&self, op: &Op, value: Value) -> Option<Value> {
        let node = self.builder.node(value)?;
        let inner = node.inputs[0];
        let [from, to] = [inner, value].map(|own| self.builder.shape(own));
        let keeps_channels = matches!(node.op, Op::Reshape(_)) && from[0] == to[0] && from.len() == 3 && to.len() == 3;
        let by_channel = matches!(op, Op::Activation(_) | Op::BatchNorm(_) | Op::GlobalAveragePool);
        (keeps_channels && by_channel).then_some(inner)
    }

    /// A value with its sides in another order, as the model has them.
    pub(super) fn permuted(&mut self, name: &str, value: Value, order: &[usize]) -> Result<Value, Error> {
        // Channels and a length stand around one row.
        let (is_line, known) = (self.is_line(value), self.builder.last().map(|last| last.output));
        let own = match (is_line, order) {
            (true, [1, 0]) => self.reordered(name, value, &[2, 1, 0])?,
            (true, _) => value,
            (false, _) => self.reordered(name, value, order)?,
        };
        if self.is_line(own) == is_line {
            return Ok(own);
        }
        // A value that is there already stays what it is.
        let shape = self.builder.shape(own).to_vec();
        let own = if Some(own) <= known { self.add(name, Op::Reshape(shape), &[own], vec![])? } else { own };
        self.mark(own, is_line);
        Ok(own)
    }

    /// The same of the graph's own sides. Two changes of order are one, also where functions of single numbers, or of those along
    /// one side, stand between them.
    fn reordered(&mut self, name: &str, value: Value, order: &[usize]) -> Result<Value, Error> {
        if order.is_sorted() {
            return Ok(value);
        }
        let node = self.builder.node(value).cloned();
        if let Some(Op::Reshape(_)) = node.as_ref().map(|node| &node.op)
            && self.is_of_reordered(value)
            && let Some((inner, inner_order)) = self.order_before_reshape(value, order)
        {
            let wanted = order.iter().map(|axis| self.builder.shape(value)[*axis]).collect::<Vec<_>>();
            let own = self.reordered(name, inner, &inner_order)?;
            return match *self.builder.shape(own) == wanted {
                true => Ok(own),
                false => self.add(name, Op::Reshape(wanted), &[own], vec![]),
            };
        }
        let passes = |op: &Op| matches!(op, Op::Permute(_) | Op::Activation(_) | Op::LayerNorm(_));
        if let Some(node) = node.filter(|node| passes(&node.op) && self.is_of_reordered(value)) {
            return match node.op {
                Op::Permute(own) => {
                    let both: Vec<usize> = order.iter().map(|axis| own[*axis]).collect();
                    self.reordered(name, node.inputs[0], &both)
                }
                Op::LayerNorm(own) => {
                    let input = self.reordered(name, node.inputs[0], order)?;
                    let axes = vec![order.iter().position(|axis| *axis == own.axes[0]).expect("all sides")];
                    let values =
                        ["weight", "bias"].map(|field| self.weights.get(&format!("{}.{field}", node.name)).to_vec());
                    self.add(&node.name, Op::LayerNorm(LayerNorm { axes, ..own }), &[input], values.to_vec())
                }
                other => {
                    let input = self.reordered(name, node.inputs[0], order)?;
                    self.add(&node.name, other, &[input], vec![])
                }
            };
        }
        let shape = self.builder.shape(value);
        if order.iter().filter(|axis| shape[**axis] != 1).is_sorted() {
            // Sides of 1 change their place, and no value does.
            let shape = order.iter().map(|axis| shape[*axis]).collect();
            return self.add(name, Op::Reshape(shape), &[value], vec![]);
        }
        self.add(name, Op::Permute(order.to_vec()), &[value], vec![])
    }

    /// Where only sides of 1 came or went, the value before that, and the order of its sides that comes to the same.
    fn order_before_reshape(&self, value: Value, order: &[usize]) -> Option<(Value, Vec<usize>)> {
        let inner = self.builder.node(value)?.inputs[0];
        let [from, to] = [inner, value].map(|own| self.builder.shape(own));
        let long = |shape: &[usize]| (0..shape.len()).filter(|axis| shape[*axis] != 1).collect::<Vec<usize>>();
        let (before, behind) = (long(from), long(to));
        if !before.iter().map(|axis| from[*axis]).eq(behind.iter().map(|axis| to[*axis])) {
            return None;
        }
        let place = |axis: &usize| behind.iter().position(|own| own == axis).map(|place| before[place]);
        let mut own: Vec<usize> = order.iter().filter_map(place).collect();
        own.extend((0..from.len()).filter(|axis| from[*axis] == 1));
        Some((inner, own))
    }

    /// Whether a value has sides in another order than an earlier one, and each number of it, or all along one side, only depends
    /// on those in the same place.
    fn is_of_reordered(&self, value: Value) -> bool {
        self.builder.node(value).is_some_and(|node| match &node.op {
            // The rows of a table cost nothing to put in another order.
            Op::Permute(_) | Op::Embedding(_) => true,
            Op::Activation(_) | Op::Flatten | Op::Reshape(_) => self.is_of_reordered(node.inputs[0]),
            Op::LayerNorm(own) => own.axes.len() == 1 && self.is_of_reordered(node.inputs[0]),
            _ => false,
        })
    }

    /// A name of letters, digits, `_`, `-` and `.` that no node has.
    fn free_name(&mut self, name: &str) -> String {
        let fine = |own: char| if own.is_ascii_alphanumeric() || "_-.".contains(own) { own } else { '.' };
        // PyTorch writes `/layer1/layer1.0/conv1` of `layer1.0.conv1`.
        let parts: Vec<&str> = name.split('/').filter(|own| !own.is_empty()).collect();
        let is_said_again = |place: usize| {
            let next = parts.get(place + 1).and_then(|own| own.strip_prefix(parts[place]));
            next.is_some_and(|rest| rest.starts_with('.'))
        };
        let kept: Vec<&str> =
            (0..parts.len()).filter(|place| !is_said_again(*place)).map(|place| parts[place]).collect();
        let all: String = kept.join(".").chars().take(160).map(fine).collect();
        let own = if all.is_empty() { "node".to_owned() } else { all };
        self.names.free(&self.builder, own)
    }

    /// The shape of a value for one image, as the model has it.
    pub(super) fn shape(&self, value: Value) -> Vec<usize> {
        match *self.builder.shape(value) {
            [channels, _, length] if self.is_line(value) => vec![channels, length],
            ref shape => shape.to_vec(),
        }
    }

    /// Whether a value has channels and a length, and is an image of one row in the graph.
    pub(super) fn is_line(&self, value: Value) -> bool {
        self.lines.contains(&value)
    }

    /// A side of the model's value in the graph, where it is another one if the value has no rows in the model.
    pub(super) fn graph_axis(&self, value: Value, side: usize) -> usize {
        if self.is_line(value) && side == 1 { 2 } else { side }
    }

    /// Says that an image of one row has no rows in the model.
    pub(super) fn mark_line(&mut self, value: Value) {
        self.mark(value, true);
    }

    /// Says whether an image of one row has no rows in the model.
    pub(super) fn mark(&mut self, value: Value, is_line: bool) {
        if is_line {
            self.lines.insert(value)
        } else {
            self.lines.remove(&value)
        };
    }

    /// Channels, rows and columns of a value, which has one row where it has a length only.
    ///
    /// # Errors
    /// When it is something else.
    pub(super) fn image(&self, node: Read<'a>, value: Value) -> Result<[usize; 3], Error> {
        let found = self.builder.shape(value);
        found.try_into().map_err(|_| {
            node.refuse(format!(
                "expected [channels, rows, columns] or [channels, length], found {:?}",
                self.shape(value)
            ))
        })
    }
}

/// What a value of a graph depends on, as a graph that ends with it.
fn needed(graph: &secateur_graph::Graph, output: Value) -> Result<secateur_graph::Graph, Error> {
    let mut is_needed = vec![false; graph.nodes().len() + 1];
    is_needed[output.index()] = true;
    for node in graph.nodes().iter().rev().filter(|node| node.output.index() <= output.index()) {
        if is_needed[node.output.index()] {
            node.inputs.iter().for_each(|value| is_needed[value.index()] = true);
        }
    }
    let mut builder = Builder::new(graph.shape(graph.input()))?;
    let mut values = vec![builder.input(); graph.nodes().len() + 1];
    for node in graph.nodes().iter().filter(|node| is_needed[node.output.index()]) {
        let inputs: Vec<Value> = node.inputs.iter().map(|value| values[value.index()]).collect();
        values[node.output.index()] = builder.add(&node.name, node.op.clone(), &inputs)?;
    }
    Ok(builder.finish())
}
