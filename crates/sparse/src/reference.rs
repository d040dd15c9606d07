//! What a network answers, in plain loops: the reference implementation of everything that is faster.

use crate::{Conv2d, Layer, Linear, Network};

impl Network {
    /// The answers to one image, `[channels, height, width]` row-major, summed in f64 and rounded after every layer.
    ///
    /// # Panics
    /// When the image has another size than the network's input.
    pub fn forward(&self, image: &[f32]) -> Vec<f32> {
        assert_eq!(image.len(), self.input().iter().product::<usize>(), "an image has the size of the network's input");
        self.layers().iter().enumerate().fold(image.to_vec(), |values, (place, layer)| {
            apply(layer, values, self.shape(place), self.shape(place + 1))
        })
    }
}

fn apply(layer: &Layer, values: Vec<f32>, before: [usize; 3], after: [usize; 3]) -> Vec<f32> {
    let [_, height, width] = before;
    let [channels, rows, columns] = after;
    let positions = rows * columns;
    // The values of an output, from those of its `size` x `size` window.
    let pooled = |size: usize, f: &dyn Fn(&mut dyn Iterator<Item = f32>) -> f32| {
        let mut found = Vec::with_capacity(channels * positions);
        for place in 0..channels * positions {
            let (channel, y, x) = (place / positions, place / columns % rows, place % columns);
            let corner = (channel * height + y * size) * width + x * size;
            let mut window = (0..size * size).map(|own| values[corner + own / size * width + own % size]);
            found.push(f(&mut window));
        }
        found
    };
    match layer {
        Layer::Conv2d(conv) => convolved(conv, &values, before, after),
        Layer::Linear(linear) => multiplied(linear, &values),
        Layer::Affine(affine) => {
            let each = |(place, value): (usize, f32)| {
                let channel = place / positions;
                (f64::from(affine.scale[channel]) * f64::from(value) + f64::from(affine.shift[channel])) as f32
            };
            values.into_iter().enumerate().map(each).collect()
        }
        Layer::Relu => values.into_iter().map(|value| if value < 0.0 { 0.0 } else { value }).collect(),
        Layer::MaxPool2d { size } => pooled(*size, &|window| {
            window.fold(f32::NEG_INFINITY, |top, own| if own <= top || top.is_nan() { top } else { own })
        }),
        Layer::AvgPool2d { size } => {
            pooled(*size, &|window| (window.map(f64::from).sum::<f64>() / (size * size) as f64) as f32)
        }
        Layer::Crop { .. } => {
            let place = |own: usize| (own / positions * height + own / columns % rows) * width + own % columns;
            (0..channels * positions).map(|own| values[place(own)]).collect()
        }
        Layer::Flatten => values,
    }
}

fn convolved(conv: &Conv2d, values: &[f32], before: [usize; 3], after: [usize; 3]) -> Vec<f32> {
    let [_, height, width] = before;
    let [_, rows, columns] = after;
    let taps = conv.kernel * conv.kernel;
    let mut found = Vec::with_capacity(conv.outputs * rows * columns);
    for filter in 0..conv.outputs {
        let mut sums = vec![f64::from(conv.bias[filter]); rows * columns];
        let weights = &conv.weight[filter * conv.inputs * taps..][..conv.inputs * taps];
        for (place, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            let (channel, ky, kx) = (place / taps, place % taps / conv.kernel, place % conv.kernel);
            let inside = |at: usize, tap: usize, side: usize| {
                (at * conv.stride + tap).checked_sub(conv.padding).filter(|own| *own < side)
            };
            for y in 0..rows {
                let Some(row) = inside(y, ky, height) else { continue };
                for x in 0..columns {
                    let Some(column) = inside(x, kx, width) else { continue };
                    let value = values[(channel * height + row) * width + column];
                    sums[y * columns + x] += f64::from(*weight) * f64::from(value);
                }
            }
        }
        found.extend(sums.into_iter().map(|sum| sum as f32));
    }
    found
}

fn multiplied(linear: &Linear, values: &[f32]) -> Vec<f32> {
    let row = |(output, bias): (usize, &f32)| {
        let weights = &linear.weight[output * linear.inputs..][..linear.inputs];
        let products = weights.iter().zip(values).map(|(weight, value)| f64::from(*weight) * f64::from(*value));
        (f64::from(*bias) + products.sum::<f64>()) as f32
    };
    linear.bias.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use crate::network::tests::{conv, linear};
    use crate::{Affine, Conv2d, Layer, Network};

    fn answers(input: [usize; 3], layers: Vec<Layer>, image: &[f32]) -> Vec<f32> {
        Network::new(input, layers).expect("fits").forward(image)
    }

    #[test]
    fn every_layer_by_hand() {
        let image: Vec<f32> = (1..=9).map(|value| value as f32).collect();
        let one = |layer: Layer| answers([1, 3, 3], vec![layer], &image);
        assert_eq!(one(conv("c", [1, 1, 2], vec![1.0, 0.0, 0.0, -2.0])), [-9.0, -10.0, -12.0, -13.0]);
        assert_eq!(one(Layer::MaxPool2d { size: 2 }), [5.0]);
        assert_eq!(one(Layer::AvgPool2d { size: 2 }), [3.0]);
        assert_eq!(one(Layer::Crop { height: 1, width: 2 }), [1.0, 2.0]);
        let affine = Affine { name: "a".into(), scale: vec![2.0], shift: vec![-7.0] };
        let both = answers([1, 3, 3], vec![Layer::Affine(affine), Layer::Relu], &image);
        assert_eq!(both, [0.0, 0.0, 0.0, 1.0, 3.0, 5.0, 7.0, 9.0, 11.0]);
        let product = vec![Layer::Flatten, linear("f", [9, 1], vec![0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])];
        assert_eq!(answers([1, 3, 3], product, &image), [-7.0]);
    }

    #[test]
    fn padding_is_zeros_and_strides_skip() {
        let Layer::Conv2d(plain) = conv("c", [1, 1, 3], vec![1.0; 9]) else { panic!("a conv") };
        let padded = Layer::Conv2d(Conv2d { padding: 1, stride: 2, ..plain });
        let image: Vec<f32> = (1..=9).map(|value| value as f32).collect();
        assert_eq!(answers([1, 3, 3], vec![padded], &image), [12.0, 16.0, 24.0, 28.0]);
    }

    #[test]
    fn a_nan_reaches_the_answer() {
        let layers = vec![Layer::Relu, Layer::MaxPool2d { size: 2 }];
        assert!(answers([1, 2, 2], layers, &[1.0, f32::NAN, 0.0, 2.0])[0].is_nan());
    }
}
