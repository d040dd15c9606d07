//! Images and labels in memory. Bytes stay bytes, a quarter of the memory of floats: what the network sees of them is looked up
//! when a batch is gathered.

use super::augment::{Augment, Change};
use secateur_sparse::file::Scale;

/// Images and their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Channels, rows and columns of an image.
    shape: [usize; 3],
    pixels: Pixels,
    labels: Vec<u16>,
    /// By channel, what the network sees of a byte.
    tables: Vec<[f32; 256]>,
    /// Whether its numbers are whole ones that the network takes as they are.
    is_whole: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Pixels {
    Bytes(Vec<u8>),
    /// As the network sees them, once they are scaled.
    Floats(Vec<f32>),
}

/// Images and labels of one step, as the network takes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `[n, channels, rows, columns]`, row-major.
    pub pixels: Vec<f32>,
    /// Classes, `[n]`.
    pub labels: Vec<u16>,
}

/// Images as they are kept, one slice each.
#[derive(Clone, Debug)]
pub(crate) enum Rows<'a> {
    /// Bytes, and by channel what the network sees of one.
    Bytes(Vec<&'a [u8]>, &'a [[f32; 256]]),
    /// What the network sees.
    Floats(Vec<&'a [f32]>),
}

impl Split {
    /// `pixels` is `[n, channels, rows, columns]`, row-major; `labels` is `[n]`.
    pub(super) fn of_bytes(shape: [usize; 3], pixels: Vec<u8>, labels: Vec<u16>) -> Self {
        Self::new(shape, pixels.len(), Pixels::Bytes(pixels), labels)
    }

    /// The same of numbers that are no bytes.
    pub(super) fn of_floats(shape: [usize; 3], pixels: Vec<f32>, labels: Vec<u16>) -> Self {
        Self::new(shape, pixels.len(), Pixels::Floats(pixels), labels)
    }

    /// The same of whole numbers, which the network takes as they are.
    pub(super) fn of_numbers(shape: [usize; 3], pixels: Vec<f32>, labels: Vec<u16>) -> Self {
        Self { is_whole: true, ..Self::of_floats(shape, pixels, labels) }
    }

    fn new(shape: [usize; 3], count: usize, pixels: Pixels, labels: Vec<u16>) -> Self {
        assert_eq!(count, labels.len() * shape.iter().product::<usize>(), "a split has one label an image");
        Self { shape, pixels, labels, tables: vec![[0.0; 256]; shape[0]], is_whole: false }
    }

    /// Says what the network sees of each channel: of a byte `b` it is `b / divisor + shift`, of another number `x` it is
    /// `x / (divisor / 255) + shift`, so that a byte and its fraction of 255 are the same. Once only.
    pub(super) fn scale(&mut self, scales: &[Scale]) {
        assert_eq!(scales.len(), self.shape[0], "there is one scale for each channel");
        let area = self.area();
        self.tables = scales.iter().map(|scale| std::array::from_fn(|byte| scale.of(byte as f32))).collect();
        match &mut self.pixels {
            Pixels::Bytes(_) => {}
            Pixels::Floats(_) if self.is_whole => {}
            Pixels::Floats(pixels) => {
                for (plane, scale) in pixels.chunks_exact_mut(area).zip(scales.iter().cycle()) {
                    let divisor = scale.divisor / 255.0;
                    plane.iter_mut().for_each(|value| *value = *value / divisor + scale.shift);
                }
            }
        }
    }

    /// Gives its images other labels, as many.
    pub(crate) fn set_labels(&mut self, labels: Vec<u16>) {
        assert_eq!(labels.len(), self.labels.len(), "there is one label for each image");
        self.labels = labels;
    }

    /// Whether its numbers are whole ones that the network takes as they are.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Images in the split.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether the split has no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Channels, rows and columns of an image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The class of image `index`, from 0.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn label(&self, index: usize) -> u16 {
        self.labels[index]
    }

    /// The classes of the images of the given indices.
    pub(crate) fn labels(&self, indices: &[u32]) -> Vec<u16> {
        indices.iter().map(|index| self.label(*index as usize)).collect()
    }

    /// The images of the given indices as the network sees them, and their labels, in the order of the indices.
    ///
    /// # Panics
    /// If an index is not below [`Split::len`].
    pub fn gather(&self, indices: &[u32]) -> Batch {
        let mut pixels = Vec::with_capacity(indices.len() * self.pixels());
        let area = self.area();
        for index in indices {
            let range = self.range(*index as usize);
            match &self.pixels {
                Pixels::Bytes(bytes) => {
                    for (plane, table) in bytes[range].chunks_exact(area).zip(&self.tables) {
                        pixels.extend(plane.iter().map(|byte| table[usize::from(*byte)]));
                    }
                }
                Pixels::Floats(floats) => pixels.extend_from_slice(&floats[range]),
            }
        }
        Batch { pixels, labels: self.labels(indices) }
    }

    /// The images of the given indices as they are kept.
    ///
    /// # Panics
    /// If an index is not below [`Split::len`].
    pub(crate) fn rows(&self, indices: &[u32]) -> Rows<'_> {
        let ranges = indices.iter().map(|index| self.range(*index as usize));
        match &self.pixels {
            Pixels::Bytes(bytes) => Rows::Bytes(ranges.map(|range| &bytes[range]).collect(), &self.tables),
            Pixels::Floats(floats) => Rows::Floats(ranges.map(|range| &floats[range]).collect()),
        }
    }

    /// The images of the given indices, in that order.
    pub(crate) fn select(&self, indices: &[u32]) -> Split {
        fn picked<T: Copy>(from: &[T], ranges: impl Iterator<Item = std::ops::Range<usize>>) -> Vec<T> {
            let mut out = vec![];
            ranges.for_each(|range| out.extend_from_slice(&from[range]));
            out
        }
        let ranges = indices.iter().map(|index| self.range(*index as usize));
        let pixels = match &self.pixels {
            Pixels::Bytes(bytes) => Pixels::Bytes(picked(bytes, ranges)),
            Pixels::Floats(floats) => Pixels::Floats(picked(floats, ranges)),
        };
        Split { pixels, labels: self.labels(indices), tables: self.tables.clone(), ..*self }
    }

    /// The images of the given indices, each varied as its epoch asks.
    pub(crate) fn augmented(&self, indices: &[u32], augment: &Augment, seed: u64, epoch: u64) -> Split {
        let [_, rows, columns] = self.shape;
        let change = |index: &u32| Change::of(augment, self.shape, seed, epoch, *index);
        let planes = |index: &u32| (self.range(*index as usize), change(index));
        let pixels = match &self.pixels {
            Pixels::Bytes(bytes) => {
                let mut out = Vec::with_capacity(indices.len() * self.pixels());
                for (range, change) in indices.iter().map(planes) {
                    for (plane, table) in bytes[range].chunks_exact(self.area()).zip(&self.tables) {
                        change.apply(plane, [rows, columns], 0, nearest_to_zero(table), &mut out);
                    }
                }
                Pixels::Bytes(out)
            }
            Pixels::Floats(floats) => {
                let mut out = Vec::with_capacity(indices.len() * self.pixels());
                for (range, change) in indices.iter().map(planes) {
                    for (plane, table) in floats[range].chunks_exact(self.area()).zip(&self.tables) {
                        change.apply(plane, [rows, columns], table[0], 0.0, &mut out);
                    }
                }
                Pixels::Floats(out)
            }
        };
        Split { pixels, labels: self.labels(indices), tables: self.tables.clone(), ..*self }
    }

    /// Image `index` as bytes, `[channels, rows, columns]`: as it is kept, or its numbers from the lowest to the highest as
    /// 0 to 255.
    pub fn picture(&self, index: usize) -> Vec<u8> {
        let range = self.range(index);
        match &self.pixels {
            Pixels::Bytes(bytes) => bytes[range].to_vec(),
            Pixels::Floats(floats) => {
                let own = &floats[range];
                let low = own.iter().copied().fold(f32::INFINITY, f32::min);
                let high = own.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let step = if high > low { 255.0 / (high - low) } else { 0.0 };
                own.iter().map(|value| ((value - low) * step).round() as u8).collect()
            }
        }
    }

    /// Whether its numbers are bytes, so that as fractions of white they cannot leave 0 to 1.
    pub(super) fn is_bytes(&self) -> bool {
        match self.pixels {
            Pixels::Bytes(_) => true,
            Pixels::Floats(_) => false,
        }
    }

    /// By channel, mean and standard deviation of all pixels: of bytes as fractions of 255. Sums of bytes are exact.
    pub(super) fn statistics(&self) -> Vec<[f64; 2]> {
        let area = self.area();
        let count = (self.len() * area).max(1) as f64;
        let [channels, ..] = self.shape;
        let of = |sum: f64, squares: f64, unit: f64| {
            let mean = sum / count;
            [mean / unit, (squares / count - mean * mean).max(0.0).sqrt() / unit]
        };
        let one = |channel: usize| match &self.pixels {
            Pixels::Bytes(bytes) => {
                let mut counts = [0u64; 256];
                let planes = bytes.chunks_exact(area).skip(channel).step_by(channels);
                planes.flatten().for_each(|byte| counts[usize::from(*byte)] += 1);
                let sum =
                    |power: u32| -> u64 { (0u64..256).zip(counts).map(|(byte, count)| byte.pow(power) * count).sum() };
                of(sum(1) as f64, sum(2) as f64, 255.0)
            }
            Pixels::Floats(floats) => {
                let values =
                    || floats.chunks_exact(area).skip(channel).step_by(channels).flatten().copied().map(f64::from);
                of(values().sum(), values().map(|value| value * value).sum(), 1.0)
            }
        };
        (0..channels).map(one).collect()
    }

    /// Numbers of an image.
    fn pixels(&self) -> usize {
        self.shape.iter().product()
    }

    /// Pixels of one channel.
    fn area(&self) -> usize {
        self.shape[1] * self.shape[2]
    }

    fn range(&self, index: usize) -> std::ops::Range<usize> {
        let pixels = self.pixels();
        index * pixels..(index + 1) * pixels
    }
}

/// The byte of which the network sees what is nearest to 0: with normalisation by the data the mean.
fn nearest_to_zero(table: &[f32; 256]) -> u8 {
    let nearest = (0u8..=255).min_by(|a, b| table[usize::from(*a)].abs().total_cmp(&table[usize::from(*b)].abs()));
    nearest.unwrap_or(0)
}

impl Batch {
    /// Images in the batch.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether the batch has no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::CENTRED;

    /// Three images of two channels of 1 x 2 pixels.
    fn three() -> Split {
        let mut own = Split::of_bytes([2, 1, 2], vec![0, 51, 255, 0, 1, 2, 3, 4, 5, 6, 7, 8], vec![7, 1, 400]);
        own.scale(&[CENTRED, Scale { divisor: 1.0, shift: 10.0 }]);
        own
    }

    #[test]
    fn gather_scales_each_channel_and_keeps_the_order_asked_for() {
        let batch = three().gather(&[2, 0]);
        assert_eq!((batch.len(), &batch.labels[..]), (2, &[400, 7][..]));
        let expected = [5.0 / 255.0 - 0.5, 6.0 / 255.0 - 0.5, 17.0, 18.0, -0.5, 51.0 / 255.0 - 0.5, 265.0, 10.0];
        assert_eq!(batch.pixels, expected);
        assert!(three().gather(&[]).is_empty());
    }

    #[test]
    fn numbers_are_scaled_as_the_bytes_that_they_are_fractions_of() {
        let scales = [Scale { divisor: 51.0, shift: -2.0 }];
        let mut bytes = Split::of_bytes([1, 1, 3], vec![0, 51, 204], vec![0]);
        let mut floats = Split::of_floats([1, 1, 3], vec![0.0, 0.2, 0.8], vec![0]);
        assert_eq!(floats.picture(0), [0, 64, 255]);
        let (of_bytes, of_floats) = (bytes.statistics(), floats.statistics());
        assert!(of_bytes[0].iter().zip(of_floats[0]).all(|(a, b)| (a - b).abs() < 1e-7), "{of_bytes:?} {of_floats:?}");
        bytes.scale(&scales);
        floats.scale(&scales);
        let (bytes, floats) = (bytes.gather(&[0]).pixels, floats.gather(&[0]).pixels);
        assert!(bytes.iter().zip(&floats).all(|(a, b)| (a - b).abs() < 1e-6), "{bytes:?} {floats:?}");
        assert_eq!(bytes, [-2.0, -1.0, 2.0]);
    }

    #[test]
    fn select_keeps_images_with_their_labels() {
        let pair = three().select(&[2, 0]);
        assert_eq!((pair.len(), pair.label(0), pair.label(1)), (2, 400, 7));
        assert_eq!((pair.picture(0), pair.picture(1)), (vec![5, 6, 7, 8], vec![0, 51, 255, 0]));
        assert_eq!(pair.gather(&[0]), three().gather(&[2]));
    }

    #[test]
    fn an_augmented_batch_is_a_function_of_seed_epoch_and_index() {
        let split = three();
        let augment = Augment { shift: 1, ..Augment::default() };
        let of = |indices: &[u32], epoch| split.augmented(indices, &augment, 1, epoch);
        assert_eq!(of(&[2, 0], 3).select(&[1]), of(&[0, 1], 3).select(&[0]), "whatever stands beside an image");
        assert_eq!(of(&[2, 0], 3).labels(&[0, 1]), [400, 7]);
        let epochs: Vec<Vec<u8>> = (0..20).map(|epoch| of(&[1], epoch).picture(0)).collect();
        assert!(epochs.iter().any(|own| *own != epochs[0]), "epochs differ");
        let mut cut = three();
        cut.scale(&[Scale { divisor: 1.0, shift: -51.0 }, Scale { divisor: 1.0, shift: 1.0 }]);
        let cutout = Augment { cutout: 3, ..Augment::default() };
        assert_eq!(
            cut.augmented(&[0], &cutout, 1, 0).picture(0),
            [51, 51, 0, 0],
            "what is nearest to 0 for the network"
        );
    }

    #[test]
    fn statistics_are_those_of_each_channel() {
        let found = three().statistics();
        // First channel 0, 51, 1, 2, 5, 6; second 255, 0, 3, 4, 7, 8.
        let expected = |values: [f64; 6]| {
            let mean = values.iter().sum::<f64>() / 6.0;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 6.0;
            [mean / 255.0, variance.sqrt() / 255.0]
        };
        let expected = [expected([0.0, 51.0, 1.0, 2.0, 5.0, 6.0]), expected([255.0, 0.0, 3.0, 4.0, 7.0, 8.0])];
        for (found, expected) in found.as_flattened().iter().zip(expected.as_flattened()) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}
