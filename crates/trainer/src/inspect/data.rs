//! The test images of the runs that are looked into, loaded once for all that share them.

use super::Finished;
use crate::config::Source;
use crate::data::{Dataset, Split, Synthetic, load, synthetic};
use crate::{Error, folder};
use std::path::PathBuf;

/// The data that was loaded last.
#[derive(Debug, Default)]
pub(super) struct TestImages(Option<(Key, Dataset)>);

/// What a test split depends on.
#[derive(Debug, PartialEq)]
enum Key {
    Folder(PathBuf),
    Drawn { images: usize, seed: u64 },
}

impl TestImages {
    /// The test images of a run, checked against its manifest.
    ///
    /// # Errors
    /// When they cannot be loaded, or are others than those that the run was started with.
    pub(super) fn of(&mut self, own: &Finished<'_>) -> Result<&Split, Error> {
        let config = own.experiment.config();
        let key = match config.data.source {
            Source::Idx => Key::Folder(config.data.dir.clone()),
            Source::Synthetic => Key::Drawn { images: config.data.synthetic_test, seed: config.seed },
        };
        let dataset = match self.0.take() {
            Some((known, dataset)) if known == key => dataset,
            _ => match &key {
                // How the training images are divided does not matter here.
                Key::Folder(dir) => load(dir, 0, 0)?,
                Key::Drawn { images, seed } => synthetic(&Synthetic { train: 0, validation: 0, test: *images }, *seed),
            },
        };
        let (_, dataset) = self.0.insert((key, dataset));
        folder::check_data(own.run.folder, &folder::read_manifest(own.run.folder)?, &folder::files(dataset))?;
        Ok(dataset.test_split())
    }
}
