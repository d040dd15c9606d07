//! Which units of a network are pruned as a whole, and what a floor of weights means for them.

use secateur_graph::{Graph, Group, Pin, Role};
use secateur_pruner::{Member, UnitGroup};

/// The groups of a network's output units that can be pruned as a whole; those of which no unit can go are left out.
pub(crate) fn unit_groups(graph: &Graph, round_to: usize) -> Vec<UnitGroup> {
    let free = |group: &Group| group.pinned.iter().any(Option::is_none);
    graph
        .dependency_groups()
        .iter()
        .filter(|group| free(group))
        .map(|group| unit_group(graph, group, round_to))
        .collect()
}

/// A dependency group by the names of its parameters. Running means and variances have no say in what a channel gives once its
/// scale and its shift are gone.
fn unit_group(graph: &Graph, group: &Group, round_to: usize) -> UnitGroup {
    let member = |own: &secateur_graph::Member| {
        let parameter = &graph.parameters()[own.parameter];
        let computes = own.gives() && parameter.role == Role::Weight;
        let member = Member { name: parameter.name.clone(), axis: own.axis, units: own.units.clone(), computes };
        (!parameter.role.is_buffer()).then_some(member)
    };
    let pinned = group.pinned.iter().map(Option::is_some).collect();
    UnitGroup { pinned, members: group.members.iter().filter_map(member).collect(), round_to }
}

/// The weights whose units all stay, each with why: the outputs of the network, and convolutions in groups.
pub(crate) fn pinned(graph: &Graph) -> Vec<(String, Pin)> {
    let mut found = vec![];
    for group in graph.dependency_groups() {
        let Some(why) = group.pinned.first().cloned().flatten().filter(|_| group.pinned.iter().all(Option::is_some))
        else {
            continue;
        };
        let weights = group.members.iter().filter(|own| own.gives());
        let weights = weights.map(|own| &graph.parameters()[own.parameter]).filter(|own| own.role == Role::Weight);
        found.extend(weights.map(|own| (own.name.clone(), why.clone())));
    }
    found
}

/// Turns floors of weights into floors of units: what a layer keeps is the share of its own units times that of those it
/// reads, so that where both may go each keeps the root of it.
pub(crate) fn floors_of_units(floors: &mut [(&str, &mut f64)], groups: &[UnitGroup]) {
    let asked: Vec<f64> = floors.iter().map(|(_, floor)| **floor).collect();
    for (place, floor) in asked.into_iter().enumerate() {
        let name = floors[place].0.to_owned();
        let reads =
            |group: &&UnitGroup| group.members.iter().any(|own| !own.computes && own.axis > 0 && own.name == name);
        let mut both: Vec<&str> =
            groups.iter().filter(reads).flat_map(UnitGroup::computing).map(|own| own.name.as_str()).collect();
        if both.is_empty() {
            continue;
        }
        both.push(&name);
        for (_, own) in floors.iter_mut().filter(|(name, _)| both.contains(name)) {
            **own = own.max(floor.sqrt());
        }
    }
}
