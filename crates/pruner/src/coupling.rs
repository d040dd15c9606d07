//! What goes with a filter: its bias, and what reads it in the next layer. Pure.

use crate::{Error, Mask, MaskSet};

/// Two parameters that meet in the same units: what `from` gives, `to` adds to or reads.
///
/// A convolution and its bias, or the next convolution, meet unit by unit. Through a flatten each channel becomes
/// `spread` neighbouring features, its pixels. Activations that leave 0 at 0, and pooling, change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coupling {
    /// Path of the parameter whose units may be gone, such as `conv1.weight`.
    pub from: String,
    /// Its axis of output units.
    pub output: usize,
    /// Path of the parameter that goes along, such as `conv1.bias` or `fc1.weight`.
    pub to: String,
    /// Its axis on which it meets those units.
    pub input: usize,
    /// Neighbours on that axis that belong to one unit.
    pub spread: usize,
}

/// The masks without what belongs to units that are gone: for each coupling, where all weights of a unit of `from` are
/// pruned, all of `to` that belongs to the unit is pruned, too; and so on until nothing changes.
///
/// Every parameter that a coupling names has a mask in the set; `from`'s bias goes as well where a coupling says so, and
/// then the unit gives 0, so that the network's answers do not change any further.
///
/// # Errors
/// When a coupling names a parameter without a mask, or the sizes of its axes do not fit.
pub fn couple(masks: &MaskSet, couplings: &[Coupling]) -> Result<MaskSet, Error> {
    let mut own: Vec<(String, Mask)> = masks.iter().map(|(name, mask)| (name.to_owned(), mask.clone())).collect();
    let place = |name: &str| {
        masks.iter().position(|(own, _)| own == name).ok_or_else(|| Error::MissingMask { name: name.into() })
    };
    let mut places = Vec::with_capacity(couplings.len());
    for coupling in couplings {
        let (from, to) = (place(&coupling.from)?, place(&coupling.to)?);
        let size = |mask: &Mask, axis: usize| mask.shape().get(axis).copied().unwrap_or(0);
        let (units, inputs) = (size(&own[from].1, coupling.output), size(&own[to].1, coupling.input));
        if coupling.spread == 0 || units * coupling.spread != inputs {
            let found = format!("{inputs} on axis {}", coupling.input);
            let wanted = format!("{units} units of `{}`, {} each", coupling.from, coupling.spread);
            return Err(Error::State { name: coupling.to.clone(), found, wanted });
        }
        places.push((from, to));
    }
    // Couplings whose `from` has lost weights since they were looked at.
    let mut stale = vec![true; places.len()];
    while let Some(next) = stale.iter().position(|stale| *stale) {
        stale[next] = false;
        let (coupling, (from, to)) = (&couplings[next], places[next]);
        let alive = alive(&own[from].1, coupling.output);
        if alive.iter().all(|alive| *alive) {
            continue;
        }
        let old = &own[to].1;
        let new = without(old, coupling.input, |place| !alive[place / coupling.spread]);
        if new.kept() < old.kept() {
            own[to].1 = new;
            stale.iter_mut().zip(&places).filter(|(_, (from, _))| *from == to).for_each(|(stale, _)| *stale = true);
        }
    }
    Ok(MaskSet::new(own))
}

/// The mask without what lies at these places of an axis.
pub(crate) fn without(mask: &Mask, axis: usize, gone: impl Fn(usize) -> bool) -> Mask {
    Mask::from_fn(mask.shape(), |index| mask.keeps(index) && !gone(along(mask.shape(), axis, index)))
}

/// The place of an element on an axis.
fn along(shape: &[usize], axis: usize, index: usize) -> usize {
    index / shape[axis + 1..].iter().product::<usize>() % shape[axis]
}

/// Which units have a weight left.
fn alive(mask: &Mask, axis: usize) -> Vec<bool> {
    let mut alive = vec![false; mask.shape()[axis]];
    mask.indices().for_each(|index| alive[along(mask.shape(), axis, index)] = true);
    alive
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coupling(from: &str, output: usize, to: &str, input: usize, spread: usize) -> Coupling {
        Coupling { from: from.into(), output, to: to.into(), input, spread }
    }

    fn bits(mask: &Mask) -> Vec<u8> {
        (0..mask.total()).map(|index| u8::from(mask.keeps(index))).collect()
    }

    #[test]
    fn a_filter_takes_its_bias_and_its_pixels_along() {
        // Two filters of 1 x 1 x 2; the second is gone. A linear layer of [2 channels x 2 pixels, 2 outputs] follows.
        let set = MaskSet::new(vec![
            ("conv.weight".into(), Mask::from_fn(&[2, 1, 1, 2], |index| index < 2)),
            ("conv.bias".into(), Mask::full(&[2])),
            ("fc.weight".into(), Mask::from_fn(&[4, 2], |index| index != 0)),
        ]);
        let couplings = [coupling("conv.weight", 0, "conv.bias", 0, 1), coupling("conv.weight", 0, "fc.weight", 0, 2)];
        let found = couple(&set, &couplings).expect("fits");
        assert!(found.is_within(&set));
        assert_eq!(bits(found.get("conv.bias").expect("named")), [1, 0]);
        assert_eq!(bits(found.get("fc.weight").expect("named")), [0, 1, 1, 1, 0, 0, 0, 0]);
        assert_eq!(couple(&found, &couplings).expect("fits"), found, "once is enough");
    }

    #[test]
    fn what_reads_nothing_any_more_goes_as_well() {
        // fc1 [1, 2] has lost unit 0; fc2's unit 1 reads unit 0 alone, and fc3 reads that.
        let set = MaskSet::new(vec![
            ("fc3.weight".into(), Mask::full(&[2, 1])),
            ("fc2.weight".into(), Mask::from_fn(&[2, 2], |index| index != 3)),
            ("fc1.weight".into(), Mask::from_fn(&[1, 2], |index| index == 1)),
        ]);
        let couplings = [coupling("fc2.weight", 1, "fc3.weight", 0, 1), coupling("fc1.weight", 1, "fc2.weight", 0, 1)];
        let found = couple(&set, &couplings).expect("fits");
        assert_eq!(bits(found.get("fc2.weight").expect("named")), [0, 0, 1, 0]);
        assert_eq!(bits(found.get("fc3.weight").expect("named")), [1, 0]);
    }

    #[test]
    fn couplings_that_do_not_fit_are_named() {
        let set = MaskSet::new(vec![("a".into(), Mask::full(&[2, 3])), ("b".into(), Mask::full(&[5, 1]))]);
        let error = couple(&set, &[coupling("a", 1, "b", 0, 2)]).expect_err("6 are not 5").to_string();
        assert_eq!(error, "`b`: found 5 on axis 0, wanted 3 units of `a`, 2 each");
        assert!(couple(&set, &[coupling("a", 1, "c", 0, 1)]).expect_err("no c").to_string().contains("`c`"));
    }
}
