//! The operations of a graph as numbers in a file.

use super::Error;
use super::bits::{Reader, Writer, to_u32};
use secateur_graph::{Activation, BatchNorm, Conv2d, Embedding, LayerNorm, Linear, Node, Op, Pool, PoolKind, Window};

/// Most sides of a shape: a file of a few words could ask for many of them, node after node.
pub(super) const MOST_SIDES: usize = 8;

/// The number of an operation.
pub(super) fn kind(op: &Op) -> u32 {
    match op {
        Op::Conv2d(_) => 0,
        Op::Linear(_) => 1,
        Op::BatchNorm(_) => 2,
        Op::Activation(_) => 3,
        Op::Pool(Pool { kind: PoolKind::Max, .. }) => 4,
        Op::Pool(Pool { kind: PoolKind::Average, .. }) => 5,
        Op::GlobalAveragePool => 6,
        Op::Add => 7,
        Op::Concat => 8,
        Op::Flatten => 9,
        Op::Reshape(_) => 10,
        Op::Crop(_) => 11,
        Op::Mul => 12,
        Op::Permute(_) => 13,
        Op::LayerNorm(_) => 14,
        Op::Softmax(_) => 15,
        Op::Embedding(_) => 16,
    }
}

/// Whether only files of version 5 and later have it.
pub(super) fn is_of_version_5(op: &Op) -> bool {
    let is_late = |own: &Activation| !EARLY.contains(own);
    kind(op) > 11 || matches!(op, Op::Activation(own) if is_late(own))
}

/// The activations that files of version 2 have.
const EARLY: [Activation; 5] =
    [Activation::Relu, Activation::Relu6, Activation::Gelu, Activation::Silu, Activation::HardSwish];

/// Writes what belongs to the operation beside its kind, for a first input of this shape.
pub(super) fn write(node: &Node, input: &[usize], writer: &mut Writer) -> Result<(), Error> {
    let channels = input[0];
    let what = format!("the shape of `{}`", node.name);
    match &node.op {
        Op::Conv2d(Conv2d { outputs, window, groups, bias }) => {
            sizes(&[channels, *outputs, *groups], &what, writer)?;
            write_window(window, &what, writer)?;
            writer.u32(u32::from(*bias));
        }
        Op::Linear(Linear { outputs, bias }) => {
            sizes(&[channels, *outputs], &what, writer)?;
            writer.u32(u32::from(*bias));
        }
        Op::BatchNorm(BatchNorm { epsilon, momentum }) => {
            sizes(&[channels], &what, writer)?;
            writer.f64(*epsilon);
            writer.f64(*momentum);
        }
        Op::Activation(own) => {
            let number = Activation::ALL.iter().position(|other| other == own).expect("all of them are in it");
            writer.u32(number as u32);
        }
        Op::Pool(Pool { window, .. }) => write_window(window, &what, writer)?,
        Op::Reshape(shape) => write_shape(shape, &what, writer)?,
        Op::Crop(sides) => sizes(sides, &what, writer)?,
        Op::Permute(order) => write_shape(order, &what, writer)?,
        Op::LayerNorm(LayerNorm { axes, epsilon }) => {
            sizes(&[along(axes, input)], &what, writer)?;
            write_shape(axes, &what, writer)?;
            writer.f64(*epsilon);
        }
        Op::Softmax(axis) => sizes(&[*axis], &what, writer)?,
        Op::Embedding(own) => sizes(&[own.rows, own.columns], &what, writer)?,
        Op::GlobalAveragePool | Op::Add | Op::Mul | Op::Concat | Op::Flatten => {}
    }
    Ok(())
}

/// Reads the operation of this kind that [`write`] wrote, of a node that is called `name` and whose first input has this shape.
pub(super) fn read(kind: u32, name: &str, input: &[usize], reader: &mut Reader<'_>) -> Result<Op, Error> {
    let channels = input[0];
    let what = format!("the shape of `{name}`");
    let bias = |reader: &mut Reader<'_>| {
        let what = format!("the bias of `{name}`");
        match reader.u32(&what)? {
            own @ 0..=1 => Ok(own == 1),
            found => Err(reader.field(&what, found, "0 (none) or 1")),
        }
    };
    if kind <= 2 {
        // Said so that a reader knows the size of the weights without the shapes of all values.
        let what = format!("the number of channels that `{name}` reads");
        let found = reader.usize(&what)?;
        if found != channels {
            return Err(reader.field(&what, found, channels));
        }
    }
    Ok(match kind {
        0 => {
            let [outputs, groups] = [reader.usize(&what)?, reader.usize(&what)?];
            let window = read_window(&what, reader)?;
            Op::Conv2d(Conv2d { outputs, window, groups, bias: bias(reader)? })
        }
        1 => Op::Linear(Linear { outputs: reader.usize(&what)?, bias: bias(reader)? }),
        2 => {
            let epsilon = reader.f64(&format!("the epsilon of `{name}`"))?;
            let momentum = reader.f64(&format!("the momentum of `{name}`"))?;
            Op::BatchNorm(BatchNorm { epsilon, momentum })
        }
        3 => {
            let what = format!("the activation of `{name}`");
            let found = reader.u32(&what)?;
            Op::Activation(*Activation::ALL.get(found as usize).ok_or_else(|| {
                let words =
                    Activation::ALL.iter().enumerate().map(|(number, own)| format!("{number} ({})", own.word()));
                reader.field(&what, found, words.collect::<Vec<_>>().join(", "))
            })?)
        }
        4 => Op::Pool(Pool { kind: PoolKind::Max, window: read_window(&what, reader)? }),
        5 => Op::Pool(Pool { kind: PoolKind::Average, window: read_window(&what, reader)? }),
        6 => Op::GlobalAveragePool,
        7 => Op::Add,
        8 => Op::Concat,
        9 => Op::Flatten,
        10 => Op::Reshape(read_shape(&what, reader)?),
        11 => Op::Crop([reader.usize(&what)?, reader.usize(&what)?]),
        12 => Op::Mul,
        13 => Op::Permute(read_shape(&what, reader)?),
        14 => {
            let place = format!("the numbers that `{name}` scales");
            let count = reader.usize(&place)?;
            let axes = read_shape(&what, reader)?;
            if count != along(&axes, input) {
                return Err(reader.field(&place, count, along(&axes, input)));
            }
            Op::LayerNorm(LayerNorm { axes, epsilon: reader.f64(&format!("the epsilon of `{name}`"))? })
        }
        15 => Op::Softmax(reader.usize(&what)?),
        16 => Op::Embedding(Embedding { rows: reader.usize(&what)?, columns: reader.usize(&what)? }),
        _ => return Err(reader.field(&format!("the kind of `{name}`"), kind, "0 to 16")),
    })
}

/// How many places there are along some sides; 0 where there is no such side.
fn along(axes: &[usize], shape: &[usize]) -> usize {
    axes.iter().map(|axis| shape.get(*axis).copied().unwrap_or(0)).fold(1, usize::saturating_mul)
}

/// Writes the number of sides, and the sides.
pub(super) fn write_shape(shape: &[usize], what: &str, writer: &mut Writer) -> Result<(), Error> {
    if shape.len() > MOST_SIDES {
        let wanted = format!("at most {MOST_SIDES} sides");
        let found = format!("{} sides", shape.len());
        return Err(Error::Field { place: writer.bytes.len(), what: what.to_owned(), found, wanted });
    }
    writer.u32(shape.len() as u32);
    sizes(shape, what, writer)
}

/// Reads what [`write_shape`] wrote.
pub(super) fn read_shape(what: &str, reader: &mut Reader<'_>) -> Result<Vec<usize>, Error> {
    let count = reader.usize(what)?;
    if !(1..=MOST_SIDES).contains(&count) {
        return Err(reader.field(what, format!("{count} sides"), format!("1 to {MOST_SIDES} sides")));
    }
    (0..count).map(|_| reader.usize(what)).collect()
}

fn sizes(sizes: &[usize], what: &str, writer: &mut Writer) -> Result<(), Error> {
    for size in sizes {
        let size = to_u32(*size, what)?;
        writer.u32(size);
    }
    Ok(())
}

fn write_window(window: &Window, what: &str, writer: &mut Writer) -> Result<(), Error> {
    [window.size, window.stride, window.padding, window.dilation].iter().try_for_each(|own| sizes(own, what, writer))
}

fn read_window(what: &str, reader: &mut Reader<'_>) -> Result<Window, Error> {
    let mut pair = || Ok::<_, Error>([reader.usize(what)?, reader.usize(what)?]);
    Ok(Window { size: pair()?, stride: pair()?, padding: pair()?, dilation: pair()? })
}
