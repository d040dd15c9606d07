//! Products of two values, layer normalisation, softmax and embeddings in training.

use super::copy::reordered;
use super::layout::Layout;
use super::pieces::lanes_of;
use super::plan::Slot;
use super::pointwise::{Read, Write};
use super::stored::Stored;
use crate::kernels::along::{Gradient, Norm, normalise, normalise_backward, softmax, softmax_backward};
use crate::kernels::pointwise::{Factor, PlaneMut, multiply, multiply_and_sum};
use crate::kernels::update::Rule;
use crate::lanes::{LANES, Lanes};
use crate::simd::{Kernel, Vector, dispatch};
use crate::train::Context;
use secateur_graph::{Embedding, Graph, LayerNorm, Op, Role};

/// Floats that the gradients of all groups of blocks may take.
const PARTIAL: usize = 1 << 20;

/// An operation with its parameters.
#[derive(Debug)]
pub(super) enum Other {
    /// With a factor for each number, or one for each channel.
    Product {
        is_by_channel: bool,
    },
    Norm {
        sets: Sets,
        epsilon: f32,
        scale: Stored,
        shift: Stored,
    },
    Softmax(Sets),
    Rows {
        table: Embedding,
        values: Stored,
        /// Where each number stands, and in the output and its gradient each number of its row.
        numbers: Vec<u32>,
        rows: Vec<[u32; 2]>,
    },
}

/// Sets of so many numbers that are computed together.
#[derive(Debug)]
pub(super) struct Sets {
    /// Where each stands in the input and in the output.
    places: Vec<[u32; 2]>,
    /// The same of their gradients.
    gradients: Vec<[u32; 2]>,
    length: usize,
}

impl Sets {
    /// Those along some sides of a value of this shape.
    fn new(shape: &[usize], axes: &[usize], [x, y]: [&Slot; 2]) -> Self {
        // The other sides first, then those along which the numbers of a set stand.
        let mut order: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
        order.extend(axes);
        let of = |[x, y]: [&Layout; 2]| -> Vec<[u32; 2]> {
            let indices = (0..shape.iter().product()).map(|index| reordered(shape, &order, index));
            indices.map(|index| [x.place(index) as u32, y.place(index) as u32]).collect()
        };
        Self {
            places: of([&x.values, &y.values]),
            gradients: of([&x.gradient, &y.gradient]),
            length: axes.iter().map(|axis| shape[*axis]).product(),
        }
    }

    /// The places of each set, and those of its gradients.
    fn each(&self) -> impl Iterator<Item = [&[[u32; 2]]; 2]> {
        let gradients = self.gradients.chunks_exact(self.length);
        self.places.chunks_exact(self.length).zip(gradients).map(|(own, gradients)| [own, gradients])
    }
}

impl Other {
    /// The operation of a node; `inputs` and `output` are the slots of its values, and `stored` gives its parameters.
    pub(super) fn new(
        graph: &Graph,
        node: usize,
        inputs: &[&Slot],
        output: &Slot,
        stored: impl Fn(Role) -> Stored,
    ) -> Self {
        let node = &graph.nodes()[node];
        let shape = graph.shape(node.inputs[0]);
        match &node.op {
            Op::Mul => {
                let [x, other] = [inputs[0].values, inputs[1].values];
                Self::Product { is_by_channel: other.pixels() == 1 && x.pixels() > 1 }
            }
            Op::LayerNorm(LayerNorm { axes, epsilon }) => Self::Norm {
                sets: Sets::new(shape, axes, [inputs[0], output]),
                epsilon: *epsilon as f32,
                scale: stored(Role::Scale),
                shift: stored(Role::Shift),
            },
            Op::Softmax(axis) => Self::Softmax(Sets::new(shape, &[*axis], [inputs[0], output])),
            Op::Embedding(table) => Self::Rows {
                table: *table,
                values: stored(Role::Table),
                numbers: (0..shape[0]).map(|number| inputs[0].values.place(number) as u32).collect(),
                rows: (0..shape[0] * table.columns)
                    .map(|index| [output.values.place(index) as u32, output.gradient.place(index) as u32])
                    .collect(),
            },
            other => unreachable!("`{other}` is a pass of another kind"),
        }
    }

    /// Its parameter of this role.
    pub(super) fn parameter(&self, role: Role) -> Option<&Stored> {
        match (self, role) {
            (Self::Norm { scale, .. }, Role::Scale) => Some(scale),
            (Self::Norm { shift, .. }, Role::Shift) => Some(shift),
            (Self::Rows { values, .. }, Role::Table) => Some(values),
            _ => None,
        }
    }

    /// All of its parameters.
    pub(super) fn parameters(&mut self) -> [Option<&mut Stored>; 2] {
        match self {
            Self::Norm { scale, shift, .. } => [Some(scale), Some(shift)],
            Self::Rows { values, .. } => [Some(values), None],
            Self::Product { .. } | Self::Softmax(_) => [None, None],
        }
    }

    /// Scale and shift of a normalisation, as kernels read them.
    fn norm(&self) -> [Vec<f32>; 2] {
        let mut found = [vec![], vec![]];
        if let Self::Norm { scale, shift, .. } = self {
            scale.copy_to(&mut found[0]);
            shift.copy_to(&mut found[1]);
        }
        found
    }

    /// Writes the output of a batch of so many images.
    pub(super) fn forward(&self, at: &Context<'_>, images: usize, x: Read<'_>, other: Option<Read<'_>>, y: Write<'_>) {
        let norm = self.norm();
        let norm = norm.each_ref().map(Vec::as_slice);
        let layout = y.layout;
        let mut items: Vec<_> = y.values.chunks_exact_mut(layout.block()).enumerate().collect();
        at.pool.each(&mut items, |(block, y)| {
            let lanes = lanes_of(*block, images);
            dispatch(at.set, Forward { own: self, norm, x, other, layout, block: *block, lanes, y });
        });
    }

    /// Writes the gradient of the first factor of a product, or of the second one, or adds to it; `other` is the other factor.
    pub(super) fn multiply_back(&self, at: &Context<'_>, which: usize, [dy, other]: [Read<'_>; 2], dx: Write<'_>) {
        let Self::Product { is_by_channel } = self else { unreachable!("it is no product") };
        let (layout, adds) = (dx.layout, dx.adds);
        let mut items: Vec<_> = dx.values.chunks_exact_mut(layout.block()).enumerate().collect();
        at.pool.each(&mut items, |(block, dx)| {
            let kind = (*is_by_channel, which);
            dispatch(at.set, MultiplyBack { kind, dy, other, layout, adds, block: *block, dx });
        });
    }

    /// Writes the gradient of the input, or adds to it, where it is wanted, and moves the parameters along theirs.
    pub(super) fn backward(
        &mut self,
        at: &Context<'_>,
        rule: &Rule,
        images: usize,
        [x, y, dy]: [Read<'_>; 3],
        dx: Option<Write<'_>>,
    ) {
        let norm = self.norm();
        let norm = norm.each_ref().map(Vec::as_slice);
        let lengths = self.parameters().map(|own| own.map_or(0, |own| own.padded()));
        let each: usize = lengths.iter().sum();
        let blocks = dy.values.len() / dy.layout.block();
        let groups = (PARTIAL / each.max(1)).clamp(1, blocks);
        let own = blocks.div_ceil(groups);
        let mut sums = vec![vec![0.0; each]; blocks.div_ceil(own)];
        let (adds, block) = dx.as_ref().map_or((false, 1), |own| (own.adds, own.layout.block()));
        let mut pieces = match dx {
            Some(dx) => dx.values.chunks_mut(own * block).map(Some).collect(),
            None => vec![],
        }
        .into_iter();
        let mut items: Vec<_> =
            sums.iter_mut().enumerate().map(|(group, sums)| (group * own, sums, pieces.next().flatten())).collect();
        let this = &*self;
        at.pool.each(&mut items, |(first, sums, dx)| {
            for place in 0..own.min(blocks - *first) {
                let lanes = lanes_of(*first + place, images);
                let values = dx.as_mut().map(|own| &mut own[place * block..(place + 1) * block]);
                let dx = values.map(|values| Gradient { values, adds, lanes });
                dispatch(
                    at.set,
                    Backward { own: this, norm, reads: [x, y, dy], block: *first + place, lanes, sums, dx },
                );
            }
        });
        drop(items);
        for (which, length) in lengths.into_iter().enumerate() {
            let start = if which == 0 { 0 } else { each - length };
            let parts: Vec<f32> = sums.iter().flat_map(|own| &own[start..start + length]).copied().collect();
            if let Some(stored) = self.parameters()[which].take() {
                stored.update(at, rule, &parts);
            }
        }
    }
}

/// The values of a block.
fn block<'a>(of: &Read<'a>, block: usize) -> &'a [Lanes] {
    let each = of.layout.block();
    &of.values[block * each..(block + 1) * each]
}

struct Forward<'a> {
    own: &'a Other,
    /// Scale and shift of a normalisation.
    norm: [&'a [f32]; 2],
    x: Read<'a>,
    other: Option<Read<'a>>,
    layout: Layout,
    block: usize,
    lanes: u16,
    y: &'a mut [Lanes],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { own, norm: [scale, shift], x, other, layout, block: number, lanes, y } = self;
        match own {
            Other::Product { is_by_channel } => {
                let other = other.expect("a product has two factors");
                for (channel, y) in y.chunks_exact_mut(layout.plane()).enumerate() {
                    let (x, other) = (x.plane(number, channel), other.plane(number, channel));
                    let factor = match is_by_channel {
                        false => Factor::Pixels(other),
                        true => Factor::Channel(V::load(&other.values[other.grid.start])),
                    };
                    multiply(x, factor, PlaneMut { grid: layout.grid(), values: y, adds: false });
                }
            }
            Other::Norm { sets, epsilon, .. } => {
                let norm = Norm { epsilon: *epsilon, scale, shift };
                for [places, _] in sets.each() {
                    normalise::<V>(norm, places, block(&x, number), y);
                    // Without an epsilon nothing divided by nothing is NaN.
                    for [_, to] in places.iter().filter(|_| lanes != u16::MAX) {
                        V::load(&y[*to as usize]).keep(lanes).store(&mut y[*to as usize]);
                    }
                }
            }
            Other::Softmax(sets) => {
                for [places, _] in sets.each() {
                    softmax::<V>(places, block(&x, number), y);
                }
            }
            Other::Rows { table, values, numbers, rows } => {
                let x = block(&x, number);
                for (number, rows) in numbers.iter().zip(rows.chunks_exact(table.columns)) {
                    for (lane, number) in x[*number as usize].0.iter().enumerate() {
                        let row = table.row(*number);
                        for (column, [to, _]) in rows.iter().enumerate() {
                            let value = row.map_or(f32::NAN, |row| values.value(row * table.columns + column));
                            y[*to as usize].0[lane] = value;
                        }
                    }
                }
            }
        }
    }
}

struct MultiplyBack<'a> {
    /// Whether there is a factor for each channel, and whose gradient it is.
    kind: (bool, usize),
    dy: Read<'a>,
    other: Read<'a>,
    layout: Layout,
    adds: bool,
    block: usize,
    dx: &'a mut [Lanes],
}

impl Kernel for MultiplyBack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { kind, dy, other, layout, adds, block, dx } = self;
        for (channel, dx) in dx.chunks_exact_mut(layout.plane()).enumerate() {
            let (dy, other) = (dy.plane(block, channel), other.plane(block, channel));
            let dx = PlaneMut { grid: layout.grid(), values: dx, adds };
            match kind {
                (true, 1) => multiply_and_sum::<V>(dy, other, dx),
                (true, _) => multiply(dy, Factor::Channel(V::load(&other.values[other.grid.start])), dx),
                (false, _) => multiply::<V>(dy, Factor::Pixels(other), dx),
            }
        }
    }
}

struct Backward<'a, 'b> {
    own: &'a Other,
    /// Scale and shift of a normalisation.
    norm: [&'a [f32]; 2],
    /// Input, output, and the output's gradient.
    reads: [Read<'a>; 3],
    block: usize,
    lanes: u16,
    /// Gradients of the parameters, which are added to.
    sums: &'a mut [f32],
    dx: Option<Gradient<'b>>,
}

impl Kernel for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { own, norm: [scale, shift], reads, block: number, lanes, sums, mut dx } = self;
        let [x, y, dy] = [block(&reads[0], number), block(&reads[1], number), block(&reads[2], number)];
        match own {
            Other::Product { .. } => unreachable!("it has a way back of its own"),
            Other::Norm { sets, epsilon, scale: stored, .. } => {
                let norm = Norm { epsilon: *epsilon, scale, shift };
                let mut found = vec![Lanes::ZERO; 2 * sets.length];
                let (scales, shifts) = found.split_at_mut(sets.length);
                for places in sets.each() {
                    normalise_backward::<V>(norm, places, [x, dy], dx.as_mut(), lanes, [&mut *scales, &mut *shifts]);
                }
                let (scale_sums, shift_sums) = sums.split_at_mut(stored.padded());
                for place in 0..sets.length {
                    scale_sums[place] += V::load(&scales[place]).sum();
                    shift_sums[place] += V::load(&shifts[place]).sum();
                }
            }
            Other::Softmax(sets) => {
                if let Some(dx) = &mut dx {
                    for places in sets.each() {
                        softmax_backward::<V>(places, [y, dy], dx);
                    }
                }
            }
            Other::Rows { table, numbers, rows, .. } => {
                for (number, rows) in numbers.iter().zip(rows.chunks_exact(table.columns)) {
                    for lane in (0..LANES).filter(|lane| lanes >> lane & 1 == 1) {
                        let Some(row) = table.row(x[*number as usize].0[lane]) else { continue };
                        let sums = &mut sums[row * table.columns..(row + 1) * table.columns];
                        for (sum, [_, from]) in sums.iter_mut().zip(rows) {
                            *sum += dy[*from as usize].0[lane];
                        }
                    }
                }
                // What is chosen does not follow the number that chooses it.
                if let Some(dx) = dx.filter(|own| !own.adds) {
                    dx.values.fill(Lanes::ZERO);
                }
            }
        }
    }
}
