//! Values that stand in another file beside the model, as PyTorch's exporter leaves them.

use super::Error;
use crate::proto::{Model, Tensor};
use secateur_graph::MOST_PARAMETERS;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

/// Bytes of all values together, at most.
const MOST: u64 = 8 * MOST_PARAMETERS as u64;

/// Takes the values of a model's tensors in, out of the files in this folder.
pub(super) fn taken_in(model: &mut Model, folder: &Path) -> Result<(), Error> {
    let mut left = MOST;
    for tensor in model.graph.iter_mut().flat_map(|graph| &mut graph.initializer) {
        if tensor.data_location == Some(1) {
            let bytes = read(tensor, folder, left)
                .map_err(|why| Error::Model(format!("`{}`: {why}", tensor.name.as_deref().unwrap_or(""))))?;
            left -= bytes.len() as u64;
            (tensor.raw_data, tensor.data_location) = (Some(bytes), None);
        }
    }
    Ok(())
}

/// The bytes of one tensor.
fn read(tensor: &Tensor, folder: &Path, most: u64) -> Result<Vec<u8>, String> {
    let entry = |key: &str| {
        tensor.external_data.iter().find(|own| own.key.as_deref() == Some(key)).and_then(|own| own.value.as_deref())
    };
    let number = |key: &str| match entry(key) {
        Some(text) => {
            text.parse::<u64>().map(Some).map_err(|_| format!("expected a number as `{key}`, found `{text}`"))
        }
        None => Ok(None),
    };
    let location = entry("location").ok_or("its values stand in another file, which it does not name")?;
    let mut parts = Path::new(location).components();
    let (Some(Component::Normal(name)), None) = (parts.next(), parts.next()) else {
        return Err(format!("expected its values in a file beside the model, found `{location}`"));
    };
    let path = folder.join(name);
    let told = |why: &dyn std::fmt::Display| format!("its values stand in {}: {why}", path.display());
    let facts = std::fs::metadata(&path).map_err(|error| told(&error))?;
    if !facts.is_file() {
        return Err(told(&"this is no file"));
    }
    let offset = number("offset")?.unwrap_or(0);
    let length = number("length")?.unwrap_or(facts.len().saturating_sub(offset));
    if length > most || offset.checked_add(length).is_none_or(|end| end > facts.len()) {
        return Err(told(&format!("found {} bytes, expected {length} of them from {offset} on", facts.len())));
    }
    let mut file = File::open(&path).map_err(|error| told(&error))?;
    file.seek(SeekFrom::Start(offset)).map_err(|error| told(&error))?;
    let mut bytes = vec![];
    file.take(length).read_to_end(&mut bytes).map_err(|error| told(&error))?;
    Ok(bytes)
}
