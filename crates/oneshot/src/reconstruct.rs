//! Prunes the weights of a layer one by one and lets the others make up for each, so that the layer's answers to what it reads change
//! as little as possible: the optimal brain surgeon (Hassibi and Stork, 1993), column by column for all outputs at once (Frantar and
//! Alistarh, "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot", 2023). Then the weights that are left are
//! fitted once more, all together.

use crate::factor::inverse_factor;
use crate::moments::Moments;
use nalgebra::{DMatrix, DVector};

/// Part of the mean of the moments that is added to each, so that they can be inverted.
const DAMPING: f64 = 0.01;
/// Steps of conjugate gradients, at most, and the part of the first squared residual that ends them.
const STEPS: usize = 20;
const FITTED: f64 = 1e-10;

/// What is known of a layer, whichever part of it is pruned.
pub(crate) struct Layer {
    /// Weights of a filter or a neuron, its bias aside.
    fan_in: usize,
    groups: Vec<Group>,
}

/// A group of a layer.
struct Group {
    /// The moments, damped.
    moments: DMatrix<f64>,
    /// The factor of the inverse of the moments.
    factor: DMatrix<f64>,
    /// The weights that answer best before anything is pruned, `[input, output]`, the bias last.
    target: DMatrix<f64>,
    /// Which weights are pruned already, `[input, output]`.
    is_zero: Vec<bool>,
}

/// The weights and the biases of a layer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affine {
    pub weight: Vec<f32>,
    /// Empty where there is none.
    pub bias: Vec<f32>,
}

impl Layer {
    /// Of these weights, given what they read; `None` where the moments cannot be inverted.
    pub(crate) fn new(mut moments: Moments, affine: &Affine) -> Option<Self> {
        let groups = moments.own.len();
        let outputs = affine.weight.len() / (moments.own[0].nrows() - usize::from(!affine.bias.is_empty()));
        let (outputs, size) = (outputs / groups, moments.own[0].nrows());
        let fan_in = size - usize::from(!affine.bias.is_empty());
        let mut made = vec![];
        for (place, mut moment) in moments.own.into_iter().enumerate() {
            let own = &affine.weight[place * outputs * fan_in..][..outputs * fan_in];
            let bias = affine.bias.get(place * outputs..).unwrap_or_default();
            let mean = moment.trace() / size as f64;
            let damping = if mean > 0.0 { DAMPING * mean } else { 1.0 };
            (0..size).for_each(|place| moment[(place, place)] += damping);
            let factor = inverse_factor(&moment)?;
            let mut target = DMatrix::from_fn(size, outputs, |input, output| match input == fan_in {
                true => f64::from(bias[output]),
                false => f64::from(own[output * fan_in + input]),
            });
            let is_zero = target.as_slice().iter().map(|weight| *weight == 0.0).collect();
            if let Some(with_dense) = moments.with_dense.get_mut(place) {
                (0..size).for_each(|place| with_dense[(place, place)] += damping);
                target = &factor * (factor.transpose() * (&*with_dense * target));
            }
            made.push(Group { moments: moment, factor, target, is_zero });
        }
        Some(Self { fan_in, groups: made })
    }

    /// The weights with so many of them pruned, those that are pruned already among them; the number of threads changes nothing.
    pub(crate) fn pruned(&self, count: usize, threads: usize) -> Affine {
        let mut affine = Affine { weight: vec![], bias: vec![] };
        let zeros = |own: &Group| own.weights(self.fan_in).filter(|(_, is_zero)| *is_zero).count();
        let all: Vec<[usize; 2]> =
            self.groups.iter().map(|own| [zeros(own), own.weights(self.fan_in).count()]).collect();
        for (own, count) in self.groups.iter().zip(quotas(&all, count)) {
            let weights = own.pruned(self.fan_in, count, threads);
            for output in weights.column_iter() {
                affine.weight.extend(output.iter().take(self.fan_in).map(|weight| *weight as f32));
                affine.bias.extend(output.iter().skip(self.fan_in).map(|bias| *bias as f32));
            }
        }
        affine
    }
}

/// How many weights of each part are pruned, so that it is `count` in all: what is pruned already, `[zeros, weights]`, and of the
/// others as large a part everywhere.
fn quotas(parts: &[[usize; 2]], count: usize) -> Vec<usize> {
    let left: usize = parts.iter().map(|[zeros, all]| all - zeros).sum();
    let more = count.saturating_sub(parts.iter().map(|[zeros, _]| zeros).sum()).min(left);
    let (mut seen, mut taken) = (0, 0);
    let mut quota = |[zeros, all]: &[usize; 2]| {
        seen += all - zeros;
        let until = (more as u128 * seen as u128).checked_div(left as u128).unwrap_or(0) as usize;
        let own = zeros + until - taken;
        taken = until;
        own
    };
    parts.iter().map(&mut quota).collect()
}

impl Group {
    /// Its weights without the biases: place and whether it is pruned already.
    fn weights(&self, fan_in: usize) -> impl Iterator<Item = (usize, bool)> {
        let size = self.target.nrows();
        self.is_zero.iter().copied().enumerate().filter(move |(place, _)| place % size < fan_in)
    }

    /// The weights with so many of them pruned.
    fn pruned(&self, fan_in: usize, count: usize, threads: usize) -> DMatrix<f64> {
        let width = block(fan_in);
        let (size, outputs) = self.target.shape();
        let mut weights = self.target.clone();
        let blocks: Vec<std::ops::Range<usize>> =
            (0..fan_in).step_by(width).map(|first| first..(first + width).min(fan_in)).collect();
        let zeros = |block: &std::ops::Range<usize>| {
            let own = |output: usize| self.is_zero[output * size..][block.clone()].iter().filter(|own| **own).count();
            [(0..outputs).map(own).sum(), outputs * block.len()]
        };
        let counts = quotas(&blocks.iter().map(zeros).collect::<Vec<_>>(), count);
        for (block, count) in blocks.into_iter().zip(counts) {
            let goes = self.lowest(&weights, &block, count);
            let mut errors = DMatrix::zeros(block.len(), outputs);
            for (output, mut weights) in weights.column_iter_mut().enumerate() {
                for column in block.clone() {
                    if goes[output * block.len() + column - block.start] {
                        let error = weights[column] / self.factor[(column, column)];
                        errors[(column - block.start, output)] = error;
                        let made_up = self.factor.column(column);
                        let made_up = made_up.rows(column, block.end - column);
                        weights.rows_mut(column, block.end - column).axpy(-error, &made_up, 1.0);
                        weights[column] = 0.0;
                    }
                }
            }
            let made_up = self.factor.view((block.end, block.start), (size - block.end, block.len()));
            weights.rows_mut(block.end, size - block.end).gemm(-1.0, &made_up, &errors, 1.0);
        }
        self.refit(&mut weights, threads);
        weights
    }

    /// Moves the weights that are left to where all of them together answer best; those that went before others could not see these
    /// go. Each output by itself, by conjugate gradients from where it is.
    fn refit(&self, weights: &mut DMatrix<f64>, threads: usize) {
        let (size, outputs) = weights.shape();
        let of_thread = outputs.div_ceil(threads.max(1)).max(1);
        std::thread::scope(|scope| {
            for (part, weights) in weights.as_mut_slice().chunks_mut(of_thread * size).enumerate() {
                scope.spawn(move || {
                    for (output, own) in weights.chunks_exact_mut(size).enumerate() {
                        let target = self.target.column(part * of_thread + output);
                        fit(&self.moments, target.as_slice(), own);
                    }
                });
            }
        });
    }

    /// Which weights of a block of inputs, `[output][input]`, go: so many, those whose loss costs least, first of all those that are
    /// gone; of equal ones the first.
    fn lowest(&self, weights: &DMatrix<f64>, block: &std::ops::Range<usize>, count: usize) -> Vec<bool> {
        let (size, outputs) = self.target.shape();
        let mut losses = Vec::with_capacity(outputs * block.len());
        for output in 0..outputs {
            losses.extend(block.clone().map(|input| match self.is_zero[output * size + input] {
                true => -1.0,
                false => (weights[(input, output)] / self.factor[(input, input)]).powi(2),
            }));
        }
        let mut order: Vec<usize> = (0..losses.len()).collect();
        let by_loss = |a: &usize, b: &usize| losses[*a].total_cmp(&losses[*b]).then(a.cmp(b));
        if count < order.len() {
            order.select_nth_unstable_by(count, by_loss);
        }
        let mut goes = vec![false; losses.len()];
        order[..count].iter().for_each(|place| goes[*place] = true);
        goes
    }
}

/// Moves the weights that are not 0 towards the smallest `(own - target)' moments (own - target)`.
fn fit(moments: &DMatrix<f64>, target: &[f64], own: &mut [f64]) {
    let left: Vec<usize> = (0..own.len()).filter(|place| own[*place] != 0.0).collect();
    let part = DMatrix::from_fn(left.len(), left.len(), |row, column| moments[(left[row], left[column])]);
    let off: DVector<f64> =
        DVector::from_iterator(own.len(), target.iter().zip(&*own).map(|(target, own)| target - own));
    let mut rest = DVector::from_iterator(left.len(), left.iter().map(|place| moments.column(*place).dot(&off)));
    let scaled = |rest: &DVector<f64>| rest.component_div(&part.diagonal());
    let mut step = scaled(&rest);
    let mut length = rest.dot(&step);
    let enough = FITTED * length;
    for _ in 0..STEPS {
        if length <= enough || length == 0.0 {
            break;
        }
        let moved = &part * &step;
        let by = length / step.dot(&moved);
        left.iter().zip(step.iter()).for_each(|(place, step)| own[*place] += by * step);
        rest.axpy(-by, &moved, 1.0);
        let next = scaled(&rest);
        let longer = rest.dot(&next);
        step = next + step * (longer / length);
        length = longer;
    }
}

/// Inputs whose weights are chosen together: few enough that what others make up for counts in the choice, and enough to choose from.
fn block(fan_in: usize) -> usize {
    (fan_in / 64).clamp(8, 64)
}
