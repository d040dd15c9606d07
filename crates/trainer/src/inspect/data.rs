//! The test images of the runs that are looked into, loaded once for all that share them.

use super::Finished;
use crate::config::DataConfig;
use crate::data::{Dataset, Split, load};
use crate::{Error, folder};

/// The data that was loaded last, and what the test images depend on: the config, without how the training images are divided,
/// and for images that are drawn the seed.
#[derive(Debug, Default)]
pub(super) struct TestImages(Option<((DataConfig, u64), Dataset)>);

impl TestImages {
    /// The test images of a run, checked against its manifest.
    ///
    /// # Errors
    /// When they cannot be loaded, or are others than those that the run was started with.
    pub(super) fn of(&mut self, own: &Finished<'_>) -> Result<&Split, Error> {
        let key = key(own);
        let dataset = match self.0.take() {
            Some((known, dataset)) if known == key => dataset,
            _ => load(&key.0, key.1)?,
        };
        let (_, dataset) = self.0.insert((key, dataset));
        folder::check_data(own.run.folder, &folder::read_manifest(own.run.folder)?, &folder::files(dataset))?;
        Ok(dataset.test_split())
    }
}

fn key(own: &Finished<'_>) -> (DataConfig, u64) {
    let config = own.experiment.config();
    // What training images say of the scale of pixels is theirs alone.
    if config.data.normalisation.is_measured() {
        return (config.data.clone(), config.seed);
    }
    let data = DataConfig { validation: 0, split_seed: 0, synthetic_train: 1, augment: None, ..config.data.clone() };
    let seed = if config.data.source.is_drawn() { config.seed } else { 0 };
    (data, seed)
}
