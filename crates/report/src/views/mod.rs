//! What trained models look like: their weights, their first filters, their answers. Plain data, filled in by whoever reads
//! model files; here it becomes a section of the page and rows of CSV, and its numbers are compared with the log's.

mod confusion;
mod histogram;
mod overlap;
mod panels;
mod picture;
mod rows;
mod section;

pub use confusion::Confusion;
pub use histogram::Histogram;
pub use overlap::{LayerOverlap, Overlap, Pair};
pub use picture::Picture;
pub(crate) use rows::data;
pub use section::section;

use crate::event::{Score, Size};

/// What the page needs to show [`section`].
pub(crate) const STYLE: &str = include_str!("style.css");

/// What a report shows of the models themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Views {
    /// The models that were looked into.
    pub models: Vec<ModelView>,
    /// How alike the masks of runs are that differ by their seed only.
    pub overlaps: Vec<Overlap>,
    /// What is not shown and why, in whole sentences.
    pub notes: Vec<String>,
}

/// A final model, looked into.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelView {
    /// What the report calls its run.
    pub run: String,
    /// The model with its size, such as `lenet k=5`.
    pub model: String,
    /// The run's seed.
    pub seed: u64,
    /// What is left of the model, counted from its file.
    pub size: Size,
    /// The weights of each layer, input first.
    pub layers: Vec<LayerWeights>,
    /// The first layer as pictures; `None` where its weights are no pictures.
    pub filters: Option<Filters>,
    /// What it answers on the test split; `None` where the data is not at hand.
    pub answers: Option<Answers>,
    /// What the log says of this network on the test split; `None` where it was not tested.
    pub logged: Option<Score>,
    /// What is wrong with the file or its place, in whole sentences.
    pub warnings: Vec<String>,
}

/// The weights of one layer, over the course of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerWeights {
    /// Path of the parameter, such as `conv1.weight`.
    pub name: String,
    /// Weights of the final model that are not zero.
    pub kept: u64,
    /// Weights in all.
    pub total: u64,
    /// The weights that live at some moments, earliest first.
    pub moments: Vec<(Moment, Histogram)>,
}

/// When weights were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the first step of training.
    Start,
    /// After dense training, before the first prune.
    Dense,
    /// The final model.
    End,
}

impl Moment {
    /// The moment in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Start => "before training",
            Self::Dense => "trained, before the first prune",
            Self::End => "at the end",
        }
    }
}

/// The first layer's filters, or the weights into its neurons, as pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Filters {
    /// Name of the layer, such as `conv1`.
    pub layer: String,
    /// Filters in all.
    pub count: u64,
    /// The size of the largest weight: bright where it is positive, dark where it is negative.
    pub scale: f32,
    /// Channels of a filter: one is shown in greys, three as red, green and blue.
    pub channels: usize,
    /// Those that are shown, by their place in the layer.
    pub shown: Vec<Filter>,
}

/// One filter. Its picture has a hole where a weight is pruned.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Its place in the layer, from 0.
    pub index: u64,
    /// Weights that are not pruned.
    pub kept: u64,
    /// Weights in all.
    pub total: u64,
    /// The weights as shades.
    pub picture: Picture,
}

/// What a model answers on the test split.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// How often each class was taken for each.
    pub confusion: Confusion,
    /// What the classes are called, one for each; none where they are only numbered.
    pub names: Vec<String>,
    /// Images whose two largest logits are so close that another order of summing may turn them round.
    pub close: u64,
    /// Wrong answers that the model was most sure of, the surest first.
    pub mistakes: Vec<Mistake>,
}

/// A wrong answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// Place of the image in the test split, from 0.
    pub image: u64,
    /// Its class.
    pub truth: usize,
    /// The class that the model gives it.
    pub given: usize,
    /// The model's softmax for the class that it gives, `[0, 1]`.
    pub confidence: f64,
    /// The image.
    pub picture: Picture,
}

/// How a recomputed count of right answers stands to the one in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are the same.
    Same,
    /// They differ by no more images than rounding can explain.
    Rounding,
    /// They differ.
    Differs,
    /// The log has no test of this network.
    NotLogged,
}

impl ModelView {
    /// Compares the answers with the log; `None` where there are none.
    pub fn verdict(&self) -> Option<Verdict> {
        let answers = self.answers.as_ref()?;
        let (correct, total) = (answers.confusion.correct(), answers.confusion.total());
        Some(match &self.logged {
            None => Verdict::NotLogged,
            Some(logged) if logged.total != total => Verdict::Differs,
            Some(logged) if logged.correct == correct => Verdict::Same,
            Some(logged) if logged.correct.abs_diff(correct) <= answers.close => Verdict::Rounding,
            Some(_) => Verdict::Differs,
        })
    }
}

impl Views {
    /// Whether there is nothing to show and nothing to say.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty() && self.overlaps.is_empty() && self.notes.is_empty()
    }
}

#[cfg(test)]
#[path = "views_tests.rs"]
pub(crate) mod tests;
