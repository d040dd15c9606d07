//! Convolutions, fully connected layers, batch normalisation and pooling.

use super::Error;
use super::attributes::Read;
use super::elementwise::per_channel;
use super::tensor::Constant;
use super::walk::{Known, Walk};
use secateur_graph::{BatchNorm, Conv2d, Linear, MOST_PARAMETERS, Op, Pool, PoolKind, Value, Window};
use std::rc::Rc;

/// A layer without a bias.
#[derive(Debug)]
pub(super) struct Layer {
    name: String,
    op: Op,
    pub input: Value,
    weight: Vec<f32>,
    outputs: usize,
    /// Of a product of the last side of a value, which is a convolution with that side first, the order of sides that the model has.
    back: Option<Vec<usize>>,
}

impl<'a> Walk<'a> {
    /// Adds a layer to the graph.
    pub(super) fn layer(&mut self, layer: &Layer, bias: Option<Vec<f32>>) -> Result<Value, Error> {
        let op = match layer.op.clone() {
            Op::Conv2d(own) => Op::Conv2d(Conv2d { bias: bias.is_some(), ..own }),
            Op::Linear(own) => Op::Linear(Linear { bias: bias.is_some(), ..own }),
            other => other,
        };
        let values = [layer.weight.clone()].into_iter().chain(bias).collect();
        let own = self.add(&layer.name, op, &[layer.input], values)?;
        match &layer.back {
            Some(order) => self.permuted(&layer.name, own, order),
            None => Ok(own),
        }
    }

    /// A constant as the bias of a layer, if it fits.
    pub(super) fn bias_of(&self, layer: &Layer, constant: &Constant) -> Option<Vec<f32>> {
        let values = constant.floats()?;
        if layer.back.is_some() {
            let fits = constant.shape.last() == Some(&layer.outputs) && values.len() == layer.outputs;
            return fits.then(|| values.to_vec());
        }
        let mut shape = self.shape(layer.input);
        shape[0] = layer.outputs;
        let bias = per_channel(constant, &shape)?;
        Some(if bias.len() == 1 { vec![bias[0]; layer.outputs] } else { bias })
    }

    /// A layer with the bias that is known, or without one as long as it may get one.
    fn with_bias(&mut self, node: Read<'a>, layer: Layer, bias: Option<Vec<f32>>) -> Result<Known, Error> {
        self.spend(node, layer.weight.len())?;
        if let Some(bias) = bias {
            return self.layer(&layer, Some(bias)).map(Known::Value);
        }
        if self.has_one_reader(node.output()) {
            return Ok(Known::Layer(Rc::new(layer)));
        }
        self.layer(&layer, None).map(Known::Value)
    }

    pub(super) fn convolution(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let (input, around) = match self.known(node, 0)? {
            Known::Padded(value, around) => (value, around),
            _ => (self.value(node, 0)?, [0; 4]),
        };
        let weight = self.constant(node, 1)?;
        let is_line = weight.shape.len() == 3;
        let (outputs, size) = match weight.shape[..] {
            [outputs, _, length] => (outputs, [1, length]),
            [outputs, _, rows, columns] => (outputs, [rows, columns]),
            _ => (0, [0; 2]),
        };
        let Some(values) = weight.floats().filter(|values| !values.is_empty()) else {
            return Err(node.refuse(format!(
                "expected a weight of floats, [filters, channels, rows, columns] or [filters, channels, length], found the shape \
                 {:?}",
                weight.shape
            )));
        };
        if outputs == 0 {
            return Err(
                node.refuse(format!("expected one or two axes behind filters and channels, found {:?}", weight.shape))
            );
        }
        let [channels, height, width] = self.image(node, input)?;
        if is_line != self.is_line(input) {
            return Err(node.refuse(format!(
                "expected a weight for {:?}, found {:?}",
                self.shape(input),
                weight.shape
            )));
        }
        let (stride, dilation) = (node.pair("strides", 1, is_line)?, node.pair("dilations", 1, is_line)?);
        let window = Window { size, stride, padding: [0; 2], dilation };
        let own = node.pads_for(&window, [height, width], is_line)?;
        let pads: [usize; 4] = std::array::from_fn(|side| own[side] + around[side]);
        let (window, values) = even(&window, pads, values).ok_or_else(|| {
            node.refuse(format!(
                "expected as much padding on each side, or a multiple of the dilation more, found {pads:?}"
            ))
        })?;
        let groups = usize::try_from(node.int("group", 1)).unwrap_or(0);
        let op = Op::Conv2d(Conv2d { outputs, window, groups, bias: false });
        let layer = Layer { name: node.layer_name().to_owned(), op, input, weight: values, outputs, back: None };
        let bias = node.input(2).map(|_| self.floats(node, 2)).transpose()?;
        if groups == 0 || weight.shape[1].checked_mul(groups) != Some(channels) {
            let each = weight.shape[1];
            return Err(node.refuse(format!("expected {each} channels in {groups} groups, found {channels} channels")));
        }
        check_bias(node, bias.as_deref(), outputs)?;
        self.with_bias(node, layer, bias)
    }

    pub(super) fn gemm(&mut self, node: Read<'a>) -> Result<Known, Error> {
        if node.int("transA", 0) != 0 {
            return Err(node.refuse("expected a first input that is not transposed"));
        }
        let (alpha, beta) = (node.float("alpha").unwrap_or(1.0), node.float("beta").unwrap_or(1.0));
        let bias = node.input(2).map(|_| self.floats(node, 2)).transpose()?;
        self.product(node, node.int("transB", 0) != 0, alpha, bias.map(|own| (own, beta)))
    }

    pub(super) fn matrix_product(&mut self, node: Read<'a>) -> Result<Known, Error> {
        self.product(node, false, 1.0, None)
    }

    /// `alpha x B + beta C`.
    fn product(
        &mut self,
        node: Read<'a>,
        is_transposed: bool,
        alpha: f32,
        bias: Option<(Vec<f32>, f32)>,
    ) -> Result<Known, Error> {
        if let Known::OneHot(numbers, depth) = self.known(node, 0)? {
            return self.one_hot_product(node, &numbers, depth);
        }
        let input = self.value(node, 0)?;
        let weight = self.constant(node, 1)?;
        let own = if is_transposed { Some((*weight).clone()) } else { weight.transposed(&[1, 0]) };
        let own = own.filter(|own| own.floats().is_some() && own.shape.len() == 2);
        let own = own.ok_or_else(|| node.refuse(format!("expected a matrix of floats, found {:?}", weight.shape)))?;
        let (outputs, inputs) = (own.shape[0], own.shape[1]);
        let shape = self.shape(input);
        if shape.last() != Some(&inputs) || shape.len() > 3 {
            return Err(node.refuse(format!("expected [{inputs}] features, found {shape:?}")));
        }
        let times = |values: &[f32], by: f32| values.iter().map(|value| value * by).collect::<Vec<f32>>();
        let weight = times(own.floats().expect("checked above"), alpha);
        let bias = bias.map(|(own, beta)| match own[..] {
            [alike] => vec![alike * beta; outputs],
            _ => times(&own, beta),
        });
        check_bias(node, bias.as_deref(), outputs)?;
        let name = node.layer_name().to_owned();
        let layer = if shape.len() == 1 {
            let op = Op::Linear(Linear { outputs, bias: false });
            Layer { name, op, input, weight, outputs, back: None }
        } else {
            // Along the last side: a convolution of single pixels, with that side first.
            let last = shape.len() - 1;
            let order: Vec<usize> = std::iter::once(last).chain(0..last).collect();
            let input = self.permuted(&name, input, &order)?;
            let op = Op::Conv2d(Conv2d { bias: false, ..Conv2d::new(outputs, 1) });
            let back = Some((1..shape.len()).chain([0]).collect());
            Layer { name, op, input, weight, outputs, back }
        };
        self.with_bias(node, layer, bias)
    }

    pub(super) fn batch_norm(&mut self, node: Read<'a>) -> Result<Known, Error> {
        if node.int("training_mode", 0) != 0 {
            return Err(
                node.refuse("expected running statistics, found `training_mode`; export the model for inference")
            );
        }
        let input = self.value(node, 0)?;
        let values = (1..5).map(|place| self.floats(node, place)).collect::<Result<Vec<_>, _>>()?;
        let epsilon = f64::from(node.float("epsilon").unwrap_or(1e-5));
        let momentum = 1.0 - f64::from(node.float("momentum").unwrap_or(0.9));
        let channels = self.shape(input)[0];
        if let Some(other) = values.iter().find(|own| own.len() != channels) {
            return Err(node.refuse(format!("expected {channels} numbers for the channels, found {}", other.len())));
        }
        let norm = BatchNorm { epsilon, momentum: momentum.clamp(0.0, 1.0) };
        if let Some(other) = values[3].iter().find(|own| !norm.takes_variance(**own)) {
            return Err(node.refuse(format!("expected variances of at least 0, found {other}")));
        }
        self.add(node.layer_name(), Op::BatchNorm(norm), &[input], values).map(Known::Value)
    }

    pub(super) fn pool(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let (input, around) = match (self.known(node, 0)?, node.operator()) {
            (Known::Padded(value, around), "AveragePool") => (value, around),
            _ => (self.value(node, 0)?, [0; 4]),
        };
        let [_, height, width] = self.image(node, input)?;
        let is_line = self.is_line(input);
        let name = node.short_name();
        match node.operator() {
            "GlobalAveragePool" => return self.add(name, Op::GlobalAveragePool, &[input], vec![]).map(Known::Value),
            "GlobalMaxPool" => return self.largest(name, input).map(Known::Value),
            _ => {}
        }
        let size = node.pair("kernel_shape", 0, is_line)?;
        let (stride, dilation) = (node.pair("strides", 1, is_line)?, node.pair("dilations", 1, is_line)?);
        let window = Window { size, stride, padding: [0; 2], dilation };
        let own = node.pads_for(&window, [height, width], is_line)?;
        let kind = if node.operator() == "MaxPool" { PoolKind::Max } else { PoolKind::Average };
        let leaves_padding_out = kind == PoolKind::Average && node.int("count_include_pad", 0) == 0;
        if leaves_padding_out && own != [0; 4] {
            return Err(node.refuse("expected padding that counts as zeros (`count_include_pad`)"));
        }
        let [top, left, bottom, right]: [usize; 4] = std::array::from_fn(|side| own[side] + around[side]);
        if [top, left] != [bottom, right] {
            return Err(node.refuse(format!("expected as much padding on each side, found {own:?}")));
        }
        let window = Window { padding: [top, left], ..window };
        let is_short = |axis: usize, side: usize| {
            let extent = window.extent().map_or(0, |own| own[axis]);
            !(side + 2 * window.padding[axis]).saturating_sub(extent).is_multiple_of(window.stride[axis].max(1))
        };
        if node.int("ceil_mode", 0) != 0 && (is_short(0, height) || is_short(1, width)) {
            return Err(
                node.refuse("expected windows that fit into the image, found `ceil_mode` with one that does not")
            );
        }
        self.add(name, Op::Pool(Pool { kind, window }), &[input], vec![]).map(Known::Value)
    }

    pub(super) fn pad(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let value = self.value(node, 0)?;
        let is_zero = match node.input(2) {
            Some(_) => self.floats(node, 2)?.iter().all(|own| *own == 0.0),
            None => true,
        };
        if !is_zero || !matches!(node.text("mode"), "" | "constant") || node.input(3).is_some() {
            return Err(node.refuse("expected zeros around each image"));
        }
        let pads = self.list(node, 1, "pads")?.unwrap_or_default();
        match pads[..] {
            [0, 0, top, left, 0, 0, bottom, right] => {
                node.sides([top, left, bottom, right]).map(|own| Known::Padded(value, own))
            }
            [0, 0, before, 0, 0, behind] => node.sides([0, before, 0, behind]).map(|own| Known::Padded(value, own)),
            _ if pads.iter().all(|own| *own == 0) => Ok(Known::Value(value)),
            _ => Err(node.refuse(format!("expected zeros around rows and columns, found the pads {pads:?}"))),
        }
    }
}

fn check_bias(node: Read<'_>, bias: Option<&[f32]>, outputs: usize) -> Result<(), Error> {
    match bias {
        Some(own) if own.len() != outputs => {
            Err(node.refuse(format!("expected a bias of {outputs} numbers, found {}", own.len())))
        }
        _ => Ok(()),
    }
}

impl Read<'_> {
    /// The padding of a window, where it is to be worked out, too.
    fn pads_for(&self, window: &Window, sides: [usize; 2], is_line: bool) -> Result<[usize; 4], Error> {
        let is_upper = match self.text("auto_pad") {
            "" | "NOTSET" => return self.pads(is_line),
            "VALID" => return Ok([0; 4]),
            "SAME_UPPER" => true,
            "SAME_LOWER" => false,
            other => return Err(self.refuse(format!("expected a known `auto_pad`, found `{other}`"))),
        };
        let extent = window.extent().ok_or_else(|| self.refuse("expected a window"))?;
        let total = |axis: usize| {
            let stride = window.stride[axis].max(1);
            ((sides[axis].div_ceil(stride) - 1) * stride + extent[axis]).saturating_sub(sides[axis])
        };
        let [rows, columns] = [total(0), total(1)];
        let first = |own: usize| if is_upper { own / 2 } else { own.div_ceil(2) };
        Ok([first(rows), first(columns), rows - first(rows), columns - first(columns)])
    }
}

/// A window with as much padding on each side, and the weights for it: where one side has less, the kernel gets zeros there.
fn even(window: &Window, [top, left, bottom, right]: [usize; 4], values: &[f32]) -> Option<(Window, Vec<f32>)> {
    let padding = [top.max(bottom), left.max(right)];
    let more = |axis: usize, pads: [usize; 2]| {
        let [first, last] = pads.map(|own| padding[axis] - own);
        let by = window.dilation[axis].max(1);
        (first % by == 0 && last % by == 0).then_some([first / by, last / by])
    };
    let [rows, columns] = [more(0, [top, bottom])?, more(1, [left, right])?];
    let [height, width] = window.size;
    let size = [height + rows[0] + rows[1], width + columns[0] + columns[1]];
    let own = Window { size, padding, ..*window };
    if size == window.size {
        return Some((own, values.to_vec()));
    }
    let count = values.len() / (height * width).max(1);
    let most = |own: &usize| *own <= MOST_PARAMETERS;
    let mut wider = vec![0.0; count.checked_mul(size[0])?.checked_mul(size[1]).filter(most)?];
    for (kernel, to) in values.chunks(height * width).zip(wider.chunks_mut(size[0] * size[1])) {
        for (row, values) in kernel.chunks(width).enumerate() {
            to[(row + rows[0]) * size[1] + columns[0]..][..width].copy_from_slice(values);
        }
    }
    Some((own, wider))
}
