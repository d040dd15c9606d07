//! What is coupled to the output units of a network's layers, and what a floor of weights means for units.

use secateur_pruner::Coupling;
use secateur_sparse::{Layer, Network};

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
pub(crate) fn couplings(network: &Network, competes: impl Fn(&str) -> bool) -> Vec<Coupling> {
    let mut found = vec![];
    let mut before: Option<(&str, usize, usize)> = None;
    for (place, layer) in network.layers().iter().enumerate() {
        let Some(own) = layer.parameters() else { continue };
        let weight = format!("{}.weight", own.name);
        let linear = matches!(layer, Layer::Linear(_));
        if let Some((from, output, units)) = before {
            // Through a flatten a channel is as many features as it has pixels.
            let [channels, height, width] = network.shape(place);
            let spread = if linear { channels * height * width / units.max(1) } else { 1 };
            let input = usize::from(!linear);
            found.push(Coupling { from: format!("{from}.weight"), output, to: weight.clone(), input, spread });
        }
        let output = usize::from(linear);
        found.push(Coupling { from: weight, output, to: format!("{}.bias", own.name), input: 0, spread: 1 });
        before = Some((own.name, output, own.bias.len()));
    }
    found.retain(|own| competes(&own.from));
    found
}

/// The layer whose output units are the answers: whole units of it never go.
pub(crate) fn answers(network: &Network) -> Option<&str> {
    network.layers().iter().filter_map(Layer::parameters).next_back().map(|own| own.name)
}

/// Whether this is a parameter of a layer.
pub(crate) fn belongs(parameter: &str, layer: &str) -> bool {
    parameter.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
}
