//! Images as bytes: a quarter of the memory of floats. Scaling happens when a batch is gathered.

use super::{CLASSES, PIXELS};

/// Images as bytes and their labels, kept compact; scaled when a batch is gathered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

/// Images and labels of one step, as the network takes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Grey values in `[-0.5, 0.5]`, `[n, 1, 28, 28]` row-major.
    pub pixels: Vec<f32>,
    /// Classes `0..=9`, `[n]`.
    pub labels: Vec<u8>,
}

/// What the network sees of a grey value: `value / 255 - 0.5`.
pub const GREY: [f32; 256] = {
    let mut table = [0.0; 256];
    let mut value = 0;
    while value < 256 {
        table[value] = value as f32 / 255.0 - 0.5;
        value += 1;
    }
    table
};

impl Split {
    /// `pixels` is `[n, 28, 28]` row-major, `labels` is `[n]` with classes `0..=9`.
    pub(super) fn new(pixels: Vec<u8>, labels: Vec<u8>) -> Split {
        assert_eq!(pixels.len(), labels.len() * PIXELS, "a split has one label an image");
        assert!(labels.iter().all(|&label| usize::from(label) < CLASSES), "a label is a class");
        Split { pixels, labels }
    }

    /// Images in the split.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether the split has no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of image `index`, `0..=9`.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn label(&self, index: usize) -> u8 {
        self.labels[index]
    }

    /// The images of the given indices, scaled to `value / 255 - 0.5`, and their labels, in the order of the indices.
    ///
    /// # Panics
    /// If an index is not below [`Split::len`].
    pub fn gather(&self, indices: &[u32]) -> Batch {
        let mut batch =
            Batch { pixels: Vec::with_capacity(indices.len() * PIXELS), labels: Vec::with_capacity(indices.len()) };
        for &index in indices {
            let image = self.image(index as usize);
            batch.pixels.extend(image.iter().map(|&value| GREY[usize::from(value)]));
            batch.labels.push(self.label(index as usize));
        }
        batch
    }

    /// The bytes of the images of the given indices, `[28, 28]` row-major each, and their labels.
    ///
    /// # Panics
    /// If an index is not below [`Split::len`].
    pub fn pick(&self, indices: &[u32]) -> (Vec<&[u8]>, Vec<u8>) {
        indices.iter().map(|&index| (self.image(index as usize), self.label(index as usize))).unzip()
    }

    /// The images of the given indices, in that order.
    pub(crate) fn select(&self, indices: &[u32]) -> Split {
        let mut pixels = Vec::with_capacity(indices.len() * PIXELS);
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            pixels.extend_from_slice(self.image(index as usize));
            labels.push(self.label(index as usize));
        }
        Split { pixels, labels }
    }

    /// The bytes of image `index`, `[28, 28]` row-major.
    pub(crate) fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * PIXELS..][..PIXELS]
    }
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

    /// Three images: all black, all white, and black but for a first pixel of 51 (a fifth of 255).
    fn three() -> Split {
        let mut pixels = vec![0; 3 * PIXELS];
        pixels[PIXELS..2 * PIXELS].fill(255);
        pixels[2 * PIXELS] = 51;
        Split::new(pixels, vec![7, 1, 4])
    }

    #[test]
    fn gather_scales_and_keeps_the_order_asked_for() {
        let batch = three().gather(&[2, 1, 2]);
        assert_eq!(batch.len(), 3);
        assert_eq!(batch.labels, [4, 1, 4]);
        assert_eq!(batch.pixels.len(), 3 * PIXELS);
        assert_eq!(batch.pixels[..2], [51.0 / 255.0 - 0.5, -0.5]);
        assert!((batch.pixels[0] + 0.3).abs() < 1e-7);
        assert!(batch.pixels[PIXELS..2 * PIXELS].iter().all(|&value| value == 0.5));
        assert_eq!(batch.pixels[2 * PIXELS..], batch.pixels[..PIXELS]);
    }

    #[test]
    fn no_index_gathers_nothing() {
        assert!(three().gather(&[]).is_empty());
        assert!(Split::default().is_empty());
    }

    #[test]
    fn select_keeps_images_with_their_labels() {
        let pair = three().select(&[2, 0]);
        assert_eq!((pair.len(), pair.label(0), pair.label(1)), (2, 4, 7));
        assert_eq!((pair.image(0)[0], pair.image(1)[0]), (51, 0));
    }
}
