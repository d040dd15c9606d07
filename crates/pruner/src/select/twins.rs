//! Slow twins of what selects groups: every group in one sorted list, taken one by one as the documentation says.

use super::*;
use crate::{Layout, Mask};
use std::cmp::Reverse;

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// A layer of any shape and layout; scores that tie often, or never, or are zero; a mask that is full, or has lost single
/// weights or whole rows.
struct Made {
    shape: Vec<usize>,
    terms: Terms,
    within: Mask,
    scores: Vec<f32>,
}

fn made(numbers: &mut Numbers) -> Made {
    let axes = numbers.one_of(&[2, 2, 2, 3, 4]);
    let mut shape: Vec<usize> = (0..axes).map(|_| numbers.one_of(&[1, 2, 3, 4, 5, 7, 9])).collect();
    let [long, empty] = [numbers.below(axes), numbers.below(axes)];
    shape[long] = numbers.one_of(&[1, 6, 64, 70]);
    shape[empty] = numbers.one_of(&[0, shape[empty], shape[empty], shape[empty], shape[empty]]);
    let output = numbers.below(axes);
    let layout = Layout { output, input: Some((output + 1 + numbers.below(axes - 1)) % axes) };
    let positions = numbers.one_of(&[0, 1, 1, 2, 9]);
    let floor = numbers.one_of(&[0.0, 0.0, 0.0, 0.3]);
    let ceiling = numbers.one_of(&[1.0, 1.0, 1.0, 0.6]);
    let own = numbers.one_of(&[None, None, None, None, Sparsity::new(0.5).ok()]);
    let last = shape.last().copied().unwrap_or(1).max(1);
    let kind = numbers.below(4);
    let within = Mask::from_fn(&shape, |index| match kind {
        0 | 1 => true,
        2 => numbers.below(4) > 0,
        _ => index / last % 3 > 0,
    });
    let values = numbers.one_of(&[3, 1 << 24]);
    let scores = (0..within.kept()).map(|_| numbers.below(values) as f32 / values as f32).collect();
    Made { shape, terms: Terms { layout, positions, floor, ceiling, own }, within, scores }
}

fn rows(layers: &[Made]) -> Vec<Scores<'_>> {
    let row = |own: &'_ Made| (own.scores.clone(), own.terms);
    let rows = layers.iter().map(|own| (own, row(own)));
    rows.map(|(own, (scores, terms))| Scores { name: "w", shape: &own.shape, scores, within: &own.within, terms })
        .collect()
}

/// Members of each group, in the order of first elements; places on the axes are found by division.
fn members(shape: &[usize], layout: Layout, granularity: Granularity) -> Vec<Vec<usize>> {
    let input = layout.input.expect("layers here have both axes");
    let mut groups = std::collections::BTreeMap::<_, Vec<usize>>::new();
    for index in 0..shape.iter().product() {
        let stride = |axis: usize| shape[axis + 1..].iter().product::<usize>();
        let place = |axis: usize| index / stride(axis) % shape[axis];
        let (o, i) = (place(layout.output), place(input));
        let tap = index - o * stride(layout.output) - i * stride(input);
        let key = match granularity {
            Granularity::Element {} => (o, i, tap),
            Granularity::NOfM { m, .. } => (o, i / m, tap),
            Granularity::Block { outputs, inputs } => (o / outputs, i / inputs, tap),
            Granularity::Filter {} => (o, 0, 0),
            Granularity::Channel {} => (i, 0, 0),
        };
        groups.entry(key).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.sort();
    groups
}

/// The score of a group of which something lives.
fn group_score(living: &[f32], size: usize, scope: Scope, kind: GroupScore) -> f64 {
    let scores = living.iter().map(|score| f64::from(*score));
    let part = if scope == Scope::MacAware { size as f64 } else { 1.0 };
    match kind {
        GroupScore::L1 => scores.fold(0.0, |sum, score| sum + score) / part,
        GroupScore::L2 => (scores.fold(0.0, |sum, score| sum + score * score) / part).sqrt(),
        GroupScore::Mean => scores.fold(0.0, |sum, score| sum + score) / size as f64,
        GroupScore::First => f64::from(living[0]),
    }
}

fn by_sorting(entrants: &[Entrant<'_, '_>], wanted: u64, request: &Request) -> Vec<Mask> {
    let mut groups = vec![];
    let mut order = vec![];
    for (place, own) in entrants.iter().enumerate() {
        let within = own.layer.within;
        let dense = within.scatter(&own.layer.scores);
        groups.push(members(own.layer.shape, own.layer.terms.layout, request.granularity));
        let mut scores = vec![];
        for (group, members) in groups[place].iter().enumerate() {
            let living: Vec<f32> =
                members.iter().filter(|index| within.keeps(**index)).map(|index| dense[*index]).collect();
            if !living.is_empty() {
                scores.push((group, group_score(&living, members.len(), request.scope, request.group_score)));
            }
        }
        let sum = scores.iter().fold(0.0, |sum, (_, score)| sum + score);
        let scale = match request.scope {
            Scope::GlobalNormalised if sum > 0.0 => scores.len() as f64 / sum,
            Scope::GlobalNormalised => 1.0,
            _ => own.scale,
        };
        order
            .extend(scores.iter().map(|(group, score)| (((score * scale) as f32).to_bits(), Reverse((place, *group)))));
    }
    order.sort();
    let largest = |own: &Entrant<'_, '_>| own.cost * groups::largest(own, request);
    let mut counts: Vec<usize> = entrants.iter().map(|own| own.pruned).collect();
    let mut goes: Vec<Vec<bool>> = entrants.iter().map(|own| vec![false; own.layer.within.total()]).collect();
    let mut take =
        |place: usize, group: usize| groups[place][group].iter().for_each(|index| goes[place][*index] = true);
    order.retain(|(_, Reverse((place, group)))| {
        let (own, count, size) = (&entrants[*place], &mut counts[*place], groups[*place][*group].len());
        let given = *count + size / 2 < own.bounds.least && *count + size <= own.bounds.most;
        if given {
            *count += size;
            take(*place, *group);
        }
        !given
    });
    let mut gone: u64 = entrants.iter().zip(&counts).map(|(own, count)| own.cost * *count as u64).sum();
    let macs = matches!(request.amount, Amount::Macs(_));
    let again = entrants.iter().any(|own| own.pruned > 0);
    let near = again && gone.abs_diff(wanted) * 2 <= entrants.iter().map(largest).max().unwrap_or(0);
    for (_, Reverse((place, group))) in order {
        let (own, size) = (&entrants[place], groups[place][group].len());
        let cost = own.cost * size as u64;
        if counts[place] + size > own.bounds.most || cost == 0 {
            continue;
        }
        let nearer = gone + cost <= wanted || gone + cost - wanted <= wanted.saturating_sub(gone);
        if if macs { gone >= wanted } else { near || !nearer } {
            break;
        }
        (counts[place], gone) = (counts[place] + size, gone + cost);
        take(place, group);
    }
    let mask = |(own, goes): (&Entrant<'_, '_>, &Vec<bool>)| {
        let within = own.layer.within;
        Mask::from_fn(within.shape(), |index| within.keeps(index) && !goes[index])
    };
    entrants.iter().zip(&goes).map(mask).collect()
}

#[test]
fn histograms_and_a_sort_select_the_same_groups() {
    let numbers = &mut Numbers(1);
    let mut compared = 0;
    for case in 0..8_000 {
        let layers: Vec<Made> = (0..1 + numbers.below(3)).map(|_| made(numbers)).collect();
        let rows = rows(&layers);
        let total: usize = rows.iter().map(|row| row.within.total()).sum();
        let [outputs, inputs] = [(); 2].map(|()| numbers.one_of(&[1, 2, 3, 4, 16]));
        let block = Granularity::Block { outputs, inputs };
        let granularity =
            numbers.one_of(&[block, block, Granularity::Filter {}, Granularity::Channel {}, Granularity::Element {}]);
        let single = granularity == Granularity::Element {};
        let share = numbers.below(100);
        let macs: usize = rows.iter().map(|row| row.terms.positions as usize * row.within.total()).sum();
        let amount = match numbers.below(3) {
            // Single weights of layers without MACs go, too, in the order of the others.
            0 if !single || rows.iter().all(|row| row.terms.positions > 0) => Amount::Macs((macs * share / 100) as u64),
            _ => Amount::Weights(total * share / 100),
        };
        let wanted = match amount {
            Amount::Macs(macs) => macs,
            _ => (total * share / 100) as u64,
        };
        let request = Request {
            granularity,
            group_score: numbers.one_of(&[GroupScore::L1, GroupScore::L2, GroupScore::Mean, GroupScore::First]),
            scope: numbers.one_of(&[Scope::Global, Scope::GlobalNormalised, Scope::MacAware]),
            amount,
            min_kept: numbers.below(3),
        };
        let entrants: Vec<Entrant<'_, '_>> =
            rows.iter().map(|row| enter(row, &request).expect("every granularity fits here")).collect();
        let Ok(found) = compete(&entrants, wanted, &request) else { continue };
        let expected = by_sorting(&entrants, check(&entrants, wanted, &request).expect("it was possible"), &request);
        for ((found, expected), own) in found.iter().zip(&expected).zip(&layers) {
            let bits = |mask: &Mask| (0..mask.total()).map(|index| u8::from(mask.keeps(index))).collect::<Vec<_>>();
            assert_eq!(bits(found), bits(expected), "case {case}: {:?} {:?}, {request:?}", own.shape, own.terms);
        }
        compared += 1;
    }
    assert!(compared > 2_000, "only {compared} of the requests were possible");
}

#[test]
fn what_counts_as_pruned_is_counted_group_by_group() {
    let numbers = &mut Numbers(2);
    for _ in 0..2_000 {
        let own = made(numbers);
        let [outputs, inputs] = [(); 2].map(|()| numbers.one_of(&[1, 2, 3, 70]));
        let granularity =
            numbers.one_of(&[Granularity::Block { outputs, inputs }, Granularity::Filter {}, Granularity::Channel {}]);
        let tiling = granularity.tiling("w", &own.shape, own.terms.layout).expect("fits");
        let dead = members(&own.shape, own.terms.layout, granularity).into_iter();
        let dead = dead.filter(|members| members.iter().all(|index| !own.within.keeps(*index)));
        let expected: usize = dead.map(|members| members.len()).sum();
        assert_eq!(group_scores::pruned(&own.within, &tiling), expected, "{:?} by {granularity}", own.shape);
    }
}

#[test]
fn n_of_m_and_a_sort_of_each_group_agree() {
    let numbers = &mut Numbers(3);
    for _ in 0..5_000 {
        let own = made(numbers);
        let (m, rows) = (numbers.one_of(&[1, 2, 3, 4, 5, 8, 16]), rows(std::slice::from_ref(&own)));
        let kept = 1 + numbers.below(m);
        let granularity = Granularity::NOfM { n: 1, m };
        let amount = Amount::Share(Sparsity::new(1.0 - kept as f64 / m as f64).expect("in range"));
        let request = Request { granularity, ..Request::new(Scope::Layerwise, amount) };
        let found = select(&rows, &request).expect("possible");
        let dense = own.within.scatter(&own.scores);
        let mut stays = vec![false; dense.len()];
        for members in members(&own.shape, own.terms.layout, granularity) {
            let mut living: Vec<usize> = members.into_iter().filter(|index| own.within.keeps(*index)).collect();
            living.sort_by(|a, b| dense[*b].total_cmp(&dense[*a]).then(a.cmp(b)));
            living.iter().take(kept).for_each(|index| stays[*index] = true);
        }
        let expected = Mask::from_fn(&own.shape, |index| stays[index]);
        assert_eq!(found.get("w"), Some(&expected), "{:?} by {kept} of {m}: {:?}", own.shape, own.terms.layout);
    }
}
