//! The `[prune]` section: what is pruned, how, and how often. `docs/options.md` is its table.

use super::Length;
use secateur_pruner::{Criterion, Granularity, GroupScore, Schedule, Scope, Selection, Sparsity};
use serde::{Deserialize, Serialize};

/// What is pruned, how, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneConfig {
    /// `false` makes the dense control: the same training, nothing pruned.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What is important: `l1`, `l2`, `random` or `lamp`.
    #[serde(default = "l1")]
    pub criterion: Criterion,
    /// What goes as one: single weights, N of M, blocks, filters or input channels. With a filter go its bias and what reads
    /// it in the next layer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub granularity: Granularity,
    /// How the scores of a group become one, where another way is wanted than fits the criterion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_score: Option<GroupScore>,
    /// Who competes: `layerwise`, `global`, `global-normalised`, `erk` or `mac-aware`.
    #[serde(default = "layerwise")]
    pub scope: Scope,
    /// Weights that every layer keeps at least; left out, see [`Self::least`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_kept: Option<usize>,
    /// Globs on parameter names that may be pruned.
    #[serde(default = "weights")]
    pub include: Vec<String>,
    /// Globs on parameter names that may not.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The target of every prune.
    pub schedule: Schedule,
    /// Training between two prunes.
    pub every: Length,
    /// Terms of single parameters; the first whose pattern fits holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Override>,
}

/// Terms of the parameters that a pattern fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// A glob on parameter names.
    pub pattern: String,
    /// Share of its weights that stays at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// Share of its weights that stays at most, once the last prune is done; before it, in proportion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<f64>,
    /// Its own sparsity after the last prune; before it, in proportion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparsity: Option<Sparsity>,
}

impl PruneConfig {
    /// Weights that every layer keeps at least. If not said otherwise, single weights may empty a layer, and whole blocks,
    /// filters and channels may not: an emptied layer would take what reads it along.
    pub fn least(&self) -> usize {
        let whole = !matches!(self.granularity, Granularity::Element {} | Granularity::NOfM { .. });
        self.min_kept.unwrap_or(usize::from(whole))
    }

    /// The name patterns as the pruner takes them.
    pub fn selection(&self) -> Selection {
        Selection { include: self.include.clone(), exclude: self.exclude.clone() }
    }

    /// What is wrong with the section itself, and under which key.
    pub(crate) fn fault(&self) -> Option<(&'static str, String)> {
        if let Some(why) = self.granularity.fault() {
            return Some(("prune.granularity", why));
        }
        if self.group_score.is_some() && matches!(self.granularity, Granularity::Element {} | Granularity::NOfM { .. })
        {
            return Some(("prune.group_score", format!("{} has no groups that are scored", self.granularity)));
        }
        if matches!(self.granularity, Granularity::NOfM { .. }) && !(self.layers.is_empty() && self.least() == 0) {
            let why = format!("{} fixes what stays in every layer, wanted no other terms", self.granularity);
            return Some(("prune.layers", why));
        }
        if self.schedule.falls() {
            let why = format!("{} lets masks grow back, which a run cannot do", self.schedule);
            return Some(("prune.schedule", why));
        }
        self.layers.iter().find_map(Override::fault).map(|why| ("prune.layers", why))
    }
}

impl Override {
    fn fault(&self) -> Option<String> {
        let Self { pattern, floor, ceiling, sparsity } = self;
        let (low, high) = (floor.unwrap_or(0.0), ceiling.unwrap_or(1.0));
        let share = |share: f64| (0.0..=1.0).contains(&share);
        if !share(low) || !share(high) || low > high {
            return Some(format!("`{pattern}` has floor {low} and ceiling {high}, wanted 0 <= floor <= ceiling <= 1"));
        }
        if sparsity.is_some() && (floor.is_some() || ceiling.is_some()) {
            return Some(format!("`{pattern}` has a sparsity beside a floor or a ceiling, wanted one or the other"));
        }
        None
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn yes() -> bool {
    true
}

fn l1() -> Criterion {
    Criterion::L1
}

fn layerwise() -> Scope {
    Scope::Layerwise
}

fn weights() -> Vec<String> {
    Selection::default().include
}
