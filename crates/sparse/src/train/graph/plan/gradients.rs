//! Which gradients a trainer keeps, and which steps write them, and where.

use super::{Kind, Plan, Way};
use secateur_graph::Graph;

impl Plan {
    /// Which gradients need not be kept: those between a convolution and the normalisation that alone reads it.
    pub(super) fn plan_lazy_gradients(&mut self) {
        for place in 0..self.steps.len() {
            let step = &self.steps[place];
            let (true, Kind::Pointwise { norm: Some(_), .. }) = (step.inputs[0] != self.output, step.kind) else {
                continue;
            };
            let value = step.inputs[0];
            let reads = self.steps.iter().flat_map(|own| &own.inputs).filter(|own| **own == value).count();
            let conv = self.steps[..place].iter().position(|own| own.output == value);
            let Some(conv) = conv.filter(|own| reads == 1 && self.works_by_block(*own)) else { continue };
            self.steps[place].is_lazy_back = true;
            self.steps[conv].source_back = Some(place);
        }
    }

    /// Whether the gradient of an input may take over the buffer of that of the output.
    fn may_take_over(&self, place: usize, which: usize) -> bool {
        let step = &self.steps[place];
        let Kind::Pointwise { norm, .. } = step.kind else { return false };
        let (input, output) = (step.inputs[which], step.output);
        let is_the_same = which == 1 || norm.is_none();
        let is_once = step.inputs.iter().filter(|own| **own == input).count() == 1;
        let fits = self.slots[input].gradient == self.slots[output].gradient;
        // Nobody else may change it before the convolution has read it.
        let conv = self.steps.iter().position(|own| own.source_back == Some(place)).unwrap_or(place);
        let between = &self.steps[conv..place];
        let is_left_alone = between.iter().all(|own| own.output != input && !own.inputs.contains(&input));
        is_the_same && is_once && fits && is_left_alone
    }

    /// Which steps go back, which gradients they write, and where.
    pub(super) fn plan_gradients(&mut self, graph: &Graph) {
        // A gradient is wanted where parameters stand before it, and there is one where the logits depend on the value.
        let mut wanted = vec![false; self.slots.len()];
        for step in &self.steps {
            let trains = graph.parameters().iter().any(|own| own.node == step.node && !own.role.is_buffer());
            wanted[step.output] = trains || step.inputs.iter().any(|input| wanted[*input]);
        }
        let mut free: Vec<usize> = vec![];
        if wanted[self.output] {
            self.take_buffer(self.output, &mut free);
        }
        for place in (0..self.steps.len()).rev() {
            let step = &self.steps[place];
            let output = step.output;
            let goes_back = match step.source_back {
                Some(behind) => self.steps[behind].goes_back,
                None => self.slots[output].buffer.is_some(),
            };
            if !goes_back {
                continue;
            }
            let (inputs, is_lazy_back, source_back) = (step.inputs.clone(), step.is_lazy_back, step.source_back);
            let mut ways = vec![Way::Unwanted; inputs.len()];
            // What is added comes first, since it may take the buffer over.
            for which in (0..inputs.len()).rev() {
                let input = inputs[which];
                if !wanted[input] || which == 0 && is_lazy_back {
                    continue;
                }
                ways[which] = if self.slots[input].buffer.is_some() {
                    Way::Adds
                } else if !ways.contains(&Way::TakesOver) && self.may_take_over(place, which) {
                    self.slots[input].buffer = self.slots[output].buffer;
                    Way::TakesOver
                } else {
                    self.take_buffer(input, &mut free);
                    Way::Writes
                };
            }
            // Whoever reads a gradient last gives its buffer back, unless it has been taken over.
            self.steps[place].goes_back = true;
            self.steps[place].gradients = ways;
            let last = &self.steps[source_back.unwrap_or(place)];
            if !is_lazy_back && !last.gradients.contains(&Way::TakesOver) {
                free.extend(self.slots[last.output].buffer);
            }
        }
    }

    /// Gives the gradient of a slot a buffer.
    fn take_buffer(&mut self, slot: usize, free: &mut Vec<usize>) {
        // Buffers are shared by gradients of one layout only, so that the zeros of their margins stay.
        let layout = self.slots[slot].gradient;
        let found = free.iter().position(|own| self.buffers[*own] == layout);
        let buffer = found.map_or(self.buffers.len(), |place| free.remove(place));
        if buffer == self.buffers.len() {
            self.buffers.push(layout);
        }
        self.slots[slot].buffer = Some(buffer);
    }

    /// Which convolutions write the last part of a gradient that goes back over an activation or a normalisation next.
    pub(super) fn plan_reductions(&mut self) {
        for place in 0..self.steps.len() {
            let output = self.steps[place].output;
            let reader = (place + 1..self.steps.len())
                .find(|own| self.steps[*own].goes_back && self.steps[*own].inputs.contains(&output));
            let changes = matches!(
                self.steps[place].kind,
                Kind::Pointwise { norm: Some(_), .. } | Kind::Pointwise { activation: Some(_), .. }
            );
            if let Some(reader) = reader.filter(|_| changes && self.steps[place].goes_back)
                && matches!(self.steps[reader].kind, Kind::Conv { .. })
            {
                self.steps[reader].reduces = Some(place);
            }
        }
    }
}
