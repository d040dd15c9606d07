//! Invariants of a selection, over every granularity, scope and criterion, with a sort of all groups as the reference implementation.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use secateur_pruner::*;
use std::collections::BTreeMap;

const SCOPES: [Scope; 6] =
    [Scope::Layerwise, Scope::Output, Scope::Global, Scope::GlobalNormalised, Scope::Erk, Scope::MacAware];
const CRITERIA: [Criterion; 4] = [Criterion::L1, Criterion::L2, Criterion::Random, Criterion::Lamp];

fn granularities() -> Vec<Granularity> {
    vec![
        Granularity::Element {},
        Granularity::Block { outputs: 1, inputs: 1 },
        Granularity::Block { outputs: 2, inputs: 3 },
        Granularity::Block { outputs: 4, inputs: 1 },
        Granularity::Filter {},
        Granularity::Channel {},
    ]
}

/// A layer with made-up values: sizes that do not divide, a layer of one weight, an empty one, equal weights, zeros.
struct Made {
    name: &'static str,
    shape: Vec<usize>,
    terms: Terms,
    values: Vec<f32>,
}

fn network() -> Vec<Made> {
    let mut state = 7u32;
    let mut made = |name, shape: &[usize], layout, positions, value: &dyn Fn(u32) -> f32| {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            value(state >> 8)
        };
        let values = (0..shape.iter().product::<usize>()).map(|_| next()).collect();
        Made { name, shape: shape.to_vec(), terms: Terms { positions, ..Terms::new(layout) }, values }
    };
    let fine = |number: u32| number as f32 / (1 << 24) as f32 - 0.5;
    let coarse = |number: u32| (number % 7) as f32 * 0.25 - 0.75;
    vec![
        made("conv1", &[5, 1, 3, 3], Layout::CONV, 36, &fine),
        made("conv2", &[7, 5, 2, 2], Layout::CONV, 9, &coarse),
        made("none", &[0, 4], Layout::LINEAR, 1, &fine),
        made("fc1", &[31, 13], Layout::LINEAR, 1, &fine),
        made("same", &[13, 6], Layout::LINEAR, 1, &|_| 0.25),
        made("one", &[1, 1], Layout::LINEAR, 1, &fine),
    ]
}

fn rows<'a>(network: &'a [Made], within: &'a [Mask], criterion: Criterion) -> Vec<Scores<'a>> {
    let row = |(place, (own, within)): (usize, (&'a Made, &'a Mask))| {
        let scores = score(criterion, own.name, &within.gather(&own.values), within, place, 3).unwrap();
        Scores { name: own.name, shape: &own.shape, scores, within, terms: own.terms }
    };
    network.iter().zip(within).enumerate().map(row).collect()
}

fn full(network: &[Made]) -> Vec<Mask> {
    network.iter().map(|own| Mask::full(&own.shape)).collect()
}

fn masks_of(set: &MaskSet) -> Vec<Mask> {
    set.iter().map(|(_, mask)| mask.clone()).collect()
}

/// The group of each element, found without the library: places on the axes, divided.
fn groups(own: &Made, granularity: Granularity) -> Vec<usize> {
    let stride = |axis: usize| own.shape[axis + 1..].iter().product::<usize>();
    let place = |index: usize, axis: usize| index / stride(axis) % own.shape[axis];
    let (output, input) = (own.terms.layout.output, own.terms.layout.input.unwrap());
    let mut numbers = BTreeMap::new();
    let key = |index: usize| {
        let (o, i) = (place(index, output), place(index, input));
        let tap = index - o * stride(output) - i * stride(input);
        match granularity {
            Granularity::Element {} => (o, i, tap),
            Granularity::NOfM { m, .. } => (o, i / m, tap),
            Granularity::Block { outputs, inputs } => (o / outputs, i / inputs, tap),
            Granularity::Filter {} => (o, 0, 0),
            Granularity::Channel {} => (i, 0, 0),
        }
    };
    (0..own.values.len())
        .map(|index| {
            let next = numbers.len();
            *numbers.entry(key(index)).or_insert(next)
        })
        .collect()
}

/// Members of each group, in the order of first elements.
fn members(own: &Made, granularity: Granularity) -> Vec<Vec<usize>> {
    let of = groups(own, granularity);
    let mut found = vec![vec![]; of.iter().max().map_or(0, |last| last + 1)];
    of.iter().enumerate().for_each(|(index, group)| found[*group].push(index));
    found
}

fn largest(own: &Made, granularity: Granularity) -> usize {
    members(own, granularity).iter().map(Vec::len).max().unwrap_or(0)
}

/// What a selection gives, or `None` where whole groups and the last ones of each layer forbid the target.
fn possible(rows: &[Scores<'_>], request: &Request) -> Option<Vec<Mask>> {
    match select(rows, request) {
        Err(Error::Impossible { .. }) if request.granularity != (Granularity::Element {}) => None,
        set => Some(masks_of(&set.unwrap())),
    }
}

/// The reference implementation from full masks: all groups in one sorted list, taken one by one as the documentation says.
fn by_sorting(layers: &[&Scores<'_>], made: &[&Made], request: &Request, wanted: usize) -> Vec<Vec<bool>> {
    let mut order = vec![];
    let mut dense: Vec<Vec<f64>> = vec![];
    for layer in layers {
        dense.push(layer.scores.iter().map(|score| f64::from(*score)).collect());
    }
    for (place, own) in made.iter().enumerate() {
        let members = members(own, request.granularity);
        let score = |members: &Vec<usize>| {
            let all = members.iter().map(|index| dense[place][*index]);
            let size = members.len() as f64;
            let element = request.granularity == (Granularity::Element {});
            let aware = request.scope == Scope::MacAware && !element;
            match request.group_score {
                GroupScore::L2 if aware => (all.map(|score| score * score).sum::<f64>() / size).sqrt(),
                GroupScore::L2 if !element => all.map(|score| score * score).sum::<f64>().sqrt(),
                GroupScore::Mean => all.sum::<f64>() / size,
                GroupScore::L1 if aware => all.sum::<f64>() / size,
                GroupScore::First => dense[place][members[0]],
                _ => all.sum::<f64>(),
            }
        };
        let scores: Vec<f64> = members.iter().map(score).collect();
        let sum: f64 = scores.iter().sum();
        let scale = match request.scope {
            Scope::GlobalNormalised if sum > 0.0 => scores.len() as f64 / sum,
            Scope::MacAware => {
                let whole: f64 = dense[place].iter().map(|score| score * score).sum();
                if whole > 0.0 { 1.0 / (own.terms.positions as f64 * whole).sqrt() } else { 1.0 }
            }
            _ => 1.0,
        };
        for (group, (score, members)) in scores.into_iter().zip(members).enumerate() {
            order.push(((score * scale) as f32, std::cmp::Reverse((place, group)), members));
        }
    }
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut keeps: Vec<Vec<bool>> = made.iter().map(|own| vec![true; own.values.len()]).collect();
    let largest: Vec<usize> = made.iter().map(|own| largest(own, request.granularity)).collect();
    let mut gone = 0;
    for (_, std::cmp::Reverse((place, _)), members) in order {
        let left = keeps[place].iter().filter(|keeps| **keeps).count();
        if left - members.len() < request.min_kept * largest[place] {
            continue;
        }
        let over = gone + members.len();
        if over > wanted && over - wanted > wanted.saturating_sub(gone) {
            break;
        }
        members.iter().for_each(|index| keeps[place][*index] = false);
        gone = over;
    }
    keeps
}

fn request(granularity: Granularity, scope: Scope, criterion: Criterion, share: f64) -> Request {
    let amount = Amount::Share(Sparsity::new(share).unwrap());
    Request { granularity, group_score: criterion.group_score(), ..Request::new(scope, amount) }
}

#[test]
fn selection_and_sort_agree_over_everything() {
    let network = network();
    let within = full(&network);
    for (granularity, scope, criterion) in all() {
        for share in [0.0, 0.2, 0.5, 0.8, 0.95] {
            let request = request(granularity, scope, criterion, share);
            let rows = rows(&network, &within, criterion);
            let Some(found) = possible(&rows, &request) else {
                assert!(share > 0.7, "{granularity}, {scope} {criterion} {share}");
                continue;
            };
            let expected: Vec<Vec<bool>> = match scope {
                Scope::Output => {
                    rows.iter().zip(&network).map(|(row, made)| within_outputs(row, made, share)).collect()
                }
                Scope::Layerwise | Scope::Erk => {
                    let own = |(row, made): (&Scores<'_>, &Made)| {
                        let size = made.values.len();
                        let wanted = if scope == Scope::Erk {
                            // What single weights say: the allotment itself has its own twin.
                            erk(&network, granularity, share, made.name)
                        } else {
                            Sparsity::new(share).unwrap().count(size).min(size - largest(made, granularity))
                        };
                        by_sorting(&[row], &[made], &request, wanted).remove(0)
                    };
                    rows.iter().zip(&network).map(own).collect()
                }
                _ => {
                    let total: usize = network.iter().map(|own| own.values.len()).sum();
                    let wanted = Sparsity::new(share).unwrap().count(total);
                    let made: Vec<&Made> = network.iter().collect();
                    by_sorting(&rows.iter().collect::<Vec<_>>(), &made, &request, wanted)
                }
            };
            for ((own, mask), expected) in network.iter().zip(&found).zip(&expected) {
                let bits: Vec<bool> = (0..mask.total()).map(|index| mask.keeps(index)).collect();
                assert_eq!(bits, *expected, "{} by {granularity}, {scope} {criterion} {share}", own.name);
            }
        }
    }
}

/// The reference implementation of the scope `output`: of each unit the lowest go, as many as of the others; the last units lose one more.
fn within_outputs(row: &Scores<'_>, made: &Made, share: f64) -> Vec<bool> {
    let wanted = Sparsity::new(share).unwrap().count(made.values.len()).min(made.values.len().saturating_sub(1));
    let units = members(made, Granularity::Filter {});
    let mut keeps = vec![true; made.values.len()];
    for (place, mut unit) in units.iter().cloned().enumerate() {
        let more = usize::from(place >= units.len() - wanted % units.len());
        unit.sort_by(|a, b| row.scores[*a].total_cmp(&row.scores[*b]).then(b.cmp(a)));
        unit.iter().take(wanted / units.len() + more).for_each(|index| keeps[*index] = false);
    }
    keeps
}

fn erk(network: &[Made], granularity: Granularity, share: f64, name: &str) -> usize {
    let within = full(network);
    let mut rows = rows(network, &within, Criterion::Random);
    for (row, own) in rows.iter_mut().zip(network) {
        row.terms.floor = largest(own, granularity) as f64 / own.values.len().max(1) as f64;
    }
    let request = request(Granularity::Element {}, Scope::Erk, Criterion::Random, share);
    let set = select(&rows, &request).unwrap();
    let mask = set.get(name).unwrap();
    mask.total() - mask.kept()
}

fn all() -> impl Iterator<Item = (Granularity, Scope, Criterion)> {
    let each = |granularity| SCOPES.into_iter().flat_map(move |scope| CRITERIA.map(|own| (granularity, scope, own)));
    // Within an output unit only single weights compete.
    let fits = |own: &(Granularity, Scope, Criterion)| own.1 != Scope::Output || own.0 == Granularity::Element {};
    granularities().into_iter().flat_map(each).filter(fits)
}

#[test]
fn repeated_prunes_are_monotone_exact_and_idempotent() {
    let network = network();
    let total: usize = network.iter().map(|own| own.values.len()).sum();
    for (granularity, scope, criterion) in all() {
        let mut within = full(&network);
        for share in [0.1, 0.1, 0.3, 0.31, 0.6, 0.85, 0.97] {
            let request = request(granularity, scope, criterion, share);
            let place = format!("{granularity}, {scope} {criterion} {share}");
            let Some(next) = possible(&rows(&network, &within, criterion), &request) else {
                assert!(share > 0.7, "{place}");
                continue;
            };
            assert!(next.iter().zip(&within).all(|(new, old)| new.is_within(old)), "{place}");
            assert!(next.iter().all(|mask| mask.kept() > 0 || mask.total() == 0), "{place}: a layer is empty");
            let sizes = network.iter().map(|own| largest(own, granularity));
            let alone = matches!(scope, Scope::Layerwise | Scope::Output | Scope::Erk);
            let bound: usize = if alone { sizes.sum() } else { sizes.max().unwrap() };
            let pruned: usize = next.iter().map(|mask| mask.total() - mask.kept()).sum();
            let off = pruned.abs_diff(Sparsity::new(share).unwrap().count(total));
            let single = granularity == (Granularity::Element {});
            match scope {
                Scope::Layerwise | Scope::Output if single => assert!(off <= network.len(), "{place}: {off}"),
                _ if single => assert_eq!(off, 0, "{place}"),
                // Layer by layer, the floors of small layers come on top.
                _ => assert!(off <= bound, "{place}: {off} of {bound}"),
            }
            for (own, mask) in network.iter().zip(&next) {
                for members in members(own, granularity) {
                    let kept = members.iter().filter(|index| mask.keeps(**index)).count();
                    assert!(kept == 0 || kept == members.len(), "{place}: a group of `{}` is torn", own.name);
                }
            }
            let again = masks_of(&select(&rows(&network, &next, criterion), &request).unwrap());
            assert_eq!(again, next, "{place}: once is enough");
            within = next;
        }
    }
}

#[test]
fn n_of_m_holds_in_every_group() {
    let network = network();
    for (n, m) in [(2, 4), (1, 4), (4, 8), (3, 5), (1, 1), (2, 2)] {
        let granularity = Granularity::NOfM { n, m };
        let mut within = full(&network);
        // In whole weights a group, down to N.
        for kept in (n..=m).rev() {
            let share = 1.0 - kept as f64 / m as f64;
            let request = request(granularity, Scope::Layerwise, Criterion::L1, share);
            let set = select(&rows(&network, &within, Criterion::L1), &request).unwrap();
            let shapes: Vec<(&str, &[usize], Terms)> =
                network.iter().map(|own| (own.name, own.shape.as_slice(), own.terms)).collect();
            assert_eq!(planned(&shapes, &request).unwrap(), Some(set.kept()), "{granularity}");
            let next = masks_of(&set);
            for (own, mask) in network.iter().zip(&next) {
                for members in members(own, granularity) {
                    let found = members.iter().filter(|index| mask.keeps(**index)).count();
                    assert_eq!(found, kept.min(members.len()), "{granularity} of `{}`", own.name);
                    let value = |index: &usize| own.values[*index].abs();
                    let lowest = members.iter().filter(|index| mask.keeps(**index)).map(value).fold(f32::MAX, f32::min);
                    let gone = members.iter().filter(|index| !mask.keeps(**index));
                    assert!(gone.map(value).all(|value| value <= lowest), "{granularity} of `{}`", own.name);
                }
                assert!(mask.is_within(&within[next.iter().position(|own| std::ptr::eq(own, mask)).unwrap()]));
            }
            let again = select(&rows(&network, &next, Criterion::L1), &request).unwrap();
            assert_eq!(masks_of(&again), next, "{granularity}: once is enough");
            within = next;
        }
    }
    let within = full(&network);
    let rows = rows(&network, &within, Criterion::L1);
    let pattern = Granularity::NOfM { n: 2, m: 4 };
    let far = select(&rows, &request(pattern, Scope::Global, Criterion::L1, 0.9)).unwrap_err().to_string();
    assert!(far.contains("2 of 4 always stay, wanted a sparsity of at most 0.5"), "{far}");
    let macs = Request { amount: Amount::Macs(10), ..request(pattern, Scope::Global, Criterion::L1, 0.5) };
    assert!(select(&rows, &macs).unwrap_err().to_string().contains("2:4"));
}

#[test]
fn budgets_of_macs_are_met_within_one_group() {
    let network = network();
    let macs = |masks: &[Mask]| -> u64 {
        network.iter().zip(masks).map(|(own, mask)| own.terms.positions * mask.kept() as u64).sum()
    };
    let whole = macs(&full(&network));
    for (granularity, scope, criterion) in all() {
        let mut within = full(&network);
        for share in [0.3, 0.3, 0.6, 0.9] {
            let gone = (share * whole as f64).ceil() as u64;
            let request = Request { amount: Amount::Macs(gone), ..request(granularity, scope, criterion, 0.0) };
            let place = format!("{granularity}, {scope} {criterion} {share}");
            let Some(next) = possible(&rows(&network, &within, criterion), &request) else {
                // The last filters of the layers, and a layer of one input channel, take up to half of all MACs.
                assert!(share > 0.5, "{place}");
                continue;
            };
            assert!(next.iter().zip(&within).all(|(new, old)| new.is_within(old)), "{place}");
            let alone = matches!(scope, Scope::Layerwise | Scope::Output | Scope::Erk);
            if alone && granularity != (Granularity::Element {}) {
                // Each layer rounds to whole groups of its own.
                continue;
            }
            let left = macs(&next);
            let largest = network.iter().map(|own| own.terms.positions * largest(own, granularity) as u64).max();
            assert!(
                left <= whole - gone && left + largest.unwrap() > whole - gone,
                "{place}: {left} of {}",
                whole - gone
            );
            let again = masks_of(&select(&rows(&network, &next, criterion), &request).unwrap());
            assert_eq!(again, next, "{place}: once is enough");
            within = next;
        }
    }
}

#[test]
fn terms_are_obeyed_and_the_impossible_is_refused() {
    let mut network = network();
    network[0].terms.floor = 0.5;
    network[1].terms.ceiling = 0.3;
    network[3].terms.own = Some(Sparsity::new(0.4).unwrap());
    let within = full(&network);
    let total: usize = network.iter().map(|own| own.values.len()).sum();
    for scope in SCOPES {
        for criterion in CRITERIA {
            let rows = rows(&network, &within, criterion);
            let place = format!("{scope} {criterion}");
            let at = |share| select(&rows, &request(Granularity::Element {}, scope, criterion, share));
            let set = at(0.5).unwrap();
            let kept = |name: &str| set.get(name).unwrap().kept();
            assert!(kept("conv1") >= 23, "{place}");
            assert!(kept("conv2") <= 42, "{place}");
            assert_eq!(kept("fc1"), 403 - 161, "{place}");
            if !matches!(scope, Scope::Layerwise | Scope::Output) {
                assert_eq!(set.pruned(), Sparsity::new(0.5).unwrap().count(total), "{place}");
                let error = at(0.9).unwrap_err().to_string();
                assert!(error.contains("of all layers") && error.contains("floors"), "{place}: {error}");
                assert!(at(0.1).is_err(), "{place}: ceilings ask for more");
            }
        }
    }
}

#[test]
fn the_scope_output_is_for_single_weights() {
    let network = network();
    let within = full(&network);
    let rows = rows(&network, &within, Criterion::L1);
    for granularity in granularities().into_iter().skip(1) {
        let request = request(granularity, Scope::Output, Criterion::L1, 0.5);
        let shapes: Vec<(&str, &[usize], Terms)> = rows.iter().map(|row| (row.name, row.shape, row.terms)).collect();
        for error in [select(&rows, &request).unwrap_err(), planned(&shapes, &request).unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains("`conv1`") && error.contains("output") && error.contains("single"), "{error}");
        }
    }
}

#[test]
fn a_layer_may_be_emptied_only_when_asked() {
    let network = network();
    let within = full(&network);
    let rows = rows(&network, &within, Criterion::L1);
    let careful = request(Granularity::Element {}, Scope::Global, Criterion::L1, 0.99);
    let kept = |request: &Request| -> Vec<usize> {
        select(&rows, request).unwrap().iter().map(|(_, mask)| mask.kept()).collect()
    };
    assert!(kept(&careful).iter().zip(&network).all(|(kept, own)| *kept > 0 || own.values.is_empty()));
    let bold = Request { min_kept: 0, ..careful };
    assert!(kept(&bold).iter().zip(&network).any(|(kept, own)| *kept == 0 && !own.values.is_empty()));
    let all = Request { amount: Amount::Weights(network.iter().map(|own| own.values.len()).sum()), ..bold };
    assert_eq!(kept(&all), [0; 6]);
    let error = select(&rows, &Request { min_kept: 1, ..all }).unwrap_err();
    assert!(matches!(error, Error::Impossible { .. }), "{error}");
}
