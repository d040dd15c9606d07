//! What is coupled to the output units of a network's layers, and what a floor of weights means for units.

use secateur_graph::{Graph, Parameter, Role};
use secateur_pruner::Coupling;

/// Turns floors of weights into floors of units: what a layer keeps is the share of its own units times that of those it
/// reads, so that where both may go each keeps the root of it.
pub(crate) fn floors_of_units(floors: &mut [(&str, &mut f64)], couplings: &[Coupling]) {
    let asked: Vec<f64> = floors.iter().map(|(_, floor)| **floor).collect();
    for (place, floor) in asked.into_iter().enumerate() {
        let Some(read) = couplings.iter().find(|own| own.to == floors[place].0) else { continue };
        let both = [read.to.as_str(), read.from.as_str()];
        for (_, own) in floors.iter_mut().filter(|(name, _)| both.contains(name)) {
            **own = own.max(floor.sqrt());
        }
    }
}

/// What goes along with the filters and neurons of the layers that compete: biases, and what reads them.
pub(crate) fn couplings(graph: &Graph, competes: impl Fn(&str) -> bool) -> Vec<Coupling> {
    let mut found = vec![];
    let mut before: Option<&Parameter> = None;
    for own in graph.parameters() {
        match own.role {
            Role::Weight => {
                if let Some(from) = before {
                    // Through a flatten a channel is as many features as it has pixels.
                    let spread = own.shape[1] / from.shape[0];
                    let (from, to) = (from.name.clone(), own.name.clone());
                    found.push(Coupling { from, output: 0, to, input: 1, spread });
                }
                before = Some(own);
            }
            Role::Bias => {
                let from = before.expect("a bias has a weight before it");
                let (from, to) = (from.name.clone(), own.name.clone());
                found.push(Coupling { from, output: 0, to, input: 0, spread: 1 });
            }
            Role::Scale | Role::Shift | Role::Mean | Role::Variance => {}
        }
    }
    found.retain(|own| competes(&own.from));
    found
}

/// The layer whose output units are the answers: whole units of it never go.
pub(crate) fn answers(graph: &Graph) -> Option<&str> {
    let last = graph.parameters().iter().rfind(|own| own.role == Role::Weight)?;
    Some(&graph.nodes()[last.node].name)
}

/// Whether this is a parameter of a layer.
pub(crate) fn belongs(parameter: &str, layer: &str) -> bool {
    parameter.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
}
