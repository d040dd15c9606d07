//! The arithmetic of shapes, and what only changes the shape of a value.

use super::Error;
use super::attributes::Read;
use super::rows::Indices;
use super::tensor::{Constant, Numbers};
use super::walk::{Known, Walk};
use secateur_graph::{Op, Value};
use std::rc::Rc;

/// Sides, of which `None` is the batch.
type Sides = Vec<Option<i64>>;

impl Known {
    /// Sides of a value: a list of whole numbers or a single one.
    pub(super) fn sides(&self) -> Option<(Sides, bool)> {
        match self {
            Self::Sizes(own, is_single) => Some((own.clone(), *is_single)),
            Self::Constant(own) => match &own.values {
                Numbers::Integers(values) if own.shape.len() < 2 => {
                    Some((values.iter().copied().map(Some).collect(), own.shape.is_empty()))
                }
                Numbers::Integers(_) | Numbers::Floats(_) => None,
            },
            _ => None,
        }
    }

    /// The same, as a constant where the batch is not among them.
    pub(super) fn of_sides(sides: Sides, is_single: bool) -> Self {
        match sides.iter().copied().collect::<Option<Vec<i64>>>() {
            Some(values) => {
                let own = Constant::integers(values);
                Self::constant(if is_single { Constant { shape: vec![], ..own } } else { own })
            }
            None => Self::Sizes(sides, is_single),
        }
    }

    pub(super) fn constant(own: Constant) -> Self {
        Self::Constant(Rc::new(own))
    }
}

/// Axes that a value may have, and sides that a list of them may.
const MOST_AXES: usize = 16;

/// More images than are computed at once: a slice of so many takes all, as exporters write it.
const MOST_IMAGES: i64 = 1 << 24;

/// Numbers that a model may ask for by their count alone.
const MOST_ALIKE: usize = 1 << 16;

/// An axis of so many, counted from the end where it is negative.
fn axis(node: Read<'_>, own: i64, rank: usize) -> Result<usize, Error> {
    let from_start = if own < 0 { own.saturating_add(rank as i64) } else { own };
    let found = usize::try_from(from_start).ok().filter(|own| *own < rank);
    found.ok_or_else(|| node.refuse(format!("expected an axis of {rank}, found {own}")))
}

/// The side of a value of so many that an axis is, which is counted with the batch.
pub(super) fn side(node: Read<'_>, own: i64, sides: usize) -> Result<usize, Error> {
    let found = axis(node, own, sides + 1)?;
    found.checked_sub(1).ok_or_else(|| node.refuse(format!("expected an axis behind the batch, found {own}")))
}

/// The first index of a slice, its step and how many there are; `None` where the step is 0.
fn range(side: usize, start: i64, end: i64, step: i64) -> Option<(usize, i64, usize)> {
    let side = side as i64;
    let from_start = |own: i64| if own < 0 { own.saturating_add(side) } else { own };
    // Backwards the last index is the first one, and the end may lie before the first.
    let (low, high) = if step > 0 { (0, side) } else { (-1, side - 1) };
    let (start, end) = (from_start(start).clamp(low, high), from_start(end).clamp(low, high));
    let count = if step > 0 { end - start } else { start - end };
    let by = i64::try_from(step.unsigned_abs()).ok().filter(|own| *own > 0)?;
    let count = if count > 0 { (count - 1) / by + 1 } else { 0 };
    Some(if count == 0 { (0, 1, 0) } else { (start as usize, step, count as usize) })
}

impl<'a> Walk<'a> {
    pub(super) fn constant_of_shape(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let sides = self.list(node, 0, "")?.unwrap_or_default();
        let shape: Option<Vec<usize>> = sides.iter().map(|own| usize::try_from(*own).ok()).collect();
        let shape =
            shape.filter(|own| own.len() <= MOST_AXES).ok_or_else(|| node.refuse("expected the sides of a value"))?;
        let count = shape.iter().try_fold(1usize, |all, own| all.checked_mul(*own)).filter(|own| *own <= MOST_ALIKE);
        let count =
            count.ok_or_else(|| node.refuse(format!("expected at most {MOST_ALIKE} numbers, found {shape:?}")))?;
        let own = node.tensor("value").map(Constant::read).transpose().map_err(|why| node.refuse(why))?;
        let values = match own.map(|own| own.values) {
            None => Numbers::Floats(vec![0.0; count]),
            Some(Numbers::Floats(own)) if own.len() == 1 => Numbers::Floats(vec![own[0]; count]),
            Some(Numbers::Integers(own)) if own.len() == 1 => Numbers::Integers(vec![own[0]; count]),
            Some(_) => return Err(node.refuse("expected one number as `value`")),
        };
        Ok(Known::constant(Constant { shape, values }))
    }

    pub(super) fn shape_of(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let all: Sides = match self.known(node, 0)? {
            Known::Constant(own) => own.shape.iter().map(|side| Some(*side as i64)).collect(),
            Known::Sizes(own, is_single) => {
                if is_single {
                    vec![]
                } else {
                    vec![Some(own.len() as i64)]
                }
            }
            own => {
                let shape = match own {
                    Known::Formula(own) => own.shape.clone(),
                    Known::Indices(own) => own.shape,
                    Known::Rows(own) => own.shape(),
                    _ => {
                        let value = self.value(node, 0)?;
                        self.shape(value)
                    }
                };
                std::iter::once(None).chain(shape.into_iter().map(|side| Some(side as i64))).collect()
            }
        };
        let rank = all.len() as i64;
        let bound = |name: &str, otherwise: i64| {
            let own = node.int(name, otherwise);
            (if own < 0 { own.saturating_add(rank) } else { own }).clamp(0, rank) as usize
        };
        let (start, end) = (bound("start", 0), bound("end", rank));
        Ok(Known::of_sides(all.get(start..end).unwrap_or(&[]).to_vec(), false))
    }

    pub(super) fn gather(&mut self, node: Read<'a>) -> Result<Known, Error> {
        if let (Known::Constant(table), Known::Indices(numbers)) = (self.known(node, 0)?, self.known(node, 1)?) {
            return self.chosen(node, &numbers, &table);
        }
        let places = self.constant(node, 1)?;
        let (Some((sides, false)), Numbers::Integers(indices), 0 | 1, 0) =
            (self.known(node, 0)?.sides(), &places.values, places.shape.len(), node.int("axis", 0))
        else {
            return Err(node.refuse("supported for the sides of a value only"));
        };
        let place = |own: &i64| Ok(sides[axis(node, *own, sides.len())?]);
        let own = indices.iter().map(place).collect::<Result<Sides, Error>>()?;
        Ok(Known::of_sides(own, places.shape.is_empty()))
    }

    pub(super) fn slice(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let list = |walk: &Self, place: usize| walk.list(node, place, "");
        let (starts, ends) = (list(self, 1)?.unwrap_or_default(), list(self, 2)?.unwrap_or_default());
        let axes = list(self, 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = list(self, 4)?.unwrap_or_else(|| vec![1; starts.len()]);
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || starts.len() > MOST_AXES {
            return Err(node.refuse("expected a start and an end each, an axis and a step where they are given"));
        }
        let ranges = |shape: &[usize]| -> Result<Vec<(usize, i64, usize)>, Error> {
            let mut found: Vec<_> = shape.iter().map(|side| (0, 1, *side)).collect();
            for (((start, end), own), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
                let own = axis(node, *own, shape.len())?;
                found[own] = range(shape[own], *start, *end, *step).ok_or_else(|| node.refuse("expected a step"))?;
            }
            Ok(found)
        };
        match self.known(node, 0)? {
            Known::Constant(own) => return Ok(Known::constant(own.sliced(&ranges(&own.shape)?))),
            Known::Sizes(own, false) => {
                let (first, step, count) = ranges(&[own.len()])?[0];
                let places = (0..count).map(|place| (first as i64 + place as i64 * step) as usize);
                return Ok(Known::of_sides(places.map(|place| own[place]).collect(), false));
            }
            _ if steps.iter().any(|own| *own != 1) => return Err(node.refuse("expected steps of 1")),
            _ => {}
        }
        let value = self.value(node, 0)?;
        let shape = self.shape(value);
        let &[_, height, width] = &shape[..] else {
            return Err(node.refuse(format!("expected [channels, rows, columns], found {shape:?}")));
        };
        let mut crop = [height, width];
        for ((start, end), own) in starts.iter().zip(&ends).zip(&axes) {
            let own = axis(node, *own, shape.len() + 1)?;
            let side = if own == 0 { None } else { Some(shape[own - 1] as i64) };
            let until = side.map(|side| (if *end < 0 { end.saturating_add(side) } else { *end }).clamp(0, side));
            match (own, until, side) {
                (2 | 3, Some(until), _) if *start == 0 => crop[own - 2] = until as usize,
                (_, Some(until), Some(side)) if *start == 0 && until == side => {}
                (0, ..) if *start == 0 && *end >= MOST_IMAGES => {}
                _ => return Err(node.refuse("expected the first rows and columns of each channel")),
            }
        }
        if crop == [height, width] {
            return Ok(Known::Value(value));
        }
        self.add(node.short_name(), Op::Crop(crop), &[value], vec![]).map(Known::Value)
    }

    pub(super) fn concat(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let all = (0..node.0.input.len()).map(|place| self.known(node, place)).collect::<Result<Vec<_>, _>>()?;
        let sides: Option<Vec<Sides>> = all.iter().map(|own| own.sides().map(|own| own.0)).collect();
        if let Some(sides) = sides {
            let sides = sides.concat();
            return match sides.len() {
                0..=MOST_AXES => Ok(Known::of_sides(sides, false)),
                found => Err(node.refuse(format!("expected at most {MOST_AXES} sides, found {found}"))),
            };
        }
        let values = (0..all.len()).map(|place| self.value(node, place)).collect::<Result<Vec<Value>, _>>()?;
        let rank = self.shape(values[0]).len() + 1;
        if axis(node, node.int("axis", 0), rank)? != 1 {
            return Err(node.refuse("expected values one behind the other along the channels (axis 1)"));
        }
        match values[..] {
            [only] => Ok(Known::Value(only)),
            _ => self.add(node.short_name(), Op::Concat, &values, vec![]).map(Known::Value),
        }
    }

    pub(super) fn reshape(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let axes = match node.operator() {
            "Squeeze" | "Unsqueeze" => self.list(node, 1, "axes")?,
            _ => None,
        };
        if axes.as_ref().is_some_and(|own| own.len() > MOST_AXES) {
            return Err(node.refuse(format!("expected at most {MOST_AXES} axes")));
        }
        match self.known(node, 0)? {
            Known::Constant(own) => return self.constant_reshaped(node, &own, axes),
            Known::Sizes(own, is_single) => {
                return match (node.operator(), is_single, own.len()) {
                    ("Unsqueeze", true, _) => Ok(Known::of_sides(own, false)),
                    ("Squeeze", false, 1) => Ok(Known::of_sides(own, true)),
                    ("Reshape", _, _) => Ok(Known::of_sides(own, false)),
                    _ => Err(node.refuse("expected a list of sides, or a single one")),
                };
            }
            Known::Indices(own) => {
                let shape = self.expected(node, &own.shape, &axes)?;
                return Ok(Known::Indices(Indices { shape, ..own }));
            }
            Known::Formula(own) if own.shape.iter().product::<usize>() < self.shape(own.of).iter().product() => {
                let shape = self.expected(node, &own.shape, &axes)?;
                let long =
                    |shape: &[usize]| -> Vec<usize> { shape.iter().copied().filter(|side| *side != 1).collect() };
                if long(&shape) == long(&own.shape) {
                    let mut own = (*own).clone();
                    own.shape = shape;
                    return Ok(Known::formula(own));
                }
            }
            _ => {}
        }
        let value = self.value(node, 0)?;
        let shape = self.shape(value);
        let expected = self.expected(node, &shape, &axes)?;
        if expected.iter().try_fold(1usize, |all, own| all.checked_mul(*own)) != Some(shape.iter().product()) {
            return Err(node.refuse(format!("expected as many values as {shape:?} has, found the shape {expected:?}")));
        }
        self.shaped(node.short_name(), value, expected).map(Known::Value)
    }

    /// The shape that a node asks for, of what has this one.
    fn expected(&self, node: Read<'a>, shape: &[usize], axes: &Option<Vec<i64>>) -> Result<Vec<usize>, Error> {
        let axes = axes.as_deref().unwrap_or_default();
        Ok(match node.operator() {
            "Flatten" if [1, -(shape.len() as i64)].contains(&node.int("axis", 1)) => vec![shape.iter().product()],
            "Reshape" => self.target(node, shape)?,
            "Squeeze" => {
                let mut dropped = vec![];
                for own in axes {
                    dropped.push(axis(node, *own, shape.len() + 1)?);
                }
                if dropped.contains(&0) {
                    return Err(node.refuse("expected axes behind the batch"));
                }
                let is_kept = |(place, side): &(usize, &usize)| match dropped.is_empty() {
                    true => **side != 1,
                    false => !dropped.contains(&(place + 1)),
                };
                shape.iter().enumerate().filter(is_kept).map(|(_, side)| *side).collect()
            }
            "Unsqueeze" => {
                let mut own = shape.to_vec();
                let rank = shape.len() + 1 + axes.len();
                let mut places = axes.iter().map(|own| axis(node, *own, rank)).collect::<Result<Vec<_>, _>>()?;
                places.sort_unstable();
                for place in places {
                    if place == 0 || place > own.len() + 1 {
                        return Err(node.refuse("expected axes behind the batch, each once"));
                    }
                    own.insert(place - 1, 1);
                }
                own
            }
            _ => return Err(node.refuse("expected the values of each image (axis 1)")),
        })
    }

    /// A value in another shape, as the model has it, of as many numbers.
    pub(super) fn shaped(&mut self, name: &str, value: Value, expected: Vec<usize>) -> Result<Value, Error> {
        if expected == self.shape(value) && (expected.len() != 2 || self.is_line(value)) {
            return Ok(value);
        }
        // What is reshaped again is reshaped once.
        let mut value = value;
        while let Some(node) = self.builder.node(value).filter(|node| matches!(node.op, Op::Flatten | Op::Reshape(_))) {
            value = node.inputs[0];
        }
        let is_line = expected.len() == 2;
        let wanted = if let [channels, length] = expected[..] { vec![channels, 1, length] } else { expected };
        if *self.builder.shape(value) == wanted && is_line == self.is_line(value) {
            return Ok(value);
        }
        let op = if wanted.len() == 1 { Op::Flatten } else { Op::Reshape(wanted) };
        let value = self.add(name, op, &[value], vec![])?;
        if is_line {
            self.mark_line(value);
        }
        Ok(value)
    }

    /// A value spread over a shape that it has already, but for a batch that is not known.
    pub(super) fn expand(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let own = self.known(node, 0)?;
        let shape = match &own {
            Known::Formula(own) => own.shape.clone(),
            Known::Indices(own) => own.shape.clone(),
            Known::Rows(own) => own.shape(),
            _ => {
                let value = self.value(node, 0)?;
                self.shape(value)
            }
        };
        let Some((sides, false)) = self.known(node, 1)?.sides() else {
            return Err(node.refuse("expected a shape that is a list of whole numbers"));
        };
        let expected = sides.iter().skip(1).map(|side| side.and_then(|own| usize::try_from(own).ok()));
        let is_same = sides.len() == shape.len() + 1
            && expected.zip(&shape).all(|(expected, side)| expected == Some(*side) || expected == Some(1));
        match is_same {
            true => Ok(own),
            false => Err(node.refuse(format!("expected the sides that a value has, {shape:?}, found {sides:?}"))),
        }
    }

    /// The shape for one image that a reshape asks for.
    fn target(&self, node: Read<'a>, shape: &[usize]) -> Result<Vec<usize>, Error> {
        let Some((sides, false)) = self.known(node, 1)?.sides() else {
            return Err(node.refuse("expected a shape that is a list of whole numbers"));
        };
        let refuse =
            || node.refuse(format!("expected a shape that leaves the batch first, found {sides:?} of {shape:?}"));
        let [batch, rest @ ..] = &sides[..] else { return Err(refuse()) };
        let count: usize = shape.iter().product();
        let is_batch = match batch {
            None | Some(-1) => true,
            Some(0) => node.int("allowzero", 0) == 0,
            Some(own) => self.batch.is_some_and(|batch| usize::try_from(*own) == Ok(batch)),
        };
        let mut expected = vec![];
        for (place, side) in rest.iter().enumerate() {
            expected.push(match side {
                Some(-1) => None,
                Some(0) if node.int("allowzero", 0) == 0 => Some(*shape.get(place).ok_or_else(refuse)?),
                Some(own) => Some(usize::try_from(*own).map_err(|_| refuse())?),
                None => return Err(refuse()),
            });
        }
        let known = expected.iter().flatten().try_fold(1usize, |all, own| all.checked_mul(*own)).unwrap_or(0);
        let open = expected.iter().filter(|own| own.is_none()).count();
        if !is_batch || known == 0 || !count.is_multiple_of(known) || open + usize::from(*batch == Some(-1)) > 1 {
            return Err(refuse());
        }
        Ok(expected.into_iter().map(|own| own.unwrap_or(count / known)).collect())
    }

    /// The same numbers in another shape.
    fn constant_reshaped(&self, node: Read<'a>, own: &Constant, axes: Option<Vec<i64>>) -> Result<Known, Error> {
        let refuse = || node.refuse(format!("expected another shape of {:?}", own.shape));
        let count: usize = own.shape.iter().product();
        let shape = match node.operator() {
            "Unsqueeze" => {
                let mut shape = own.shape.clone();
                for place in axes.unwrap_or_default() {
                    let place = axis(node, place, shape.len() + 1)?;
                    shape.insert(place, 1);
                }
                shape
            }
            "Squeeze" => own.shape.iter().copied().filter(|side| *side != 1).collect(),
            "Reshape" => {
                let expected = self.list(node, 1, "")?.unwrap_or_default();
                let known: i64 = expected
                    .iter()
                    .filter(|own| **own > 0)
                    .try_fold(1i64, |all, own| all.checked_mul(*own))
                    .ok_or_else(refuse)?;
                let side = |own: &i64| match *own {
                    -1 => Ok(count / usize::try_from(known).unwrap_or(1)),
                    own => usize::try_from(own).map_err(|_| refuse()),
                };
                expected.iter().map(side).collect::<Result<Vec<_>, _>>()?
            }
            _ => return Err(refuse()),
        };
        if shape.iter().try_fold(1usize, |all, own| all.checked_mul(*own)) != Some(count) {
            return Err(refuse());
        }
        Ok(Known::constant(Constant { shape, values: own.values.clone() }))
    }

    pub(super) fn transpose(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let order = |rank: usize| match node.ints("perm") {
            Some(own) => own.iter().map(|own| axis(node, *own, rank)).collect::<Result<Vec<usize>, _>>(),
            None => Ok((0..rank).rev().collect()),
        };
        let refuse = || node.refuse("expected an order of all axes, each once");
        if let Known::Constant(own) = self.known(node, 0)? {
            return own.transposed(&order(own.shape.len())?).map(Known::constant).ok_or_else(refuse);
        }
        let value = self.value(node, 0)?;
        let shape = self.shape(value);
        let order = order(shape.len() + 1)?;
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..=shape.len()) {
            return Err(refuse());
        }
        if order[0] != 0 {
            return Err(node.refuse(format!("expected the batch first, found {order:?}")));
        }
        let order: Vec<usize> = order[1..].iter().map(|own| own - 1).collect();
        // Sides of 1 may change their place without any value changing its own.
        let long: Vec<usize> = order.iter().copied().filter(|own| shape[*own] != 1).collect();
        if long.is_sorted() {
            let expected = order.iter().map(|own| shape[*own]).collect();
            return self.shaped(node.short_name(), value, expected).map(Known::Value);
        }
        self.permuted(node.short_name(), value, &order).map(Known::Value)
    }

    pub(super) fn constant_node(&self, node: Read<'a>) -> Result<Known, Error> {
        if let Some(tensor) = node.tensor("value") {
            return Constant::read(tensor).map(Known::constant).map_err(|why| node.refuse(why));
        }
        if let Some(own) = node.float("value_float") {
            return Ok(Known::constant(Constant::float(own)));
        }
        if let Some(own) = node.ints("value_ints") {
            return Ok(Known::constant(Constant::integers(own.to_vec())));
        }
        if let Some(own) = node.floats("value_floats") {
            return Ok(Known::constant(Constant { shape: vec![own.len()], values: Numbers::Floats(own.to_vec()) }));
        }
        Ok(Known::of_sides(vec![Some(node.int("value_int", 0))], true))
    }

    pub(super) fn cast(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let to_floats = matches!(node.int("to", 0), 1 | 10 | 11 | 16);
        match self.known(node, 0)? {
            Known::Constant(own) => Ok(Known::constant(Constant {
                shape: own.shape.clone(),
                values: match &own.values {
                    Numbers::Integers(all) if to_floats => Numbers::Floats(all.iter().map(|own| *own as f32).collect()),
                    Numbers::Floats(all) if !to_floats => {
                        Numbers::Integers(all.iter().map(|own| *own as i64).collect())
                    }
                    same => same.clone(),
                },
            })),
            own @ Known::Sizes(..) if !to_floats => Ok(own),
            Known::Sizes(..) => Err(node.refuse("expected the sides of a value as whole numbers")),
            Known::Indices(own) if to_floats => self.shaped(node.short_name(), own.of, own.shape).map(Known::Value),
            own if to_floats => Ok(own),
            own @ (Known::Indices(_) | Known::OneHot(..)) => Ok(own),
            _ => {
                let value = self.value(node, 0)?;
                Ok(Known::Indices(Indices { of: value, shape: self.shape(value) }))
            }
        }
    }
}
