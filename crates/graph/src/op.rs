//! The operations of a graph: for each one what it takes and gives, which parameters it has, and how often it uses them.
//!
//! This is the one place that a new operation is described in; whoever computes, counts or writes graphs matches on [`Op`].

use crate::window::Window;

/// What a node computes. Shapes are those of one image, without the batch: `[channels, height, width]`, or `[features]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A two-dimensional convolution (cross-correlation).
    Conv2d(Conv2d),
    /// A fully connected layer: `y = weight x + bias`, of `[features]`.
    Linear(Linear),
    /// Batch normalisation, channel by channel (Ioffe and Szegedy, 2015).
    BatchNorm(BatchNorm),
    /// A function of each value by itself.
    Activation(Activation),
    /// The largest value or the mean of each window.
    Pool(Pool),
    /// The mean of each channel: `[channels, height, width]` to `[channels, 1, 1]`.
    GlobalAveragePool,
    /// The sum of two values of one shape.
    Add,
    /// The product of two values of one shape, or of an image and one factor for each of its channels, `[channels, 1, 1]`.
    Mul,
    /// Two or more values, one behind the other along the channels.
    Concat,
    /// `[channels, height, width]` to `[channels * height * width]`, row-major.
    Flatten,
    /// The same values, row-major, in another shape.
    Reshape(Vec<usize>),
    /// The first rows and columns of each channel, `[rows, columns]`; what lies below and right of them is dropped.
    Crop([usize; 2]),
    /// The sides in another order: the first side of what it gives is the one of this number, and so on.
    Permute(Vec<usize>),
    /// Layer normalisation (Ba et al., 2016).
    LayerNorm(LayerNorm),
    /// `exp(x) / sum of exp(x)` along this side.
    Softmax(usize),
    /// Each number as a row of a table: `[length]` to `[length, columns]`.
    Embedding(Embedding),
}

/// A two-dimensional convolution. Its input's shape says how many channels it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Filters.
    pub outputs: usize,
    /// Kernel size, stride, padding with zeros, and dilation.
    pub window: Window,
    /// Groups of channels that are computed apart; as many as input channels make it depthwise.
    pub groups: usize,
    /// Whether it has a bias.
    pub bias: bool,
}

impl Conv2d {
    /// So many filters of a square kernel, with a bias, stride 1, no padding, no dilation, one group.
    pub fn new(outputs: usize, kernel: usize) -> Self {
        Self { outputs, window: Window::square(kernel), groups: 1, bias: true }
    }

    /// With this stride in both directions.
    pub fn stride(mut self, stride: usize) -> Self {
        self.window.stride = [stride; 2];
        self
    }

    /// With so many zeros on each side.
    pub fn padding(mut self, padding: usize) -> Self {
        self.window.padding = [padding; 2];
        self
    }

    /// In so many groups.
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Without a bias.
    pub fn without_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// Whether each filter reads one channel, given so many.
    pub fn is_depthwise(&self, channels: usize) -> bool {
        self.groups > 1 && self.groups == channels
    }
}

/// A fully connected layer. Its input's shape says how many features it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// Output features.
    pub outputs: usize,
    /// Whether it has a bias.
    pub bias: bool,
}

impl Linear {
    /// So many output features, with a bias.
    pub fn new(outputs: usize) -> Self {
        Self { outputs, bias: true }
    }
}

/// Batch normalisation: `scale (x - mean) / sqrt(variance + epsilon) + shift`, with the batch's mean and variance in
/// training and the running ones otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// What is added to the variance.
    pub epsilon: f64,
    /// Weight of a batch in the running mean and variance.
    pub momentum: f64,
}

impl BatchNorm {
    /// Whether values can be divided by the root of this running variance.
    pub fn takes_variance(&self, variance: f32) -> bool {
        variance >= 0.0 && f64::from(variance) + self.epsilon > 0.0
    }
}

/// PyTorch's defaults.
impl Default for BatchNorm {
    fn default() -> Self {
        Self { epsilon: 1e-5, momentum: 0.1 }
    }
}

/// Layer normalisation: `scale (x - mean) / sqrt(variance + epsilon) + shift`, with mean and variance over some sides, and a
/// scale and a shift for each place along them.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// The numbers of these sides, the lowest first.
    pub axes: Vec<usize>,
    /// What is added to the variance.
    pub epsilon: f64,
}

/// A table of rows. A number that is no row's (not whole, below 0 or too large) gives NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedding {
    /// Rows.
    pub rows: usize,
    /// Numbers of a row.
    pub columns: usize,
}

impl Embedding {
    /// The row of a number.
    pub fn row(&self, number: f32) -> Option<usize> {
        let own = number as usize;
        (own as f32 == number && own < self.rows).then_some(own)
    }
}

/// A function of one value. All but the sigmoids give 0 for 0, so that a pruned channel stays 0 behind them; behind a sigmoid it
/// is a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x P(X <= x)` for a standard normal X, by the error function (Hendrycks and Gimpel, 2016).
    Gelu,
    /// `x / (1 + exp(-x))`.
    Silu,
    /// `x min(max(x + 3, 0), 6) / 6` (Howard et al., "Searching for MobileNetV3", 2019).
    HardSwish,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `(exp(x) - exp(-x)) / (exp(x) + exp(-x))`.
    Tanh,
    /// `min(max(x + 3, 0), 6) / 6` (Howard et al., 2019).
    HardSigmoid,
    /// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`, an approximation of gelu (Hendrycks and Gimpel, 2016).
    GeluTanh,
}

impl Activation {
    /// All of them; the place of one is its number in a model file, so that new ones come last.
    pub const ALL: [Self; 9] = [
        Self::Relu,
        Self::Relu6,
        Self::Gelu,
        Self::Silu,
        Self::HardSwish,
        Self::Sigmoid,
        Self::Tanh,
        Self::HardSigmoid,
        Self::GeluTanh,
    ];

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::HardSwish => "hard-swish",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::HardSigmoid => "hard-sigmoid",
            Self::GeluTanh => "gelu-tanh",
        }
    }
}

/// Pooling over windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// What is taken from a window.
    pub kind: PoolKind,
    /// Window size, stride and padding; a window that the padded image does not fill is left out.
    pub window: Window,
}

/// What pooling takes from a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// The largest value; padding never is.
    Max,
    /// The mean; padding counts as zeros, as in PyTorch by default.
    Average,
}

impl Pool {
    /// The largest value of square windows that stand side by side.
    pub fn max(size: usize) -> Self {
        Self { kind: PoolKind::Max, window: Window { stride: [size; 2], ..Window::square(size) } }
    }

    /// The mean of square windows that stand side by side.
    pub fn average(size: usize) -> Self {
        Self { kind: PoolKind::Average, ..Self::max(size) }
    }
}

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Weights of a convolution or a fully connected layer.
    Weight,
    /// What such a layer adds.
    Bias,
    /// The factor of batch normalisation.
    Scale,
    /// What batch normalisation adds.
    Shift,
    /// The running mean of batch normalisation: a buffer.
    Mean,
    /// The running variance of batch normalisation: a buffer.
    Variance,
    /// The rows of an embedding.
    Table,
}

impl Role {
    /// Whether it is not trained but follows from the data.
    pub fn is_buffer(self) -> bool {
        matches!(self, Self::Mean | Self::Variance)
    }

    /// The name behind the node's, as in PyTorch.
    pub fn field(self) -> &'static str {
        match self {
            Self::Weight | Self::Scale | Self::Table => "weight",
            Self::Bias | Self::Shift => "bias",
            Self::Mean => "running_mean",
            Self::Variance => "running_var",
        }
    }
}

/// Shapes that an operation does not take: what it expects, and what it was given.
pub(crate) type Mismatch = (String, String);

impl Op {
    /// The shape of what it gives for inputs of these shapes.
    pub(crate) fn output(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, Mismatch> {
        let count = |fits: bool, expected: &str| {
            let found = || if inputs.len() == 1 { "1 input".into() } else { format!("{} inputs", inputs.len()) };
            if fits { Ok(()) } else { Err((expected.to_owned(), found())) }
        };
        match self {
            Self::Add | Self::Mul => count(inputs.len() == 2, "two inputs")?,
            Self::Concat => count(inputs.len() >= 2, "two inputs or more")?,
            _ => count(inputs.len() == 1, "one input")?,
        }
        let input = inputs[0];
        let refuse = |expected: String| Err((expected, format!("{input:?}")));
        let unsound = |window: &Window| {
            ("a size, a stride and a dilation of at least 1".to_owned(), format!("a window of {window}"))
        };
        match self {
            Self::Conv2d(conv) => {
                let &[channels, height, width] = input else { return refuse(IMAGES.into()) };
                if conv.outputs == 0 || conv.groups == 0 {
                    return Err((
                        "at least one filter and one group".into(),
                        format!("{} filters in {} groups", conv.outputs, conv.groups),
                    ));
                }
                if channels % conv.groups != 0 || conv.outputs % conv.groups != 0 {
                    let expected = format!("channels and filters that {} groups divide", conv.groups);
                    return Err((expected, format!("{channels} channels and {} filters", conv.outputs)));
                }
                conv.window.is_sound().then_some(()).ok_or_else(|| unsound(&conv.window))?;
                match conv.window.positions([height, width]) {
                    Some([rows, columns]) => Ok(vec![conv.outputs, rows, columns]),
                    None => refuse(format!("an image that a window of {} fits in", conv.window)),
                }
            }
            Self::Linear(linear) => match input {
                [_] if linear.outputs > 0 => Ok(vec![linear.outputs]),
                [_] => Err(("at least one output".into(), "none".into())),
                _ => refuse("[features]; a `flatten` before it makes them of an image".into()),
            },
            Self::BatchNorm(_) if input.is_empty() => refuse("channels".into()),
            Self::BatchNorm(BatchNorm { epsilon, .. }) if !(epsilon.is_finite() && *epsilon >= 0.0) => {
                Err(("an epsilon that is finite and at least 0".into(), format!("an epsilon of {epsilon}")))
            }
            Self::BatchNorm(BatchNorm { momentum, .. }) if !(0.0..=1.0).contains(momentum) => {
                Err(("a momentum from 0 to 1".into(), format!("a momentum of {momentum}")))
            }
            Self::BatchNorm(_) | Self::Activation(_) => Ok(input.to_vec()),
            Self::Pool(pool) => {
                let &[channels, height, width] = input else { return refuse(IMAGES.into()) };
                pool.window.is_sound().then_some(()).ok_or_else(|| unsound(&pool.window))?;
                let half = |axis: usize| pool.window.padding[axis] <= pool.window.size[axis] / 2;
                if !(half(0) && half(1)) {
                    let expected = "a padding of half the window at most".to_owned();
                    return Err((expected, format!("a window of {}", pool.window)));
                }
                match pool.window.positions([height, width]) {
                    Some([rows, columns]) => Ok(vec![channels, rows, columns]),
                    None => refuse(format!("an image that a window of {} fits in", pool.window)),
                }
            }
            Self::GlobalAveragePool => match input {
                &[channels, _, _] => Ok(vec![channels, 1, 1]),
                _ => refuse(IMAGES.into()),
            },
            Self::Add if inputs[0] == inputs[1] => Ok(input.to_vec()),
            Self::Add => Err(("two values of one shape".into(), format!("{:?} and {:?}", inputs[0], inputs[1]))),
            Self::Mul => match (inputs[0], inputs[1]) {
                (own, other) if own == other => Ok(own.to_vec()),
                ([channels, ..], [factors, 1, 1]) if channels == factors && input.len() == 3 => Ok(input.to_vec()),
                (own, other) => Err((
                    "two values of one shape, or [channels, height, width] and [channels, 1, 1]".into(),
                    format!("{own:?} and {other:?}"),
                )),
            },
            Self::Concat => {
                let mut channels = 0usize;
                for shape in inputs {
                    let ([own, rest @ ..], [_, first @ ..]) = (*shape, input) else {
                        return refuse("channels".into());
                    };
                    if rest != first {
                        let expected = "values that differ in their channels only".to_owned();
                        return Err((expected, format!("{input:?} and {shape:?}")));
                    }
                    channels = channels.saturating_add(*own);
                }
                Ok([&[channels], &input[1..]].concat())
            }
            Self::Flatten => Ok(vec![values(input).unwrap_or(usize::MAX)]),
            Self::Reshape(shape) if !shape.is_empty() && values(shape) == values(input) => Ok(shape.clone()),
            Self::Reshape(shape) => refuse(format!("as many values as {shape:?} has, which has at least one side")),
            Self::Crop([rows, columns]) => match *input {
                [channels, height, width] if (1..=height).contains(rows) && (1..=width).contains(columns) => {
                    Ok(vec![channels, *rows, *columns])
                }
                _ => refuse(format!("an image of at least {rows} rows and {columns} columns, neither of them 0")),
            },
            Self::Permute(order) => {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                if !sorted.into_iter().eq(0..input.len()) {
                    return refuse(format!("as many sides as the order {order:?} has, each of them once"));
                }
                Ok(order.iter().map(|own| input[*own]).collect())
            }
            Self::LayerNorm(LayerNorm { epsilon, .. }) if !(epsilon.is_finite() && *epsilon >= 0.0) => {
                Err(("an epsilon that is finite and at least 0".into(), format!("an epsilon of {epsilon}")))
            }
            Self::LayerNorm(LayerNorm { axes, .. }) => {
                let rises = !axes.is_empty() && axes.is_sorted_by(|own, next| own < next);
                match axes.last() {
                    Some(last) if rises && *last < input.len() => Ok(input.to_vec()),
                    _ => refuse(format!("the sides {axes:?}, at least one, and each once from the lowest on")),
                }
            }
            Self::Softmax(axis) if *axis < input.len() => Ok(input.to_vec()),
            Self::Softmax(axis) => refuse(format!("a side {axis}")),
            Self::Embedding(own) => match input {
                [length] if own.rows > 0 && own.columns > 0 => Ok(vec![*length, own.columns]),
                [_] => Err(("rows and columns".into(), format!("{} rows of {}", own.rows, own.columns))),
                _ => refuse("[length]".into()),
            },
        }
    }

    /// Its parameters for an input of this shape, in PyTorch's order.
    pub(crate) fn parameters(&self, input: &[usize]) -> Vec<(Role, Vec<usize>)> {
        let with_bias = |weight: Vec<usize>, bias: bool| {
            let outputs = weight[0];
            let bias = bias.then(|| (Role::Bias, vec![outputs]));
            std::iter::once((Role::Weight, weight)).chain(bias).collect()
        };
        match self {
            Self::Conv2d(conv) => {
                let [rows, columns] = conv.window.size;
                with_bias(vec![conv.outputs, input[0] / conv.groups, rows, columns], conv.bias)
            }
            Self::Linear(linear) => with_bias(vec![linear.outputs, input[0]], linear.bias),
            Self::BatchNorm(_) => {
                [Role::Scale, Role::Shift, Role::Mean, Role::Variance].map(|role| (role, vec![input[0]])).to_vec()
            }
            Self::LayerNorm(own) => {
                let shape: Vec<usize> = own.axes.iter().map(|axis| input[*axis]).collect();
                vec![(Role::Scale, shape.clone()), (Role::Shift, shape)]
            }
            Self::Embedding(own) => vec![(Role::Table, vec![own.rows, own.columns])],
            Self::Activation(_)
            | Self::Pool(_)
            | Self::GlobalAveragePool
            | Self::Add
            | Self::Mul
            | Self::Concat
            | Self::Flatten
            | Self::Reshape(_)
            | Self::Crop(_)
            | Self::Permute(_)
            | Self::Softmax(_) => vec![],
        }
    }

    /// How many multiply-accumulates a weight takes part in for one image, given the shape of the output. Only layers count
    /// any: batch normalisation is folded into its neighbour once training is over.
    pub(crate) fn positions(&self, output: &[usize]) -> usize {
        match self {
            Self::Conv2d(_) => output[1] * output[2],
            Self::Linear(_) => 1,
            _ => 0,
        }
    }

    /// Values that it holds for one image beside its inputs and its output: the zeros around a padded image.
    pub(crate) fn padded(&self, input: &[usize]) -> Option<usize> {
        let (Self::Conv2d(Conv2d { window, .. }) | Self::Pool(Pool { window, .. })) = self else { return Some(0) };
        let [rows, columns] = window.padded([input[1], input[2]])?;
        if window.padding == [0; 2] { Some(0) } else { values(&[input[0], rows, columns]) }
    }
}

const IMAGES: &str = "an image, [channels, height, width]";

/// The number of values of a shape; `None` when a `usize` does not hold it.
pub(crate) fn values(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side))
}

/// The operation in words, for messages and tables.
impl std::fmt::Display for Op {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Conv2d(conv) => {
                write!(out, "conv2d, {} filters of {}", conv.outputs, conv.window)?;
                if conv.groups > 1 { write!(out, ", {} groups", conv.groups) } else { Ok(()) }
            }
            Self::Linear(linear) => write!(out, "linear, {} outputs", linear.outputs),
            Self::BatchNorm(_) => out.write_str("batch-norm"),
            Self::Activation(own) => out.write_str(own.word()),
            Self::Pool(Pool { kind: PoolKind::Max, window }) => write!(out, "max-pool {window}"),
            Self::Pool(Pool { kind: PoolKind::Average, window }) => write!(out, "average-pool {window}"),
            Self::GlobalAveragePool => out.write_str("global average pool"),
            Self::Add => out.write_str("add"),
            Self::Mul => out.write_str("mul"),
            Self::Concat => out.write_str("concat"),
            Self::Flatten => out.write_str("flatten"),
            Self::Reshape(shape) => write!(out, "reshape to {shape:?}"),
            Self::Crop([rows, columns]) => write!(out, "crop to {rows}x{columns}"),
            Self::Permute(order) => write!(out, "permute to {order:?}"),
            Self::LayerNorm(LayerNorm { axes, .. }) => write!(out, "layer-norm over {axes:?}"),
            Self::Softmax(axis) => write!(out, "softmax over [{axis}]"),
            Self::Embedding(own) => write!(out, "embedding, {} rows of {}", own.rows, own.columns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(op: &Op, inputs: &[&[usize]]) -> Vec<usize> {
        op.output(inputs).expect("fits")
    }

    fn refused(op: &Op, inputs: &[&[usize]]) -> String {
        let (expected, found) = op.output(inputs).expect_err("does not fit");
        format!("expected {expected}, found {found}")
    }

    #[test]
    fn batch_normalisation_takes_numbers_that_it_can_compute_with() {
        let norm = |epsilon, momentum| Op::BatchNorm(BatchNorm { epsilon, momentum });
        for own in [norm(0.0, 0.0), norm(1e-5, 1.0)] {
            assert_eq!(shape(&own, &[&[4, 2, 2]]), [4, 2, 2]);
        }
        for (own, expected) in [
            (norm(f64::NAN, 0.1), "found an epsilon of NaN"),
            (norm(-1.0, 0.1), "found an epsilon of -1"),
            (norm(f64::INFINITY, 0.1), "found an epsilon of inf"),
            (norm(1.0, 2.0), "expected a momentum from 0 to 1, found a momentum of 2"),
        ] {
            assert!(refused(&own, &[&[4]]).contains(expected), "{own:?}");
        }
        let norm = BatchNorm { epsilon: 0.0, momentum: 0.1 };
        assert_eq!([1.0, 0.0, -1.0, f32::NAN].map(|own| norm.takes_variance(own)), [true, false, false, false]);
    }

    #[test]
    fn shapes_follow_the_operation() {
        let conv = Conv2d::new(64, 3).stride(2).padding(1);
        assert_eq!(shape(&Op::Conv2d(conv), &[&[3, 32, 32]]), [64, 16, 16]);
        assert_eq!(shape(&Op::Conv2d(conv.groups(4)), &[&[8, 7, 9]]), [64, 4, 5]);
        assert_eq!(shape(&Op::Linear(Linear::new(10)), &[&[400]]), [10]);
        assert_eq!(shape(&Op::BatchNorm(BatchNorm::default()), &[&[4, 2, 2]]), [4, 2, 2]);
        assert_eq!(shape(&Op::Pool(Pool::max(2)), &[&[3, 11, 11]]), [3, 5, 5]);
        assert_eq!(shape(&Op::GlobalAveragePool, &[&[64, 8, 8]]), [64, 1, 1]);
        assert_eq!(shape(&Op::Add, &[&[4, 2, 2], &[4, 2, 2]]), [4, 2, 2]);
        assert_eq!(shape(&Op::Concat, &[&[4, 2, 2], &[1, 2, 2], &[3, 2, 2]]), [8, 2, 2]);
        assert_eq!(shape(&Op::Flatten, &[&[4, 2, 3]]), [24]);
        assert_eq!(shape(&Op::Reshape(vec![2, 12]), &[&[4, 2, 3]]), [2, 12]);
        assert_eq!(shape(&Op::Crop([2, 1]), &[&[4, 2, 3]]), [4, 2, 1]);
        assert_eq!(shape(&Op::Mul, &[&[4, 2, 3], &[4, 1, 1]]), [4, 2, 3]);
        assert_eq!(shape(&Op::Mul, &[&[5], &[5]]), [5]);
        assert_eq!(shape(&Op::Permute(vec![1, 2, 0]), &[&[4, 2, 3]]), [2, 3, 4]);
        assert_eq!(shape(&Op::Softmax(1), &[&[4, 2]]), [4, 2]);
        assert_eq!(shape(&Op::Embedding(Embedding { rows: 9, columns: 2 }), &[&[4]]), [4, 2]);
        let norm = Op::LayerNorm(LayerNorm { axes: vec![0, 2], epsilon: 0.1 });
        assert_eq!(shape(&norm, &[&[4, 2, 3]]), [4, 2, 3]);
        assert_eq!(norm.parameters(&[4, 2, 3]), [(Role::Scale, vec![4, 3]), (Role::Shift, vec![4, 3])]);
        let table = Embedding { rows: 3, columns: 1 };
        let numbers = [0.0, 2.0, 3.0, -1.0, 0.5, f32::NAN, f32::INFINITY];
        assert_eq!(numbers.map(|own| table.row(own)), [Some(0), Some(2), None, None, None, None, None]);
    }

    #[test]
    fn parameters_have_pytorch_s_shapes() {
        let conv = Conv2d::new(64, 3);
        assert_eq!(
            Op::Conv2d(conv).parameters(&[16, 8, 8]),
            [(Role::Weight, vec![64, 16, 3, 3]), (Role::Bias, vec![64])]
        );
        let depthwise = conv.groups(16).without_bias();
        assert!(depthwise.is_depthwise(16) && !depthwise.is_depthwise(32) && !conv.is_depthwise(1));
        assert_eq!(Op::Conv2d(depthwise).parameters(&[16, 8, 8]), [(Role::Weight, vec![64, 1, 3, 3])]);
        let norm = Op::BatchNorm(BatchNorm::default()).parameters(&[16, 8, 8]);
        assert_eq!(
            norm.iter().map(|(role, _)| role.field()).collect::<Vec<_>>(),
            ["weight", "bias", "running_mean", "running_var"]
        );
        assert!(norm.iter().all(|(_, shape)| *shape == [16]));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_a_sentence() {
        assert_eq!(
            refused(&Op::Conv2d(Conv2d::new(4, 5)), &[&[1, 4, 9]]),
            "expected an image that a window of 5x5 fits in, found [1, 4, 9]"
        );
        assert_eq!(
            refused(&Op::Conv2d(Conv2d::new(4, 1).groups(3)), &[&[6, 4, 4]]),
            "expected channels and filters that 3 groups divide, found 6 channels and 4 filters"
        );
        assert_eq!(refused(&Op::Conv2d(Conv2d::new(0, 1)), &[&[6, 4, 4]]).split(", ").count(), 2);
        assert_eq!(refused(&Op::Linear(Linear::new(4)), &[&[6, 4, 4]]).split(';').next(), Some("expected [features]"));
        assert_eq!(refused(&Op::Add, &[&[6]]), "expected two inputs, found 1 input");
        assert_eq!(refused(&Op::Add, &[&[6], &[7]]), "expected two values of one shape, found [6] and [7]");
        assert!(refused(&Op::Concat, &[&[6, 2, 2], &[7, 2, 3]]).contains("differ in their channels only"));
        assert!(refused(&Op::Reshape(vec![5]), &[&[6]]).contains("as many values as [5] has"));
        assert!(refused(&Op::Reshape(vec![]), &[&[1]]).contains("at least one side"));
        assert!(refused(&Op::GlobalAveragePool, &[&[6]]).contains("an image"));
        for crop in [[3, 1], [0, 1], [1, 4]] {
            assert!(refused(&Op::Crop(crop), &[&[4, 2, 3]]).contains("an image of at least"));
        }
        for (op, shapes, expected) in [
            (Op::Mul, vec![&[4, 2, 2][..], &[2, 1, 1]], "two values of one shape, or"),
            (Op::Mul, vec![&[4][..]], "two inputs"),
            (Op::Permute(vec![0, 0]), vec![&[4, 2][..]], "each of them once"),
            (Op::Permute(vec![0]), vec![&[4, 2][..]], "as many sides as"),
            (Op::LayerNorm(LayerNorm { axes: vec![2], epsilon: 0.1 }), vec![&[4, 2][..]], "the sides [2]"),
            (Op::LayerNorm(LayerNorm { axes: vec![1, 0], epsilon: 0.1 }), vec![&[4, 2][..]], "from the lowest on"),
            (Op::LayerNorm(LayerNorm { axes: vec![], epsilon: 0.1 }), vec![&[4, 2][..]], "at least one"),
            (Op::LayerNorm(LayerNorm { axes: vec![0], epsilon: -1.0 }), vec![&[4, 2][..]], "an epsilon"),
            (Op::Softmax(2), vec![&[4, 2][..]], "a side 2"),
            (Op::Embedding(Embedding { rows: 0, columns: 2 }), vec![&[4][..]], "rows and columns"),
            (Op::Embedding(Embedding { rows: 2, columns: 2 }), vec![&[4, 1][..]], "[length]"),
        ] {
            assert!(refused(&op, &shapes).contains(expected), "{op:?}: {}", refused(&op, &shapes));
        }
        let wide = Pool { window: Window { padding: [2, 2], ..Window::square(3) }, ..Pool::max(3) };
        assert!(refused(&Op::Pool(wide), &[&[1, 8, 8]]).contains("half the window"));
    }
}
