//! Units that are pruned as a whole, and everything that belongs to them. Pure.
//!
//! A filter is gone only when its bias, the batch normalisation behind it and what reads it are gone, too; and where branches
//! of a network are added, only together with the filters of the other branches.

use crate::{Error, Mask, MaskSet};

/// Output units that stand side by side, such as the channels of one stage of a residual network, with the parameters that
/// hold something of them.
///
/// ```
/// # use secateur_pruner::UnitGroup;
/// // Eight filters with a bias; a linear layer of burn's, [in, out], reads 4 pixels of each.
/// let group = UnitGroup::new(8).computed_by("conv.weight", 0).with("conv.bias").read_by("fc.weight", 0, 4);
/// // Two convolutions whose outputs are added: a unit is a filter of each.
/// let sum = UnitGroup::new(16).computed_by("conv1.weight", 0).computed_by("conv2.weight", 0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitGroup {
    /// For each unit, whether it stays whatever its scores.
    pub pinned: Vec<bool>,
    /// The parameters that hold something of the units.
    pub members: Vec<Member>,
    /// Of how many the number of units that stay is a multiple, as far as there are so many.
    pub round_to: usize,
}

/// A parameter that meets the units of a group on one of its axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its path, such as `conv1.weight`.
    pub name: String,
    /// The axis.
    pub axis: usize,
    /// The unit of each index of the axis; `None` where the index belongs to no unit of the group.
    pub units: Vec<Option<usize>>,
    /// Whether it computes the units: its weights are what is scored, and a unit is gone when none of them is left. Of all
    /// others, such as biases and what reads the units, goes what belongs to units that are gone.
    pub computes: bool,
}

impl UnitGroup {
    /// So many units, without members yet.
    pub fn new(units: usize) -> Self {
        Self { pinned: vec![false; units], members: vec![], round_to: 1 }
    }

    /// With a parameter that computes the units, each of which is one index of this axis.
    pub fn computed_by(self, name: &str, axis: usize) -> Self {
        self.member(name, axis, 1, true)
    }

    /// With a vector that belongs to the units, such as a bias.
    pub fn with(self, name: &str) -> Self {
        self.member(name, 0, 1, false)
    }

    /// With a parameter that reads the units on this axis. Through a flatten each channel becomes `spread` neighbouring
    /// features, its pixels; without one `spread` is 1.
    pub fn read_by(self, name: &str, axis: usize, spread: usize) -> Self {
        self.member(name, axis, spread, false)
    }

    fn member(mut self, name: &str, axis: usize, spread: usize, computes: bool) -> Self {
        let units = (0..self.len()).flat_map(|unit| std::iter::repeat_n(Some(unit), spread)).collect();
        self.members.push(Member { name: name.to_owned(), axis, units, computes });
        self
    }

    /// How many units there are.
    pub fn len(&self) -> usize {
        self.pinned.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pinned.is_empty()
    }

    /// The parameters that compute the units.
    pub fn computing(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|own| own.computes)
    }

    /// Places of the members in a set of masks.
    ///
    /// # Errors
    /// When a member has no mask, or another size on its axis.
    pub(crate) fn places(&self, masks: &MaskSet) -> Result<Vec<usize>, Error> {
        let place = |own: &Member| {
            let found = masks.iter().position(|(name, _)| name == own.name);
            let place = found.ok_or_else(|| Error::MissingMask { name: own.name.clone() })?;
            let size = masks.iter().nth(place).and_then(|(_, mask)| mask.shape().get(own.axis).copied()).unwrap_or(0);
            if size != own.units.len() || own.units.iter().flatten().any(|unit| *unit >= self.len()) {
                let found = format!("{size} on axis {}", own.axis);
                let wanted = format!("{} that belong to {} units", own.units.len(), self.len());
                return Err(Error::State { name: own.name.clone(), found, wanted });
            }
            Ok(place)
        };
        self.members.iter().map(place).collect()
    }
}

impl Member {
    /// The unit that an element belongs to.
    pub(crate) fn unit(&self, shape: &[usize], index: usize) -> Option<usize> {
        self.units[index / shape[self.axis + 1..].iter().product::<usize>() % shape[self.axis]]
    }

    /// The mask without the units that are gone.
    fn without(&self, mask: &Mask, gone: &[bool]) -> Mask {
        let shape = mask.shape();
        Mask::from_fn(shape, |index| mask.keeps(index) && !self.unit(shape, index).is_some_and(|unit| gone[unit]))
    }
}

/// The masks without what belongs to units that are gone: where all weights that compute a unit are pruned, all else that
/// belongs to it is pruned, too; and so on until nothing changes. Pinned units take nothing along.
///
/// # Errors
/// When a member has no mask, or another size than its group says.
pub fn couple(masks: &MaskSet, groups: &[UnitGroup]) -> Result<MaskSet, Error> {
    let places = groups.iter().map(|group| group.places(masks)).collect::<Result<Vec<_>, _>>()?;
    Ok(coupled(masks, groups, &places))
}

/// [`couple`], where the places of the members are known.
pub(crate) fn coupled(masks: &MaskSet, groups: &[UnitGroup], places: &[Vec<usize>]) -> MaskSet {
    let mut own: Vec<(String, Mask)> = masks.iter().map(|(name, mask)| (name.to_owned(), mask.clone())).collect();
    // Groups that have lost weights which compute their units since they were looked at.
    let mut stale = vec![true; groups.len()];
    while let Some(next) = stale.iter().position(|stale| *stale) {
        stale[next] = false;
        let mut gone: Vec<bool> = groups[next].pinned.iter().map(|pinned| !pinned).collect();
        for (member, place) in groups[next].members.iter().zip(&places[next]).filter(|(own, _)| own.computes) {
            let mask = &own[*place].1;
            mask.indices().filter_map(|index| member.unit(mask.shape(), index)).for_each(|unit| gone[unit] = false);
        }
        if !gone.contains(&true) {
            continue;
        }
        for place in take_away(&mut own, &groups[next], &places[next], &gone) {
            let computes = |(group, places): (&UnitGroup, &Vec<usize>)| {
                group.members.iter().zip(places).any(|(member, own)| member.computes && *own == place)
            };
            stale
                .iter_mut()
                .zip(groups.iter().zip(places))
                .filter(|(_, own)| computes(*own))
                .for_each(|(stale, _)| *stale = true);
        }
    }
    MaskSet::new(own)
}

/// Prunes everything that belongs to units of a group that are gone; gives the places of the masks that lost something.
pub(crate) fn take_away(
    masks: &mut [(String, Mask)],
    group: &UnitGroup,
    places: &[usize],
    gone: &[bool],
) -> Vec<usize> {
    let mut changed = vec![];
    for (member, place) in group.members.iter().zip(places) {
        let old = &masks[*place].1;
        let new = member.without(old, gone);
        if new.kept() < old.kept() {
            masks[*place].1 = new;
            changed.push(*place);
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let groups = [UnitGroup::new(2).computed_by("conv.weight", 0).with("conv.bias").read_by("fc.weight", 0, 2)];
        let found = couple(&set, &groups).expect("fits");
        assert!(found.is_within(&set));
        assert_eq!(bits(found.get("conv.bias").expect("named")), [1, 0]);
        assert_eq!(bits(found.get("fc.weight").expect("named")), [0, 1, 1, 1, 0, 0, 0, 0]);
        assert_eq!(couple(&found, &groups).expect("fits"), found, "once is enough");
        let pinned = [UnitGroup { pinned: vec![false, true], ..groups[0].clone() }];
        assert_eq!(couple(&set, &pinned).expect("fits"), set, "what is pinned takes nothing along");
    }

    #[test]
    fn what_reads_nothing_any_more_goes_as_well() {
        // fc1 [1, 2] has lost unit 0; fc2's unit 1 reads unit 0 alone, and fc3 reads that.
        let set = MaskSet::new(vec![
            ("fc3.weight".into(), Mask::full(&[2, 1])),
            ("fc2.weight".into(), Mask::from_fn(&[2, 2], |index| index != 3)),
            ("fc1.weight".into(), Mask::from_fn(&[1, 2], |index| index == 1)),
        ]);
        let groups = [
            UnitGroup::new(2).computed_by("fc2.weight", 1).read_by("fc3.weight", 0, 1),
            UnitGroup::new(2).computed_by("fc1.weight", 1).read_by("fc2.weight", 0, 1),
        ];
        let found = couple(&set, &groups).expect("fits");
        assert_eq!(bits(found.get("fc2.weight").expect("named")), [0, 0, 1, 0]);
        assert_eq!(bits(found.get("fc3.weight").expect("named")), [1, 0]);
    }

    #[test]
    fn a_sum_loses_a_unit_when_all_its_branches_have() {
        let set = |first: &[usize], second: &[usize]| {
            MaskSet::new(vec![
                ("a.weight".into(), Mask::from_fn(&[3, 1], |index| !first.contains(&index))),
                ("b.weight".into(), Mask::from_fn(&[3, 1], |index| !second.contains(&index))),
                ("bn.weight".into(), Mask::full(&[3])),
                ("c.weight".into(), Mask::full(&[1, 3])),
            ])
        };
        let group = UnitGroup::new(3).computed_by("a.weight", 0).computed_by("b.weight", 0).with("bn.weight");
        let groups = [group.read_by("c.weight", 1, 1)];
        let found = couple(&set(&[0, 1], &[1, 2]), &groups).expect("fits");
        assert_eq!(bits(found.get("c.weight").expect("named")), [1, 0, 1]);
        assert_eq!(bits(found.get("bn.weight").expect("named")), [1, 0, 1]);
    }

    #[test]
    fn groups_that_do_not_fit_are_named() {
        let set = MaskSet::new(vec![("a".into(), Mask::full(&[2, 3])), ("b".into(), Mask::full(&[5, 1]))]);
        let group = UnitGroup::new(3).computed_by("a", 1).read_by("b", 0, 2);
        let error = couple(&set, &[group]).expect_err("6 are not 5").to_string();
        assert_eq!(error, "`b`: found 5 on axis 0, wanted 6 that belong to 3 units");
        let missing = UnitGroup::new(3).computed_by("c", 0);
        assert!(couple(&set, &[missing]).expect_err("no c").to_string().contains("`c`"));
    }
}
