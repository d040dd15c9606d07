//! Finds rows and columns that nobody reads, and crops as early as that saves something.
//!
//! Pooling and strides drop what does not fill a window at the right and lower edges. What a stretch of layers has to give
//! tells from its end to its start how much of each layer is read; from the start on, the first layer with weights that
//! would compute more gets a crop before it. Everything after it then has exactly the size that is read.
//!
//! A stretch ends before a padded convolution, which puts zeros where the image ends and must not put them earlier, and
//! before a flatten, which reads everything.

use crate::{Layer, Network};

/// The layers, computing nothing that is not read.
pub(super) fn cropped(network: Network) -> Vec<Layer> {
    let shapes: Vec<[usize; 3]> = (0..=network.layers().len()).map(|place| network.shape(place)).collect();
    let (mut found, mut stretch, mut start) = (vec![], vec![], 0);
    for (place, layer) in network.into_layers().into_iter().enumerate() {
        if reads_everything(&layer) {
            found.extend(cut(std::mem::take(&mut stretch), shapes[start], shapes[place]));
            found.push(layer);
            start = place + 1;
        } else if !matches!(layer, Layer::Crop { .. }) {
            stretch.push(layer);
        }
    }
    found.extend(cut(stretch, shapes[start], shapes[shapes.len() - 1]));
    found
}

fn reads_everything(layer: &Layer) -> bool {
    match layer {
        Layer::Conv2d(conv) => conv.padding > 0,
        Layer::Linear(_) | Layer::Flatten => true,
        Layer::Affine(_) | Layer::Relu | Layer::MaxPool2d { .. } | Layer::AvgPool2d { .. } | Layer::Crop { .. } => {
            false
        }
    }
}

/// A stretch of layers from a shape to a shape, with one crop or none.
fn cut(layers: Vec<Layer>, start: [usize; 3], [_, height, width]: [usize; 3]) -> Vec<Layer> {
    // Rows and columns that are read before each layer and after the last.
    let mut read = vec![[height, width]];
    for layer in layers.iter().rev() {
        read.push(reads(layer, read[read.len() - 1]));
    }
    read.reverse();
    let mut found = Vec::with_capacity(layers.len() + 1);
    let (mut shape, places) = (start, layers.len());
    for (place, layer) in layers.into_iter().enumerate() {
        let [channels, height, width] = after(&layer, shape);
        let weighs = layer.parameters().is_some() || matches!(layer, Layer::Affine(_));
        if weighs && [height, width] != read[place + 1] {
            let [height, width] = read[place];
            found.push(Layer::Crop { height, width });
            shape = after(&layer, [shape[0], height, width]);
        } else {
            shape = [channels, height, width];
        }
        found.push(layer);
    }
    // A crop that saves no layer work, but that the network had.
    let [height, width] = read[places];
    if shape[1..] != [height, width] {
        found.push(Layer::Crop { height, width });
    }
    found
}

/// How many rows and columns a layer reads to give so many.
fn reads(layer: &Layer, given: [usize; 2]) -> [usize; 2] {
    given.map(|side| match layer {
        Layer::Conv2d(conv) => (side.saturating_sub(1) * conv.stride + conv.kernel).max(1),
        Layer::MaxPool2d { size } | Layer::AvgPool2d { size } => side * size,
        Layer::Affine(_) | Layer::Relu => side,
        Layer::Linear(_) | Layer::Crop { .. } | Layer::Flatten => unreachable!("it ends a stretch, or is taken out"),
    })
}

fn after(layer: &Layer, before: [usize; 3]) -> [usize; 3] {
    layer.output(0, before).expect("it fitted when more was read, and it fits what is read")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::tests::conv;
    use crate::{Affine, Conv2d};

    fn crop(height: usize, width: usize) -> Layer {
        Layer::Crop { height, width }
    }

    fn filter(kernel: usize, stride: usize, padding: usize) -> Layer {
        let Layer::Conv2d(plain) = conv("c", [1, 1, kernel], vec![1.0; kernel * kernel]) else { panic!("a conv") };
        Layer::Conv2d(Conv2d { stride, padding, ..plain })
    }

    fn check(input: [usize; 3], layers: Vec<Layer>, wanted: Vec<Layer>) {
        let found = cropped(Network::new(input, layers).expect("fits"));
        assert_eq!(found, wanted);
        let network = Network::new(input, wanted.clone()).expect("what is left fits");
        assert_eq!(cropped(network), wanted, "once is enough");
    }

    const POOL: Layer = Layer::MaxPool2d { size: 2 };

    #[test]
    fn what_pooling_drops_is_not_computed() {
        // 28 -> 26 -> 13 -> 11 -> 5, which reads 10 <- 12 <- 24 <- 26.
        let block = || vec![filter(3, 1, 0), Layer::Relu, POOL];
        let layers = [block(), block(), vec![Layer::Flatten]].concat();
        check([1, 28, 28], layers.clone(), [vec![crop(26, 26)], layers].concat());
        // Rows and columns apart: 8x9 -> 6x7 -> 3x3.
        check([1, 8, 9], [block(), vec![Layer::Flatten]].concat(), {
            [vec![crop(8, 8)], block(), vec![Layer::Flatten]].concat()
        });
        // Every pixel of the image is read.
        let even = [block(), vec![Layer::Flatten]].concat();
        check([1, 8, 8], even.clone(), even);
    }

    #[test]
    fn what_strides_skip_is_not_computed() {
        // 10 -> 8 -> 3, which reads 7 <- 9; the first filter is the one that has less to do.
        let layers = vec![filter(3, 1, 0), filter(3, 2, 0)];
        check([1, 10, 10], layers.clone(), [vec![crop(9, 9)], layers].concat());
        // 8 -> 3 reads 7, but nobody has less to do for it.
        check([1, 8, 8], vec![Layer::Relu, filter(3, 2, 0)], vec![Layer::Relu, filter(3, 2, 0)]);
    }

    #[test]
    fn no_crop_passes_a_padded_convolution_or_a_flatten() {
        let head = [filter(1, 1, 0), filter(3, 1, 1)];
        let tail = [filter(2, 1, 0), POOL];
        // 8 -> 8 -> 8 -> 7 -> 3: the last filter reads 7, the padded one the whole image.
        check([1, 8, 8], [&head[..], &tail].concat(), [&head[..], &[crop(7, 7)], &tail].concat());
        // 7 -> 7, pooled to 3: the padded filter itself computes all.
        check([1, 7, 7], vec![filter(3, 1, 1), POOL], vec![filter(3, 1, 1), POOL]);
    }

    #[test]
    fn crops_that_were_there_move_to_where_they_save() {
        let wanted = || vec![Layer::Relu, crop(5, 4), filter(3, 1, 0), Layer::Flatten];
        check([1, 9, 9], vec![Layer::Relu, filter(3, 1, 0), crop(3, 2), Layer::Flatten], wanted());
        check([1, 9, 9], vec![crop(7, 8), Layer::Relu, filter(3, 1, 0), crop(3, 2), Layer::Flatten], wanted());
        check([1, 9, 9], vec![crop(9, 9), Layer::Flatten], vec![Layer::Flatten]);
        check([1, 9, 9], vec![crop(2, 9), Layer::Flatten], vec![crop(2, 9), Layer::Flatten]);
        let affine = || Layer::Affine(Affine { name: "a".into(), scale: vec![2.0], shift: vec![1.0] });
        check([1, 9, 9], vec![affine(), POOL], vec![crop(8, 8), affine(), POOL]);
    }
}
