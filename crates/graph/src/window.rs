//! A window that slides over an image: what convolutions and pooling have in common.

/// Size, stride, zero padding and dilation of a two-dimensional window, each as `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of the window.
    pub size: [usize; 2],
    /// Steps between neighbouring positions.
    pub stride: [usize; 2],
    /// Rows added above and below, columns added left and right.
    pub padding: [usize; 2],
    /// Distance between neighbouring elements of the window.
    pub dilation: [usize; 2],
}

impl Window {
    /// A square window with stride 1, no padding and no dilation.
    pub fn square(size: usize) -> Self {
        Self { size: [size; 2], stride: [1; 2], padding: [0; 2], dilation: [1; 2] }
    }

    /// Whether it has a size, moves on, and its elements are apart.
    pub(crate) fn is_sound(&self) -> bool {
        [self.size, self.stride, self.dilation].iter().flatten().all(|own| *own > 0)
    }

    /// The sides of the padded image; `None` when they overflow.
    pub fn padded(&self, image: [usize; 2]) -> Option<[usize; 2]> {
        both(|axis| self.padding[axis].checked_mul(2)?.checked_add(image[axis]))
    }

    /// Rows and columns that the window covers, dilation included; `None` when they overflow or are 0.
    pub fn extent(&self) -> Option<[usize; 2]> {
        both(|axis| self.size[axis].checked_sub(1)?.checked_mul(self.dilation[axis])?.checked_add(1))
    }

    /// The number of positions on an image, `[rows, columns]`, rounded down; `None` when there is no position, or a stride
    /// or a dilation is 0.
    pub fn positions(&self, image: [usize; 2]) -> Option<[usize; 2]> {
        let (padded, extent) = (self.padded(image)?, self.extent()?);
        both(|axis| {
            let room = padded[axis].checked_sub(extent[axis])?;
            (self.dilation[axis] > 0).then_some(())?;
            Some(room.checked_div(self.stride[axis])? + 1)
        })
    }

    /// The index in the image that an element of the window meets at a position, on one axis; `None` in the padding.
    pub fn meets(&self, axis: usize, position: usize, element: usize, side: usize) -> Option<usize> {
        let padded = position * self.stride[axis] + element * self.dilation[axis];
        padded.checked_sub(self.padding[axis]).filter(|index| *index < side)
    }
}

fn both(of: impl Fn(usize) -> Option<usize>) -> Option<[usize; 2]> {
    Some([of(0)?, of(1)?])
}

/// `3x3`, with what is not plain behind it.
impl std::fmt::Display for Window {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}x{}", self.size[0], self.size[1])?;
        for (name, pair, plain) in
            [("stride", self.stride, 1), ("padding", self.padding, 0), ("dilation", self.dilation, 1)]
        {
            match pair {
                [a, b] if a == b && a == plain => {}
                [a, b] if a == b => write!(out, ", {name} {a}")?,
                [a, b] => write!(out, ", {name} {a}x{b}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_counted_as_pytorch_counts_them() {
        let plain = Window::square(3);
        assert_eq!(plain.positions([28, 28]), Some([26, 26]));
        assert_eq!(Window { padding: [1, 1], stride: [2, 2], ..plain }.positions([32, 32]), Some([16, 16]));
        assert_eq!(Window { dilation: [2, 1], ..plain }.positions([7, 7]), Some([3, 5]));
        assert_eq!(Window { size: [1, 7], padding: [0, 3], ..plain }.positions([5, 5]), Some([5, 5]));
        assert_eq!(Window { stride: [2, 2], ..Window::square(2) }.positions([11, 11]), Some([5, 5]));
    }

    #[test]
    fn windows_without_a_position_have_none() {
        let plain = Window::square(3);
        assert_eq!(plain.positions([2, 9]), None);
        for odd in [
            Window { size: [0, 3], ..plain },
            Window { stride: [0, 1], ..plain },
            Window { dilation: [1, 0], ..plain },
            Window { padding: [usize::MAX, 0], ..plain },
            Window { dilation: [usize::MAX, 1], ..plain },
        ] {
            assert_eq!(odd.positions([28, 28]), None, "{odd:?}");
        }
    }

    #[test]
    fn what_is_plain_is_not_said() {
        assert_eq!(Window::square(3).to_string(), "3x3");
        let odd = Window { size: [1, 7], stride: [2, 2], padding: [0, 3], dilation: [1, 1] };
        assert_eq!(odd.to_string(), "1x7, stride 2, padding 0x3");
    }
}
