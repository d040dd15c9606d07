//! A model's weights before, on the way and at the end, and its first layer as pictures.

use super::Finished;
use crate::checkpoint::{self, Checkpoint};
use crate::folder::RunFolder;
use crate::plan::Stage;
use crate::{Error, export, folder, fork, start};
use secateur_pruner::MaskSet;
use secateur_report::views::{Filter, Filters, Histogram, LayerWeights, Moment, Picture};
use secateur_sparse::{LayerWeights as Layer, Trained};
use std::path::Path;

/// Filters that are shown, at most.
const FILTERS: usize = 40;

/// The weights of each layer of the final network, and what they were, as far as that is known.
pub(super) fn layers(
    own: &Finished<'_>,
    network: Trained,
    faults: &mut Vec<String>,
) -> Result<Vec<LayerWeights>, Error> {
    let layer = |Layer { name, weight, .. }: Layer<'_>| LayerWeights {
        name: format!("{name}.weight"),
        kept: weight.iter().filter(|weight| **weight != 0.0).count() as u64,
        total: weight.len() as u64,
        moments: vec![],
    };
    let mut layers: Vec<LayerWeights> = network.layers().into_iter().map(layer).collect();
    let mut add = |moment: Moment, network: &Trained| {
        for (layer, Layer { weight, .. }) in layers.iter_mut().zip(network.layers()) {
            let living: Vec<f32> = weight.iter().copied().filter(|weight| *weight != 0.0).collect();
            layer.moments.push((moment, Histogram::of(&living)));
        }
    };
    // One after the other: a large network is in memory twice, not four times.
    match initial(own) {
        Ok(network) => add(Moment::Start, &network),
        Err(error) => {
            faults.push(format!("The weights that {} started from are not shown: {error}.", own.run.label));
        }
    }
    match dense(own) {
        Ok(network) => network.iter().for_each(|network| add(Moment::Dense, network)),
        Err(error) => faults.push(format!("The dense weights of {} are not shown: {error}.", own.run.label)),
    }
    add(Moment::End, &network);
    Ok(layers)
}

/// The weights before the first step: those that the seed draws, or those of the file that the run started from.
fn initial(own: &Finished<'_>) -> Result<Trained, Error> {
    let manifest = folder::read_manifest(own.run.folder)?;
    let wanted = manifest.start.as_ref().map(|start| start.sha256.as_str());
    match start::read(&own.experiment, wanted)? {
        Some(start) => export::network(own.experiment.graph(), &start.parameters, &start.masks),
        None => {
            let (graph, weights) = (own.experiment.graph(), own.experiment.initial(own.seed()));
            export::network(graph, &weights, &MaskSet::default())
        }
    }
}

/// The network between the dense training and the first prune, when a checkpoint of that time is still there. `None` for a
/// run that only trains, too: there it is the final one. Cells of a sweep have it in the dense training that they began with.
fn dense(own: &Finished<'_>) -> Result<Option<Trained>, Error> {
    let stages = &own.experiment.plan().stages;
    let Some(first) = stages.iter().position(|planned| planned.cycle > 0) else { return Ok(None) };
    let trained = stages[..first].iter().rposition(|planned| matches!(planned.stage, Stage::Train(_)));
    let folder = RunFolder::at(own.run.folder);
    let read = |path: &Path| {
        let found = Checkpoint::load(path, &export::shapes(own.experiment.graph()))?;
        let (parameters, masks) = found.living();
        export::network(own.experiment.graph(), &parameters, &masks)
    };
    if folder.dense().is_dir()
        && let Some(name) = checkpoint::list(&folder.dense())?.last()
    {
        return read(&folder.dense().join(name)).map(Some);
    }
    // Earlier versions kept it as long as any other checkpoint.
    let checkpoints = folder.checkpoints();
    if !checkpoints.is_dir() {
        return shared(own);
    }
    let stage = |name: &str| name.strip_prefix("stage-")?.split('-').next()?.parse::<usize>().ok();
    let dense =
        |name: &&String| stage(name).is_some_and(|stage| stage <= first && trained.is_none_or(|last| stage > last));
    for name in checkpoint::list(&checkpoints)?.iter().filter(dense) {
        let shapes = export::shapes(own.experiment.graph());
        let found = Checkpoint::load(&checkpoints.join(name), &shapes)?;
        // A cycle may begin with training that prepares its prune.
        if found.cursor.stage_step == 0 {
            let (parameters, masks) = found.living();
            return Ok(Some(export::network(own.experiment.graph(), &parameters, &masks)?));
        }
    }
    shared(own)
}

/// The end of the dense training that a cell of a sweep began with, where that is still there.
fn shared(own: &Finished<'_>) -> Result<Option<Trained>, Error> {
    let Some(start) = fork::start_of(&own.experiment)? else { return Ok(None) };
    let beside = own.run.folder.parent().map(|out| out.join(fork::STARTS).join(start.run_name()));
    let Some(run) = beside.filter(|run| folder::is_finished(run)) else { return Ok(None) };
    let (parameters, masks) = export::read(&RunFolder::at(run).model(), &start)?;
    export::network(own.experiment.graph(), &parameters, &masks).map(Some)
}

/// The first layer's weights as pictures, those filters that keep most; `None` where they are none.
pub(super) fn filters(network: &Trained) -> Option<Filters> {
    let [channels, _, columns] = network.input();
    let Layer { name, shape, weight } = network.layers().into_iter().next()?;
    let (channels, width) = match shape[..] {
        [_, channels @ (1 | 3), _, width] => (channels, width),
        // Each neuron sees the whole image.
        [_, inputs] if [1, 3].contains(&channels) && inputs == network.input().iter().product::<usize>() => {
            (channels, columns)
        }
        _ => return None,
    };
    let size: usize = shape[1..].iter().product();
    let finite = weight.iter().copied().filter(|weight| weight.is_finite());
    let scale = finite.fold(0.0, |scale: f32, weight| scale.max(weight.abs()));
    let kept = |filter: &[f32]| filter.iter().filter(|weight| **weight != 0.0).count();
    let mut order: Vec<(usize, &[f32])> = weight.chunks_exact(size.max(1)).enumerate().collect();
    let count = order.len() as u64;
    order.sort_by_key(|(index, filter)| (std::cmp::Reverse(kept(filter)), *index));
    order.truncate(FILTERS);
    order.sort_by_key(|(index, _)| *index);
    let filter = |(index, filter): (usize, &[f32])| {
        let picture = Picture::of_weights(channels, width as u32, filter, scale, |place| filter[place] != 0.0)?;
        Some(Filter { index: index as u64, kept: kept(filter) as u64, total: size as u64, picture })
    };
    let shown = order.into_iter().filter_map(filter).collect();
    Some(Filters { layer: name.to_owned(), count, scale, channels, shown })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{ModelConfig, testing};

    #[test]
    fn filters_have_holes_where_weights_are_zero_and_those_that_keep_most_are_shown() {
        // Of neuron 7 of 300 nothing is pruned, of the others all but as many weights as their number modulo 100.
        let mut network = testing::network(ModelConfig::Lenet300 {}, 1);
        for (index, weight) in network.weights.get_mut("fc1.weight").expect("it has one").iter_mut().enumerate() {
            let (row, column) = (index / 784, index % 784);
            *weight = if row == 7 || column < row % 100 { 0.5 } else { 0.0 };
        }
        let own = filters(&network).expect("pictures of whole images");
        assert_eq!((own.layer.as_str(), own.count, own.shown.len(), own.scale), ("fc1", 300, FILTERS, 0.5));
        let indices: Vec<u64> = own.shown.iter().map(|filter| filter.index).collect();
        // Numbers 87 to 99 of each hundred are 39, and neuron 7 makes 40.
        let wanted = std::iter::once(7).chain((0..300).filter(|index| index % 100 > 86)).collect::<Vec<u64>>();
        assert_eq!(indices, wanted);
        let filter = &own.shown[1];
        assert_eq!((filter.index, filter.kept, filter.total), (87, 87, 784));
        assert_eq!((filter.picture.width(), filter.picture.height()), (28, 28));
        let holes: Vec<bool> = filter.picture.pixels().iter().map(Option::is_none).collect();
        assert!(holes.iter().enumerate().all(|(place, hole)| *hole == (place >= 87)));
        assert!(own.shown[0].picture.pixels().iter().all(|pixel| *pixel == Some([255; 3])));
    }

    #[test]
    fn filters_of_colour_images_are_in_colour() {
        let graph = ModelConfig::Mlp { hidden: vec![4] }.graph([3, 5, 6], 2).expect("fits");
        let mut weights = secateur_graph::Weights::neutral(&graph);
        let values = weights.get_mut("fc1.weight").expect("the first layer");
        (values[0], values[31]) = (1.0, -1.0);
        let own = filters(&Trained { graph, weights }).expect("three channels");
        assert_eq!((own.channels, own.count, own.shown[0].kept, own.shown[0].total), (3, 4, 2, 90));
        assert_eq!(own.scale, 1.0);
        let picture = &own.shown[0].picture;
        assert_eq!((picture.width(), picture.height()), (6, 5));
        assert_eq!(picture.pixels()[..3], [Some([255, 128, 128]), Some([128, 1, 128]), None]);
    }

    #[test]
    fn a_convolution_is_a_picture_a_filter() {
        let own = filters(&testing::network(ModelConfig::Lenet5 {}, 1)).expect("one channel");
        assert_eq!((own.layer.as_str(), own.count, own.shown.len()), ("conv1", 20, 20));
        assert!(own.shown.iter().all(|filter| (filter.picture.width(), filter.kept, filter.total) == (5, 25, 25)));
    }
}
