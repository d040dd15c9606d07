//! Targets of whole units, with what goes along: what is asked for, and what can be reached whatever the scores are.

use super::{Masked, Pruning};
use crate::Error;
use crate::config::PruneConfig;
use secateur_graph::Graph;
use secateur_pruner::{Amount, MaskSet, Measure, Sparsity, Terms, UnitGroup};

/// What is to be gone of whole units, with all that goes along.
struct Goal {
    wanted: u64,
    total: u64,
    /// What the largest unit takes along, itself included, and the largest step: a unit times the number that it is rounded to.
    unit: u64,
    step: u64,
    macs: bool,
}

impl Goal {
    fn counted(&self) -> &'static str {
        if self.macs { "MACs" } else { "weights" }
    }
}

impl Pruning {
    /// Refuses masks of which more whole units are gone than a target leaves, by more than the largest unit explains.
    pub(super) fn check_gone(&self, masks: &MaskSet, target: Sparsity) -> Result<(), Error> {
        if self.groups.is_empty() {
            return Ok(());
        }
        let gone =
            |own: &Masked| masks.get(&own.name).map_or(0, |mask| self.cost(own) * (mask.total() - mask.kept()) as u64);
        let (gone, goal) = (self.masked.iter().map(gone).sum::<u64>(), self.goal(target));
        if gone.saturating_sub(goal.wanted) > if goal.macs { goal.step } else { goal.step / 2 } {
            let (place, unit) = ("all layers, with what goes along".into(), goal.counted());
            let [pruned, wanted, total] = [gone, goal.wanted, goal.total].map(|count| count as usize);
            return Err(secateur_pruner::Error::Grows { place, pruned, wanted, total, unit }.into());
        }
        Ok(())
    }

    /// Weights that are gone, and those that there are, when layers lose the whole units that sparsities of their own ask for,
    /// and no others.
    ///
    /// # Errors
    /// When the section makes no sense for the network.
    pub(crate) fn of_own_units(config: &PruneConfig, graph: &Graph) -> Result<[usize; 2], Error> {
        let own = Self::unchecked(config, graph)?;
        let [gone, _] = own.range(Sparsity::DENSE);
        Ok([gone as usize, own.sizes.prunable])
    }

    /// What a prune of whole units to this target is after.
    fn goal(&self, target: Sparsity) -> Goal {
        let total = self.masked.iter().map(|own| self.cost(own) * own.size() as u64).sum();
        let wanted = match self.request(target).amount {
            Amount::Macs(macs) => macs,
            Amount::Weights(count) => count as u64,
            Amount::Share(share) => share.count(total as usize) as u64,
        };
        let largest = |times: fn(&UnitGroup) -> usize| {
            self.groups.iter().map(|own| self.along(own) * times(own) as u64).max().unwrap_or(0)
        };
        let [unit, step] = [largest(|_| 1), largest(|own| own.round_to)];
        Goal { wanted, total, unit, step, macs: self.targets.measure == Measure::Macs }
    }

    /// Refuses a target of whole units that is out of reach, whatever the scores are, by more than half of the largest unit:
    /// nearer no target comes either.
    pub(super) fn reach(&self, target: Sparsity) -> Result<(), Error> {
        let (goal, [least, most]) = (self.goal(target), self.range(target));
        let Goal { wanted, total, unit, macs, .. } = goal;
        // Of a budget of MACs less is no use, and more is none to complain of.
        let (short, over) = (wanted.saturating_sub(most), least.saturating_sub(wanted));
        if short > if macs { 0 } else { unit / 2 } || over > unit / 2 && !macs {
            let (place, unit) = ("all layers, with what goes along".into(), goal.counted());
            return Err(secateur_pruner::Error::Impossible { place, wanted, total, least, most, unit }.into());
        }
        Ok(())
    }

    /// What the largest unit of a group takes, with all that belongs to it.
    fn along(&self, group: &UnitGroup) -> u64 {
        let taken = |name: &str, indices: usize, of: usize| {
            let masked = self.masked.iter().find(|masked| masked.name == name);
            masked.map_or(0, |masked| self.cost(masked) * (masked.size() / of.max(1) * indices) as u64)
        };
        let unit = |unit: usize| -> u64 {
            let indices = |units: &[Option<usize>]| units.iter().filter(|own| **own == Some(unit)).count();
            group.members.iter().map(|own| taken(&own.name, indices(&own.units), own.units.len())).sum()
        };
        (0..group.len()).map(unit).max().unwrap_or(0)
    }

    /// What is gone of full masks when every group loses as few units as it has to, and as many as it may.
    fn range(&self, target: Sparsity) -> [u64; 2] {
        let gone = |end: usize| {
            // By group: units that stay.
            let stays: Vec<usize> = self.groups.iter().map(|group| self.stays(group, target)[end]).collect();
            // Of a parameter stays what the indices of its axes that stay have in common.
            let kept = |own: &Masked| {
                let mut kept = own.size();
                for (axis, size) in own.shape.iter().enumerate() {
                    let here = self.groups.iter().zip(&stays).flat_map(|(group, stays)| {
                        let members =
                            group.members.iter().filter(|member| member.name == own.name && member.axis == axis);
                        members.map(move |member| (member.units.iter().flatten().count(), *stays, group.len()))
                    });
                    let (mut indices, mut left) = (*size, 0);
                    for (own, stays, units) in here {
                        indices -= own;
                        left += own / units.max(1) * stays;
                    }
                    kept = kept / size.max(&1) * (indices + left);
                }
                kept
            };
            self.masked.iter().map(|own| self.cost(own) * (own.size() - kept(own)) as u64).sum()
        };
        [gone(0), gone(1)]
    }

    /// How many units of a group stay when it loses as few as it has to, and as many as it may.
    fn stays(&self, group: &UnitGroup, target: Sparsity) -> [usize; 2] {
        let computing =
            || group.computing().filter_map(|member| self.competitors.iter().find(|own| own.name == member.name));
        let Some(first) = computing().next() else { return [group.len(); 2] };
        let all: Vec<Terms> = computing().map(|own| self.at(own, target)).collect();
        let terms = Terms {
            floor: all.iter().map(|own| own.floor).fold(0.0, f64::max),
            ceiling: all.iter().map(|own| own.ceiling).fold(1.0, f64::min),
            own: all.iter().find_map(|own| own.own),
            ..self.at(first, target)
        };
        let pinned = group.pinned.iter().filter(|pinned| **pinned).count();
        let (free, size) =
            (group.len() - pinned, computing().map(|own| own.size()).sum::<usize>() / group.len().max(1));
        let gone = terms.units(&[free, size], self.request.min_kept);
        gone.map(|gone| (group.len() - gone).next_multiple_of(group.round_to).min(group.len()))
    }
}

#[cfg(test)]
#[path = "units_tests.rs"]
mod tests;
