//! Against the reference implementation: every number of units tried, every weight looked at.

use super::*;
use crate::{GroupScore, Layout, Member, Scope, Sparsity};
use std::cmp::Reverse;
use std::collections::BTreeMap;

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

/// A chain of layers with their biases, convolutions first; the last layer only reads. Some layers add what they read to what
/// they give, so that their units are those of the layer before.
struct Net {
    masks: MaskSet,
    terms: BTreeMap<String, Terms>,
    groups: Vec<UnitGroup>,
    costs: BTreeMap<String, u64>,
}

fn net(numbers: &mut Numbers) -> Net {
    let convolutions = numbers.below(3);
    let count = convolutions + numbers.one_of(&[2, 2, 3]);
    let mut inputs = 1 + numbers.below(3);
    let mut net = Net { masks: MaskSet::default(), terms: BTreeMap::new(), groups: vec![], costs: BTreeMap::new() };
    let mut masks = vec![];
    for layer in 0..count {
        let (weight, bias) = (format!("l{layer}.weight"), format!("l{layer}.bias"));
        let convolution = layer < convolutions;
        let last = layer + 1 == count;
        let spread = if layer == convolutions && layer > 0 { numbers.one_of(&[1, 2, 4]) } else { 1 };
        let adds = layer > 0 && !last && spread == 1 && numbers.below(4) == 0;
        let units = if adds { inputs } else { numbers.one_of(&[1, 2, 3, 5, 8]) };
        let (shape, layout) = if convolution {
            (vec![units, inputs, 1, numbers.one_of(&[1, 2, 3])], Layout::CONV)
        } else {
            (vec![inputs * spread, units], Layout::LINEAR)
        };
        if let Some(group) = net.groups.pop() {
            net.groups.push(group.read_by(&weight, layout.input.expect("a weight has inputs"), spread));
        }
        let positions = if convolution { numbers.one_of(&[1, 4, 9]) } else { 1 };
        net.costs.insert(weight.clone(), positions);
        masks.push((weight.clone(), Mask::full(&shape)));
        if !last {
            let group = if adds { net.groups.pop().expect("a layer before") } else { UnitGroup::new(units) };
            let competes = match group.computing().next() {
                Some(first) => net.terms.contains_key(&first.name),
                None => numbers.below(5) > 0,
            };
            let mut group = group.computed_by(&weight, layout.output).with(&bias);
            if numbers.below(4) == 0 {
                group.round_to = numbers.one_of(&[2, 3, 4]);
            }
            if numbers.below(6) == 0 {
                let pinned = numbers.below(units);
                group.pinned[pinned] = true;
            }
            net.groups.push(group);
            masks.push((bias, Mask::full(&[units])));
            if competes {
                let floor = numbers.one_of(&[0.0, 0.0, 0.0, 0.4]);
                let ceiling = numbers.one_of(&[1.0, 1.0, 1.0, 0.7]);
                let own = numbers.one_of(&[None, None, None, None, Sparsity::new(0.4).ok()]);
                net.terms.insert(weight.clone(), Terms { layout, positions, floor, ceiling, own });
            }
        }
        inputs = units;
    }
    // Units of a layer that does not compete never go first, but may have nothing left to read.
    net.masks = MaskSet::new(masks);
    net
}

/// Where an element stands on an axis, by division.
fn on_axis(shape: &[usize], axis: usize, index: usize) -> usize {
    index / shape[axis + 1..].iter().product::<usize>() % shape[axis]
}

/// The elements of a member that belong to a unit, in order.
fn elements(net: &Net, member: &Member, unit: usize) -> Vec<usize> {
    let mask = net.masks.get(&member.name).expect("a parameter");
    (0..mask.total()).filter(|at| member.units[on_axis(mask.shape(), member.axis, *at)] == Some(unit)).collect()
}

/// All that goes when these elements are gone, unit by unit until nothing changes.
fn closed(net: &Net, mut lives: Lives) -> Lives {
    loop {
        let before = lives.clone();
        for group in &net.groups {
            for unit in (0..group.len()).filter(|unit| !group.pinned[*unit]) {
                let living =
                    |member: &Member| elements(net, member, unit).into_iter().any(|at| before[&member.name][at]);
                if !group.computing().any(living) {
                    take(net, group, unit, &mut lives);
                }
            }
        }
        if lives == before {
            return lives;
        }
    }
}

/// Takes a unit away.
fn take(net: &Net, group: &UnitGroup, unit: usize, lives: &mut Lives) {
    for member in &group.members {
        let own = lives.get_mut(&member.name).expect("a parameter");
        elements(net, member, unit).into_iter().for_each(|at| own[at] = false);
    }
}

type Lives = BTreeMap<String, Vec<bool>>;

fn lives(masks: &MaskSet) -> Lives {
    masks.iter().map(|(name, mask)| (name.to_owned(), (0..mask.total()).map(|at| mask.keeps(at)).collect())).collect()
}

/// The units that have to go, and the others that may, both in order.
fn in_order(net: &Net, old: &MaskSet, scores: &[Vec<f32>], request: &Request) -> (Vec<Goes>, Vec<Goes>) {
    let (mut given, mut rest) = (vec![], vec![]);
    let dense: BTreeMap<&str, Vec<f32>> =
        old.iter().zip(scores).map(|((name, mask), scores)| (name, mask.scatter(scores))).collect();
    for (place, group) in net.groups.iter().enumerate() {
        let computing: Vec<&Member> = group.computing().collect();
        let all: Vec<Terms> = computing.iter().filter_map(|own| net.terms.get(&own.name).copied()).collect();
        let free: Vec<usize> = (0..group.len()).filter(|unit| !group.pinned[*unit]).collect();
        if all.is_empty() || free.is_empty() {
            continue;
        }
        let total: usize = computing.iter().map(|own| old.get(&own.name).expect("named").total()).sum();
        let macs: u64 = computing
            .iter()
            .zip(&all)
            .map(|(own, terms)| old.get(&own.name).expect("named").total() as u64 * terms.positions)
            .sum();
        let terms = Terms {
            layout: Layout::CONV,
            positions: macs / total as u64,
            floor: all.iter().map(|own| own.floor).fold(0.0, f64::max),
            ceiling: all.iter().map(|own| own.ceiling).fold(1.0, f64::min),
            own: all.iter().find_map(|own| own.own),
        };
        let (units, size) = (free.len(), total / group.len());
        let mut found = vec![];
        for unit in &free {
            let of = |own: &&Member| {
                let (mask, dense) = (old.get(&own.name).expect("named"), &dense[own.name.as_str()]);
                let kept = elements(net, own, *unit).into_iter().filter(|at| mask.keeps(*at));
                kept.map(|at| f64::from(dense[at])).collect::<Vec<_>>()
            };
            let living: Vec<f64> = computing.iter().flat_map(of).collect();
            let part = if request.scope == Scope::MacAware { size as f64 } else { 1.0 };
            let score = match request.group_score {
                _ if living.is_empty() => continue,
                GroupScore::L1 => living.iter().sum::<f64>() / part,
                GroupScore::L2 => (living.iter().map(|score| score * score).sum::<f64>() / part).sqrt(),
                GroupScore::Mean => living.iter().sum::<f64>() / size as f64,
                GroupScore::First => living[0],
            };
            found.push((*unit, score, living.iter().map(|score| score.powi(2)).sum::<f64>()));
        }
        let sum: f64 = found.iter().map(|(_, score, _)| score).sum();
        let squares: f64 = found.iter().map(|(.., squares)| squares).sum();
        let scale = match request.scope {
            Scope::GlobalNormalised if sum > 0.0 => found.len() as f64 / sum,
            Scope::MacAware if squares > 0.0 => 1.0 / (terms.positions as f64 * squares).sqrt(),
            _ => 1.0,
        };
        let mut order: Vec<(f32, Reverse<usize>)> =
            found.iter().map(|(unit, score, _)| ((score * scale) as f32, Reverse(*unit))).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let stays = |kept: usize| kept as f64 + 1e-9 < terms.floor * units as f64 || kept * size < request.min_kept;
        let most = (0..=units).rev().find(|gone| !stays(units - gone)).unwrap_or(0);
        let nearest = |share: f64| {
            (0..=most).min_by(|a, b| {
                let far = |gone: &usize| (*gone as f64 - share * units as f64).abs();
                // Of two as near the lower one, but for the arithmetic.
                if (far(a) - far(b)).abs() < 1e-8 { a.cmp(b) } else { far(a).total_cmp(&far(b)) }
            })
        };
        let (least, most) = match terms.own {
            Some(own) => (nearest(own.get()).unwrap_or(0), nearest(own.get()).unwrap_or(0)),
            None => (nearest(1.0 - terms.ceiling).unwrap_or(0), most),
        };
        let gone = units - order.len();
        // The sides of the layer, or of the matrix that the weights of several are.
        let sides: usize = match &computing[..] {
            [one] => {
                let shape = old.get(&one.name).expect("named").shape();
                shape.iter().sum::<usize>() - group.len() + units
            }
            _ => units + size,
        };
        for (after, (score, Reverse(unit))) in (gone + 1..).zip(order) {
            // The density half-way through the loss, over the factor of Erdos-Renyi-Kernel.
            let density = ((units - after) as f64 + 0.5) / units as f64;
            let rank = match request.scope {
                Scope::Layerwise => -density,
                Scope::Erk => -density * (units * size) as f64 / sides as f64,
                _ => f64::from(score),
            };
            let goes = Goes { rank, place, unit };
            if after <= least {
                given.push(goes);
            } else if after <= most {
                rest.push(goes);
            }
        }
    }
    rest.sort_by(|a, b| {
        let close = (a.rank - b.rank).abs() <= 1e-12 * a.rank.abs() && !request.scope.is_common();
        let ranks = if close { std::cmp::Ordering::Equal } else { a.rank.total_cmp(&b.rank) };
        ranks.then((b.place, b.unit).cmp(&(a.place, a.unit)))
    });
    (given, rest)
}

#[derive(Clone, Copy, Debug)]
struct Goes {
    rank: f64,
    place: usize,
    unit: usize,
}

/// What is gone, and what lives, for every number of units that may go; where that misses the amount, also without the layers
/// whose next unit passes it.
fn all(net: &Net, old: &MaskSet, scores: &[Vec<f32>], request: &Request, macs: bool, wanted: u64) -> Vec<(u64, Lives)> {
    let (mut given, mut rest) = in_order(net, old, scores, request);
    let cost = |name: &str| if macs { net.costs.get(name).copied().unwrap_or(0) } else { 1 };
    let total: u64 = old.iter().map(|(name, mask)| cost(name) * mask.total() as u64).sum();
    let is_near = |gone: u64| gone.abs_diff(wanted) <= total / 100 && (gone >= wanted || !macs);
    let mut found = vec![];
    loop {
        found.extend(numbers_of(net, old, &given, &rest, macs));
        let own = &found[found.len() - rest.len() - 1..];
        let Some(passes) = own.iter().position(|(gone, _)| *gone >= wanted).filter(|place| *place > 0) else {
            return found;
        };
        if found.iter().any(|(gone, _)| is_near(*gone)) {
            return found;
        }
        let kept = rest[passes - 1].place;
        given.extend(rest.drain(..passes).take(passes - 1));
        rest.retain(|goes| goes.place != kept);
    }
}

/// What is gone, and what lives, for every number of units of `rest` that go after those that are given.
fn numbers_of(net: &Net, old: &MaskSet, given: &[Goes], rest: &[Goes], macs: bool) -> Vec<(u64, Lives)> {
    let mut found = vec![];
    for count in 0..=rest.len() {
        let mut own = lives(old);
        for (place, group) in net.groups.iter().enumerate() {
            let going: Vec<usize> =
                given.iter().chain(&rest[..count]).filter(|goes| goes.place == place).map(|goes| goes.unit).collect();
            let alive = |unit: &usize| {
                let living = |member: &Member| {
                    elements(net, member, *unit).into_iter().any(|at| old.get(&member.name).expect("named").keeps(at))
                };
                group.pinned[*unit] || group.computing().any(living)
            };
            let alive = (0..group.len()).filter(alive).count();
            // The last ones to go stay until a multiple is left.
            let mut count = going.len();
            while count > 0 && !(alive - count).is_multiple_of(group.round_to) {
                count -= 1;
            }
            going[..count].iter().for_each(|unit| take(net, group, *unit, &mut own));
        }
        let own = closed(net, own);
        let cost = |name: &str| if macs { net.costs.get(name).copied().unwrap_or(0) } else { 1 };
        let gone = own.iter().map(|(name, bits)| cost(name) * bits.iter().filter(|lives| !**lives).count() as u64);
        found.push((gone.sum(), own));
    }
    found
}

#[test]
fn the_nearest_of_all_numbers_of_units_is_found_whatever_went_before() {
    let numbers = &mut Numbers(1);
    for case in 0..700 {
        let net = net(numbers);
        let mut old = net.masks.clone();
        if numbers.below(4) == 0 {
            // Single weights are gone before, and what belonged to dead units is still there.
            let thin =
                old.iter().map(|(name, mask)| (name.to_owned(), Mask::from_fn(mask.shape(), |_| numbers.below(4) > 0)));
            old = MaskSet::new(thin.collect());
        }
        let macs = numbers.below(3) == 0;
        let cost = |name: &str| if macs { net.costs.get(name).copied().unwrap_or(0) } else { 1 };
        let total: u64 = old.iter().map(|(name, mask)| cost(name) * mask.total() as u64).sum();
        let scope =
            numbers.one_of(&[Scope::Layerwise, Scope::Global, Scope::GlobalNormalised, Scope::Erk, Scope::MacAware]);
        let group_score = numbers.one_of(&[GroupScore::L1, GroupScore::L2, GroupScore::Mean, GroupScore::First]);
        let (min_kept, mut share) = (numbers.below(3), 0);
        for _ in 0..3 {
            share += numbers.below(45);
            let wanted = total * share as u64 / 100;
            let amount = if macs { Amount::Macs(wanted) } else { Amount::Weights(wanted as usize) };
            let request = Request { granularity: Granularity::Filter {}, group_score, scope, amount, min_kept };
            let values = numbers.one_of(&[3, 1 << 20]);
            let scores: Vec<Vec<f32>> = old
                .iter()
                .map(|(_, mask)| (0..mask.kept()).map(|_| numbers.below(values) as f32 / values as f32).collect())
                .collect();
            let terms = |name: &str, _: &[usize]| net.terms.get(name).copied();
            let new = choose_coupled(|place, _, _| Ok(scores[place].clone()), &old, &request, terms, &net.groups, cost)
                .expect("nothing is refused");
            let reachable = all(&net, &old, &scores, &request, macs, wanted);
            let enough = reachable.iter().filter(|(gone, _)| *gone >= wanted).min_by_key(|(gone, _)| *gone);
            let nearest = reachable.iter().min_by_key(|(gone, _)| (gone.abs_diff(wanted), Reverse(*gone)));
            let expected = if macs { enough.or(reachable.last()) } else { nearest };
            let (gone, expected) = expected.expect("none may go, too");
            assert_eq!(&lives(&new), expected, "case {case}: {gone} of {wanted}, {request:?}, {:?}", net.terms);
            assert!(new.is_within(&old));
            old = new;
        }
    }
}

#[test]
fn a_prune_goes_on_where_one_unit_takes_more_along_than_it_has_itself() {
    // Three filters of one weight, each read by 20 weights; the second prune is to take one more filter, whose own weight
    // is far below what an amount of weights can tell apart.
    let set = MaskSet::new(vec![
        ("a.weight".into(), Mask::full(&[3, 1, 1])),
        ("b.weight".into(), Mask::full(&[3, 20])),
        ("c.weight".into(), Mask::full(&[20, 2])),
    ]);
    let groups = [
        UnitGroup::new(3).computed_by("a.weight", 0).read_by("b.weight", 0, 1),
        UnitGroup::new(20).computed_by("b.weight", 1).read_by("c.weight", 0, 1),
    ];
    let terms = |name: &str, _: &[usize]| match name {
        "a.weight" => Some(Terms::new(Layout::CONV)),
        "b.weight" => Some(Terms::new(Layout::LINEAR)),
        _ => None,
    };
    let scores = |_: usize, name: &str, mask: &Mask| {
        Ok(mask.indices().map(|index| if name == "a.weight" { index as f32 } else { 10.0 + index as f32 }).collect())
    };
    let mut masks = set;
    for (wanted, filters) in [(20, 1), (41, 2)] {
        let request =
            Request { granularity: Granularity::Filter {}, ..Request::new(Scope::Global, Amount::Weights(wanted)) };
        masks = choose_coupled(scores, &masks, &request, terms, &groups, |_| 1).expect("possible");
        assert_eq!(masks.get("a.weight").map(|mask| mask.total() - mask.kept()), Some(filters), "{wanted}");
        assert_eq!(masks.pruned(), 21 * filters);
    }
    let request = Request { granularity: Granularity::Channel {}, ..Request::new(Scope::Global, Amount::Weights(9)) };
    let error = choose_coupled(scores, &masks, &request, terms, &groups, |_| 1).expect_err("no output units");
    assert!(error.to_string().contains("expected `filter`"), "{error}");
}
