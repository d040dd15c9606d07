//! One choice of masks, out of numbers: score, select.

use crate::{
    Amount, Criterion, Error, Granularity, GroupScore, Layout, Mask, MaskSet, Request, Scope, Scores, Sparsity, Terms,
    score, select,
};
use std::borrow::Cow;

/// How to choose what goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// What is important.
    pub criterion: Criterion,
    /// What goes as one.
    pub granularity: Granularity,
    /// How the scores of a group become one; `None` for what fits the criterion.
    pub group_score: Option<GroupScore>,
    /// Who competes.
    pub scope: Scope,
    /// How much of the competing parameters is pruned afterwards.
    pub amount: Amount,
    /// Weights that every layer keeps at least.
    pub min_kept: usize,
    /// Names the random numbers of a random criterion.
    pub seed: u64,
}

impl Rule {
    /// Single weights, this share of zeros among the masked parameters; no layer is emptied.
    pub fn new(criterion: Criterion, scope: Scope, sparsity: Sparsity) -> Self {
        let (granularity, amount) = (Granularity::default(), Amount::Share(sparsity));
        Self { criterion, granularity, group_score: None, scope, amount, min_kept: 1, seed: 1 }
    }

    /// What is asked of the selection.
    pub fn request(&self) -> Request {
        let group_score = self.group_score.unwrap_or(self.criterion.group_score());
        let Self { granularity, scope, amount, min_kept, .. } = *self;
        Request { granularity, group_score, scope, amount, min_kept }
    }
}

/// The masks that prune by a rule, within the `old` ones; `kept` gives the values that the old mask of a parameter keeps,
/// in order. All parameters compete on free terms, in the layouts that their shapes suggest ([`Layout::of_burn`]); where
/// that is not so, [`choose_on`] is given others. Pure: numbers in, bits out.
///
/// # Errors
/// When a masked weight is not finite, the target cannot be reached, or MACs of a convolution are counted, whose positions
/// only [`choose_on`] can be told.
///
/// # Panics
/// When there are not as many values as a mask keeps.
pub fn choose<'a>(kept: impl Fn(&str, &Mask) -> Cow<'a, [f32]>, old: &MaskSet, rule: Rule) -> Result<MaskSet, Error> {
    choose_on(kept, old, rule, free_terms(old, &rule.request())?)
}

/// Free terms of every parameter, in the layout that its shape suggests.
///
/// # Errors
/// When the request counts MACs and there is a convolution: how many positions it has is not in its shape.
pub(crate) fn free_terms(old: &MaskSet, request: &Request) -> Result<impl Fn(&str, &[usize]) -> Option<Terms>, Error> {
    let in_macs = request.scope == Scope::MacAware || matches!(request.amount, Amount::Macs(_));
    if let Some((name, _)) = old.iter().find(|(_, mask)| in_macs && mask.shape().len() > 2) {
        let why =
            format!("the positions of `{name}` are not known from its shape, wanted `choose_on` with its `Terms`");
        return Err(Error::Target { target: "MACs of a convolution".into(), why });
    }
    Ok(|_: &str, shape: &[usize]| Some(Terms::new(Layout::of_burn(shape))))
}

/// [`choose`] on terms: `terms` gives those of a parameter by name and shape, or `None` for one that does not compete and
/// keeps its mask.
///
/// # Errors
/// When a masked weight is not finite, or the target cannot be reached.
///
/// # Panics
/// When there are not as many values as a mask keeps.
pub fn choose_on<'a>(
    kept: impl Fn(&str, &Mask) -> Cow<'a, [f32]>,
    old: &MaskSet,
    rule: Rule,
    terms: impl Fn(&str, &[usize]) -> Option<Terms>,
) -> Result<MaskSet, Error> {
    let scores =
        |place, name: &str, within: &Mask| score(rule.criterion, name, &kept(name, within), within, place, rule.seed);
    choose_by(scores, old, &rule.request(), terms)
}

/// [`choose_on`] by any scores: `scores` is given a parameter's place in the set, its name and its old mask, and gives a score
/// for each weight that the mask keeps, in order, finite and not negative.
///
/// # Errors
/// What `scores` refuses, or when the request cannot be met.
///
/// # Panics
/// When there are not as many scores as a mask keeps.
pub fn choose_by(
    mut scores: impl FnMut(usize, &str, &Mask) -> Result<Vec<f32>, Error>,
    old: &MaskSet,
    request: &Request,
    terms: impl Fn(&str, &[usize]) -> Option<Terms>,
) -> Result<MaskSet, Error> {
    let mut layers = Vec::new();
    for (place, (name, within)) in old.iter().enumerate() {
        let Some(terms) = terms(name, within.shape()) else { continue };
        layers.push(Scores { name, shape: within.shape(), scores: scores(place, name, within)?, within, terms });
    }
    let chosen = select(&layers, request)?;
    let all = old.iter().map(|(name, mask)| (name.to_owned(), chosen.get(name).unwrap_or(mask).clone()));
    Ok(MaskSet::new(all.collect()))
}
