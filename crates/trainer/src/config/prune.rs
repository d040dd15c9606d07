//! The `[prune]` section: what is pruned, how, and how often. `docs/options.md` is its table.

use super::{CriterionConfig, Length, RegrowConfig, UntilConfig};
use secateur_pruner::{Granularity, GroupScore, Schedule, Scope, Selection, Sparsity};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is pruned, how, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneConfig {
    /// `false` makes the dense control: the same training, nothing pruned.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What is important: `l1`, `l2`, `random`, `lamp`, `snip`, `taylor`, `grasp`, `synflow`, `wanda`, `movement` or
    /// `scores`.
    #[serde(default = "l1")]
    pub criterion: CriterionConfig,
    /// The safetensors file of the criterion `scores`: tensors named as the parameters, in their shapes. Relative to where
    /// the program runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<PathBuf>,
    /// Training images that a criterion or regrowth looks at.
    #[serde(default = "calibration", skip_serializing_if = "is_calibration")]
    pub calibration: usize,
    /// Rounds in which each prune is made, each scoring what the one before has left; left out, as fits the criterion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u32>,
    /// Ablation: each layer keeps as many weights as chosen, but others, drawn at random.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shuffle: bool,
    /// What goes as one: single weights, N of M, blocks, filters or input channels. With a filter go its bias and what reads
    /// it in the next layer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub granularity: Granularity,
    /// How the scores of a group become one, where another way is wanted than fits the criterion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_score: Option<GroupScore>,
    /// Who competes: `layerwise`, `output`, `global`, `global-normalised`, `erk` or `mac-aware`; left out, see
    /// [`Self::scope`]. A config that was read has it filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
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
    /// How masks move in the training that follows a prune; left out, they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regrow: Option<RegrowConfig>,
    /// Training before each prune in which only the weights that matter most receive a gradient, so that the others fade:
    /// global sparse momentum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsm: Option<Length>,
    /// An accuracy budget: the schedule is followed for as long as validation bears it, and the last step is refined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UntilConfig>,
    /// Batches of training images by which the running statistics of batch normalisation are worked out anew after each
    /// prune; 0 leaves them to the training that follows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub recalibrate: u64,
    /// Of how many the filters that a layer keeps are a multiple, where whole filters go; 8, say, is what kernels like.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub round_to: usize,
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
    /// Its own criterion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criterion: Option<CriterionConfig>,
}

impl PruneConfig {
    /// Weights that every layer keeps at least. If not said otherwise no layer is emptied, which would cut the network in two;
    /// N of M says itself what stays.
    pub fn least(&self) -> usize {
        self.min_kept.unwrap_or(usize::from(!matches!(self.granularity, Granularity::NOfM { .. })))
    }

    /// Who competes; if not said otherwise as fits the criterion: scores of Wanda compare within an output unit, as sums of
    /// groups within a layer, and all others everywhere.
    pub fn scope(&self) -> Scope {
        self.scope.unwrap_or(match self.criterion {
            CriterionConfig::Wanda if self.granularity.has_groups() => Scope::Layerwise,
            CriterionConfig::Wanda => Scope::Output,
            CriterionConfig::L1
            | CriterionConfig::L2
            | CriterionConfig::Random
            | CriterionConfig::Lamp
            | CriterionConfig::Snip
            | CriterionConfig::Taylor
            | CriterionConfig::Grasp
            | CriterionConfig::Synflow
            | CriterionConfig::Movement
            | CriterionConfig::Scores => Scope::Global,
        })
    }

    /// The name patterns as the pruner takes them.
    pub fn selection(&self) -> Selection {
        Selection { include: self.include.clone(), exclude: self.exclude.clone() }
    }

    /// The criteria that have a say, each once: the common one first.
    pub fn criteria(&self) -> Vec<CriterionConfig> {
        let mut all = vec![self.criterion];
        for own in self.layers.iter().filter_map(|own| own.criterion) {
            if !all.contains(&own) {
                all.push(own);
            }
        }
        all
    }

    /// Rounds in which each prune is made.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or_else(|| self.criteria().into_iter().map(CriterionConfig::rounds).max().unwrap_or(1))
    }

    /// The accuracy budget, which the dense control has none of.
    pub(crate) fn budget(&self) -> Option<UntilConfig> {
        self.until.filter(|_| self.enabled)
    }

    /// Whether masks may keep, at some time, what they pruned before.
    pub(crate) fn grows(&self) -> bool {
        self.regrow.is_some() || self.schedule.falls()
    }

    /// Whether pruned weights go on receiving gradients.
    pub(crate) fn has_shadows(&self) -> bool {
        self.regrow.is_some_and(|regrow| regrow.has_shadows())
    }

    /// What is wrong with the section itself, and under which key.
    pub(crate) fn fault(&self) -> Option<(&'static str, String)> {
        if let Some(why) = self.granularity.fault() {
            return Some(("prune.granularity", why));
        }
        let single = self.granularity == Granularity::Element {};
        let unscored = !self.granularity.has_groups();
        if self.scope() == Scope::Output && !unscored {
            return Some((
                "prune.scope",
                format!("output compares single weights, found granularity {}", self.granularity),
            ));
        }
        if self.group_score.is_some() && unscored {
            return Some(("prune.group_score", format!("{} has no groups that are scored", self.granularity)));
        }
        if self.round_to != 1 && (self.granularity != (Granularity::Filter {}) || !(1..=4096).contains(&self.round_to))
        {
            let why = format!(
                "found {} with granularity {}, expected 1 to 4096, and anything but 1 for whole filters only",
                self.round_to, self.granularity
            );
            return Some(("prune.round_to", why));
        }
        if matches!(self.granularity, Granularity::NOfM { .. }) {
            let why = format!("{} fixes what stays in every layer, wanted no other terms", self.granularity);
            match (self.layers.is_empty(), self.least()) {
                (true, 0) => {}
                (true, _) => return Some(("prune.min_kept", why)),
                (false, _) => return Some(("prune.layers", why)),
            }
        }
        let fault = self.layers.iter().find_map(Override::fault).map(|why| ("prune.layers", why));
        fault.or_else(|| self.criterion_fault(unscored)).or_else(|| self.growth_fault(single))
    }

    fn criterion_fault(&self, unscored: bool) -> Option<(&'static str, String)> {
        let criteria = self.criteria();
        let scaled = self.scope().calculates();
        if let Some(signed) = criteria.iter().find(|own| own.has_sign()).filter(|_| !unscored || scaled) {
            let why = format!(
                "scores of {signed} have a sign, so that only their order counts, wanted single weights or n-of-m, and the \
                 scope layerwise, output, global or erk; found {} and {}",
                self.granularity,
                self.scope()
            );
            return Some(("prune.criterion", why));
        }
        match (&self.scores, criteria.contains(&CriterionConfig::Scores)) {
            (None, true) => return Some(("prune.scores", "the criterion `scores` needs a file, found none".into())),
            (Some(path), false) => {
                let why = format!("found {}, wanted the criterion `scores`, which reads it", path.display());
                return Some(("prune.scores", why));
            }
            (None, false) | (Some(_), true) => {}
        }
        if let Some(own) = self.layers.iter().find(|own| own.criterion.is_some_and(|own| own != self.criterion))
            && self.scope().is_common()
            && !matches!(self.granularity, Granularity::NOfM { .. })
        {
            let why = format!(
                "`{}` has a criterion of its own, whose scores compare with no others, wanted the scope layerwise, output or \
                 erk; found {}",
                own.pattern,
                self.scope()
            );
            return Some(("prune.layers", why));
        }
        if self.calibration == 0 {
            return Some(("prune.calibration", "found 0, wanted at least 1 image".into()));
        }
        if !(1..=MOST_ROUNDS).contains(&self.rounds()) {
            let why = format!("found {}, wanted from 1 to {MOST_ROUNDS}", self.rounds());
            return Some(("prune.rounds", why));
        }
        (self.shuffle && self.granularity != Granularity::Element {})
            .then(|| ("prune.shuffle", format!("found granularity {}, wanted single weights", self.granularity)))
    }

    fn growth_fault(&self, single: bool) -> Option<(&'static str, String)> {
        let key = if self.regrow.is_some() { "prune.regrow" } else { "prune.schedule" };
        if let Some(why) = self.regrow.and_then(|regrow| regrow.fault()) {
            return Some((key, why));
        }
        if self.grows() && !single {
            return Some((key, format!("masks grow by single weights, found granularity {}", self.granularity)));
        }
        let grows_back = match self.scope() {
            Scope::Layerwise | Scope::Global | Scope::Erk => true,
            Scope::Output | Scope::GlobalNormalised | Scope::MacAware => false,
        };
        if self.schedule.falls() && (!grows_back || self.rounds() > 1 || self.shuffle || self.has_shadows()) {
            let why = format!(
                "{} lets masks grow back, which goes with the scopes layerwise, global and erk, without `rounds`, \
                 `shuffle` and surgery",
                self.schedule
            );
            return Some((key, why));
        }
        if self.has_shadows() && (self.rounds() > 1 || self.shuffle) {
            return Some((key, "surgery chooses masks anew, wanted neither `rounds` nor `shuffle`".into()));
        }
        if self.until.is_some() && (self.grows() || self.gsm.is_some()) {
            let why = "an accuracy budget prunes further and further, wanted no `regrow`, no `gsm` \
                       and no schedule that falls";
            return Some(("prune.until", why.into()));
        }
        (self.gsm.is_some() && !(single && self.scope() == Scope::Global)).then(|| {
            let why = format!(
                "weights compete for gradients one by one and all together, wanted scope global and single weights, found \
                 {} and {}",
                self.scope(), self.granularity
            );
            ("prune.gsm", why)
        })
    }
}

/// More rounds than that are a typing error.
const MOST_ROUNDS: u32 = 10_000;

impl Override {
    fn fault(&self) -> Option<String> {
        let Self { pattern, floor, ceiling, sparsity, criterion } = self;
        if (floor, ceiling, sparsity, criterion) == (&None, &None, &None, &None) {
            return Some(format!("`{pattern}` has no terms, wanted a floor, a ceiling, a sparsity or a criterion"));
        }
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

fn one() -> usize {
    1
}

fn is_one(own: &usize) -> bool {
    *own == 1
}

fn l1() -> CriterionConfig {
    CriterionConfig::L1
}

fn calibration() -> usize {
    512
}

/// Whether it is what stands where a config says nothing; a small data set then gives what it has.
pub(crate) fn is_calibration(images: &usize) -> bool {
    *images == calibration()
}

fn weights() -> Vec<String> {
    Selection::default().include
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;
