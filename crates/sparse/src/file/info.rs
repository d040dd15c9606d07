//! What a file says of its network beside the network itself: its name, what it wants to see, and how it is stored.

use super::Error;
use crate::Ranges;
use serde::{Deserialize, Serialize};

/// What a network is, and what it wants to see.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// Its name, for people.
    pub name: String,
    /// What it sees of an image's bytes: a scale for each channel of its input, or a single one for all.
    pub scales: Vec<Scale>,
    /// The names of its classes, one for each answer; none where they are only numbered.
    pub classes: Vec<String>,
    /// The ranges of its values, with which it computes with bytes; none where they are not known. They go with int8 weights.
    pub ranges: Ranges,
}

/// Most bytes of a class's name.
const NAME: usize = 1 << 10;

/// What is wrong with the names of classes of a network that gives so many numbers; `None` where they can be printed and told
/// from one another by their number.
pub fn wrong_class_names(names: &[String], classes: usize) -> Option<String> {
    if ![0, classes].contains(&names.len()) {
        return Some(format!("{} names for {classes} classes", names.len()));
    }
    let is_wrong = |name: &&String| name.is_empty() || name.len() > NAME || name.chars().any(char::is_control);
    let name = names.iter().find(is_wrong)?;
    Some(format!(
        "{:?}, expected 1 to {NAME} bytes without control characters",
        name.chars().take(40).collect::<String>()
    ))
}

/// What a network sees of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// A byte `b` becomes the input `b / divisor + shift`, in f32.
    pub divisor: f32,
    /// See `divisor`.
    pub shift: f32,
}

impl Scale {
    /// What a byte, or a number between two, becomes.
    pub fn of(&self, byte: f32) -> f32 {
        byte / self.divisor + self.shift
    }

    pub(super) fn is_sound(&self) -> bool {
        self.divisor.is_finite() && self.divisor != 0.0 && self.shift.is_finite()
    }
}

impl Info {
    /// The input that an image's bytes, `[channel][pixel]`, become.
    pub fn input<'a>(&'a self, image: &'a [u8]) -> impl Iterator<Item = f32> + 'a {
        let plane = (image.len() / self.scales.len().max(1)).max(1);
        image
            .chunks(plane)
            .zip(&self.scales)
            .flat_map(|(plane, scale)| plane.iter().map(move |byte| scale.of(f32::from(*byte))))
    }

    /// The scales as a file keeps them: one where all are the same.
    pub(super) fn stored(&self) -> &[Scale] {
        let all_same = self.scales.windows(2).all(|pair| pair[0] == pair[1]);
        &self.scales[..if all_same { self.scales.len().min(1) } else { self.scales.len() }]
    }

    /// Whether a network with so many channels and classes can have these scales and names.
    pub(super) fn check(&self, channels: usize, classes: usize) -> Result<(), Error> {
        if let Some(found) = wrong_class_names(&self.classes, classes) {
            return Err(Error::Classes { found });
        }
        if let Some((place, scale)) = self.scales.iter().enumerate().find(|(_, scale)| !scale.is_sound()) {
            let found = if scale.shift.is_finite() { scale.divisor } else { scale.shift };
            let wanted = "divisor and shift have to be finite, and the divisor not 0";
            return Err(Error::Value { what: "the scale of a channel".to_owned(), place, found, wanted });
        }
        if self.scales.len() == channels || self.scales.len() == 1 {
            return Ok(());
        }
        Err(Error::Scales { found: self.scales.len(), channels })
    }
}

/// How the weights of convolutions and fully connected layers are stored. Everything else is f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As they are.
    F32,
    /// Rounded to IEEE 754 binary16.
    F16,
    /// A whole number from -127 to 127, times a scale of its row that is chosen for the least squared error.
    Int8,
}

impl Precision {
    pub(super) fn bits(self) -> usize {
        match self {
            Self::F32 => 32,
            Self::F16 => 16,
            Self::Int8 => 8,
        }
    }

    /// The precision of a bias beside weights of this one in files of version 1.
    pub(super) fn of_bias(self) -> Self {
        if self == Self::F32 { Self::F32 } else { Self::F16 }
    }

    /// As a file numbers it.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Int8 => 2,
        }
    }
}
