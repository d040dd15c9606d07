//! Which channels have to be pruned together: dependency groups, found by walking the graph.
//!
//! A filter is gone only when everything that would bring its channel back is gone, too: its bias, the batch
//! normalisation behind it, and, where two branches are added, the filters of the other branch. Channels that meet in this
//! way are one *unit*, and units that stand side by side are a *group*:
//!
//! ```text
//!   conv1 ──> bn1 ──┐
//!                   add ──> relu ──> fc       one group: conv1 (axis 0), bn1, conv2 (axis 0), bn2, and fc (axis 1)
//!   conv2 ──> bn2 ──┘
//! ```

use crate::channels::Channels;
use crate::graph::{Graph, Node, Value};
use crate::union_find::UnionFind;

/// Units that stand side by side, such as the channels of one stage of a residual network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Parameters that hold something of the units, in the graph's order.
    pub members: Vec<Member>,
    /// Of each unit, why it cannot be pruned; `None` where it can.
    pub pinned: Vec<Option<Pin>>,
}

/// A parameter's axis on which it meets the units of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Place of the parameter in [`Graph::parameters`].
    pub parameter: usize,
    /// The axis: 0 where it gives the units, 1 where it reads them.
    pub axis: usize,
    /// The unit of each index of the axis; `None` where the index belongs to another group, as behind a concat.
    pub units: Vec<Option<usize>>,
}

/// Why a unit cannot be pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// It is a channel of the network's input.
    Input,
    /// It is one of the network's outputs.
    Output,
    /// A convolution in groups reads or gives it: its groups would no longer be of one size.
    Grouped {
        /// The convolution.
        node: String,
    },
    /// A reshape mixes the channels.
    Reshaped {
        /// The node.
        node: String,
    },
}

impl Group {
    /// How many units there are.
    pub fn len(&self) -> usize {
        self.pinned.len()
    }

    /// Whether there are none; a graph has no such group.
    pub fn is_empty(&self) -> bool {
        self.pinned.is_empty()
    }
}

impl Member {
    /// Whether the parameter gives the units rather than reading them.
    pub fn gives(&self) -> bool {
        self.axis == 0
    }
}

/// The reason in words, to follow "cannot be pruned: ".
impl std::fmt::Display for Pin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Input => out.write_str("it is a channel of the network's input"),
            Self::Output => out.write_str("it is one of the network's outputs"),
            Self::Grouped { node } => write!(out, "`{node}` is a convolution in groups of one size"),
            Self::Reshaped { node } => write!(out, "`{node}` mixes channels"),
        }
    }
}

/// Which unit each channel of a graph's values is, counted over the whole graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelUnits {
    /// By value: the unit of each index of its first axis.
    pub of: Vec<Vec<usize>>,
    /// By unit: whether it cannot be pruned; [`Graph::dependency_groups`] says why.
    pub pinned: Vec<bool>,
}

/// Why a channel cannot be pruned, as [`Pin`]; a node by its place.
#[derive(Clone, Copy, Debug)]
enum Cause {
    Input,
    Output,
    Grouped(usize),
    Reshaped(usize),
}

impl Cause {
    fn pin(self, graph: &Graph) -> Pin {
        let name = |place: usize| graph.nodes()[place].name.clone();
        match self {
            Self::Input => Pin::Input,
            Self::Output => Pin::Output,
            Self::Grouped(node) => Pin::Grouped { node: name(node) },
            Self::Reshaped(node) => Pin::Reshaped { node: name(node) },
        }
    }
}

/// The channels of all values while the graph is walked. Channels that are joined are one unit.
struct Walk {
    sets: UnionFind,
    /// Blocks of channels that one node gives; those that meet are one group.
    blocks: UnionFind,
    /// By channel: its block.
    block: Vec<usize>,
    /// By channel: why it cannot be pruned.
    pinned: Vec<Option<Cause>>,
    /// By value: the channel of each index of its first axis.
    of: Vec<Vec<usize>>,
    /// Parameter, axis, and the value whose channels are the indices of it.
    slots: Vec<(usize, usize, Value)>,
}

impl Graph {
    /// The dependency groups, in the order in which their units first appear; that of the input comes first.
    pub fn dependency_groups(&self) -> Vec<Group> {
        self.walked().groups(self)
    }

    /// The unit of each channel of each value.
    pub fn channel_units(&self) -> ChannelUnits {
        let Walk { mut sets, pinned: causes, mut of, .. } = self.walked();
        let (mut numbers, mut pinned) = (vec![None; causes.len()], Vec::new());
        for (channel, cause) in causes.iter().enumerate() {
            let unit = *numbers[sets.find(channel)].get_or_insert_with(|| {
                pinned.push(false);
                pinned.len() - 1
            });
            numbers[channel] = Some(unit);
            pinned[unit] |= cause.is_some();
        }
        for channel in of.iter_mut().flatten() {
            *channel = numbers[*channel].expect("every channel has a number");
        }
        ChannelUnits { of, pinned }
    }

    fn walked(&self) -> Walk {
        let mut channels = Walk {
            sets: UnionFind::default(),
            blocks: UnionFind::default(),
            block: vec![],
            pinned: vec![],
            of: vec![],
            slots: vec![],
        };
        let input = channels.fresh(self.shape(self.input())[0]);
        channels.pin(&input, Cause::Input);
        channels.of.push(input);
        let mut first = 0;
        for place in 0..self.nodes().len() {
            let count = self.parameters()[first..].iter().take_while(|own| own.node == place).count();
            let given = channels.walk(self, place, first..first + count);
            channels.of.push(given);
            first += count;
        }
        let outputs = channels.of[self.output().index()].clone();
        channels.pin(&outputs, Cause::Output);
        channels
    }
}

impl Walk {
    /// New channels, side by side.
    fn fresh(&mut self, count: usize) -> Vec<usize> {
        let block = self.blocks.push();
        let mut own = Vec::with_capacity(count);
        for _ in 0..count {
            own.push(self.sets.push());
            self.block.push(block);
            self.pinned.push(None);
        }
        own
    }

    fn pin(&mut self, channels: &[usize], why: Cause) {
        channels.iter().for_each(|own| self.pinned[*own] = Some(why));
    }

    fn join(&mut self, a: &[usize], b: &[usize]) {
        for (a, b) in a.iter().zip(b) {
            self.sets.join(*a, *b);
            self.blocks.join(self.block[*a], self.block[*b]);
        }
    }

    fn input(&self, value: Value) -> Vec<usize> {
        self.of[value.index()].clone()
    }

    /// The channels of what the node at this place gives; `parameters` are the places of its own.
    fn walk(&mut self, graph: &Graph, place: usize, parameters: std::ops::Range<usize>) -> Vec<usize> {
        let node = &graph.nodes()[place];
        let read = self.input(node.inputs[0]);
        let (shape, given) = (graph.shape(node.inputs[0]), graph.shape(node.output)[0]);
        match node.op.channels(shape) {
            Channels::Weighted { groups: 1 } => {
                self.slots.push((parameters.start, 1, node.inputs[0]));
                self.slots.extend(parameters.map(|own| (own, 0, node.output)));
                self.fresh(given)
            }
            Channels::Weighted { groups } if groups == shape[0] => {
                self.slots.extend(parameters.map(|own| (own, 0, node.output)));
                (0..given).map(|filter| read[filter / (given / groups)]).collect()
            }
            Channels::Weighted { .. } => {
                self.slots.extend(parameters.map(|own| (own, 0, node.output)));
                self.pinned_on_both_sides(node, given, Cause::Grouped(place))
            }
            Channels::Same => {
                self.slots.extend(parameters.map(|own| (own, 0, node.output)));
                for other in &node.inputs[1..] {
                    let other = self.input(*other);
                    self.join(&read, &other);
                }
                read
            }
            Channels::Appended => node.inputs.iter().flat_map(|value| self.input(*value)).collect(),
            Channels::Spread(each) => read.into_iter().flat_map(|channel| std::iter::repeat_n(channel, each)).collect(),
            Channels::Regrouped | Channels::Mixed => self.pinned_on_both_sides(node, given, Cause::Reshaped(place)),
        }
    }

    /// New channels that cannot be pruned, as those that the node reads cannot.
    fn pinned_on_both_sides(&mut self, node: &Node, count: usize, why: Cause) -> Vec<usize> {
        for value in &node.inputs {
            let read = self.input(*value);
            self.pin(&read, why);
        }
        let given = self.fresh(count);
        self.pin(&given, why);
        given
    }

    fn groups(mut self, graph: &Graph) -> Vec<Group> {
        // The group and the unit of each channel, numbered as they appear.
        let (mut group_of_block, mut unit_of_set) = (vec![None; self.block.len()], vec![None; self.block.len()]);
        let mut groups: Vec<Group> = Vec::new();
        let mut at = Vec::with_capacity(self.block.len());
        for channel in 0..self.block.len() {
            let block = self.blocks.find(self.block[channel]);
            let group = *group_of_block[block].get_or_insert_with(|| {
                groups.push(Group { members: vec![], pinned: vec![] });
                groups.len() - 1
            });
            let pinned = &mut groups[group].pinned;
            let unit = *unit_of_set[self.sets.find(channel)].get_or_insert_with(|| {
                pinned.push(None);
                pinned.len() - 1
            });
            pinned[unit] = pinned[unit].take().or_else(|| self.pinned[channel].map(|cause| cause.pin(graph)));
            at.push((group, unit));
        }
        for (parameter, axis, value) in self.slots {
            let channels = &self.of[value.index()];
            let mut reached: Vec<usize> = channels.iter().map(|own| at[*own].0).collect();
            reached.sort_unstable();
            reached.dedup();
            for group in reached {
                let units = channels.iter().map(|own| (at[*own].0 == group).then_some(at[*own].1)).collect();
                groups[group].members.push(Member { parameter, axis, units });
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Weights;
    use crate::graph::Builder;
    use crate::op::{Activation, BatchNorm, Conv2d, Linear, Op, Pool};

    fn conv(outputs: usize) -> Op {
        Op::Conv2d(Conv2d::new(outputs, 3).padding(1))
    }

    fn norm() -> Op {
        Op::BatchNorm(BatchNorm::default())
    }

    /// `name@axis` of each member.
    fn members(graph: &Graph, group: &Group) -> Vec<String> {
        group.members.iter().map(|own| format!("{}@{}", graph.parameters()[own.parameter].name, own.axis)).collect()
    }

    /// A net with everything: a stem, a residual block, a depthwise convolution with two filters a channel, a concat.
    fn everything() -> Graph {
        let mut net = Builder::new(&[2, 4, 4]).expect("a shape");
        let mut add = |name: &str, op: Op, inputs: &[&str]| net.add_named(name, op, inputs).expect("fits");
        add("stem", conv(3), &["input"]);
        add("stem_norm", norm(), &["stem"]);
        add("relu", Op::Activation(Activation::Relu), &["stem_norm"]);
        add("conv1", conv(5), &["relu"]);
        add("silu", Op::Activation(Activation::Silu), &["conv1"]);
        add("conv2", conv(3), &["silu"]);
        add("norm2", norm(), &["conv2"]);
        add("sum", Op::Add, &["norm2", "relu"]);
        add("depthwise", Op::Conv2d(Conv2d::new(6, 3).padding(1).groups(3)), &["sum"]);
        add("both", Op::Concat, &["depthwise", "silu"]);
        add("pool", Op::Pool(Pool::max(2)), &["both"]);
        add("flatten", Op::Flatten, &["pool"]);
        add("fc", Op::Linear(Linear::new(4)), &["flatten"]);
        net.finish()
    }

    #[test]
    fn every_channel_of_every_value_has_a_unit() {
        let graph = everything();
        let units = graph.channel_units();
        let of = |name: &str| {
            let node = graph.nodes().iter().find(|node| node.name == name).expect("there");
            units.of[node.output.index()].clone()
        };
        assert_eq!(units.of[0], [0, 1]);
        assert_eq!((of("stem"), of("sum"), of("conv1")), (vec![2, 3, 4], vec![2, 3, 4], vec![5, 6, 7, 8, 9]));
        assert_eq!(of("both"), [2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9]);
        assert_eq!(of("flatten")[..5], [2, 2, 2, 2, 2]);
        let pinned: Vec<usize> = (0..units.pinned.len()).filter(|unit| units.pinned[*unit]).collect();
        assert_eq!(pinned, [0, 1, 10, 11, 12, 13], "input and output");
    }

    #[test]
    fn what_is_added_is_one_group() {
        let graph = everything();
        let groups = graph.dependency_groups();
        assert_eq!(groups.iter().map(Group::len).collect::<Vec<_>>(), [2, 3, 5, 4]);
        assert_eq!(members(&graph, &groups[0]), ["stem.weight@1"]);
        assert_eq!(
            members(&graph, &groups[1]),
            [
                "stem.weight@0",
                "stem.bias@0",
                "stem_norm.weight@0",
                "stem_norm.bias@0",
                "stem_norm.running_mean@0",
                "stem_norm.running_var@0",
                "conv1.weight@1",
                "conv2.weight@0",
                "conv2.bias@0",
                "norm2.weight@0",
                "norm2.bias@0",
                "norm2.running_mean@0",
                "norm2.running_var@0",
                "depthwise.weight@0",
                "depthwise.bias@0",
                "fc.weight@1",
            ]
        );
        assert_eq!(members(&graph, &groups[2]), ["conv1.weight@0", "conv1.bias@0", "conv2.weight@1", "fc.weight@1"]);
        // A unit of the stem has two depthwise filters, and behind the concat and the pooling eight features.
        let unit_1 = |member: &Member| member.units.iter().filter(|unit| **unit == Some(1)).count();
        let count = |name: &str, group: usize| {
            let found = groups[group].members.iter().filter(|own| graph.parameters()[own.parameter].name == name);
            found.map(unit_1).sum::<usize>()
        };
        assert_eq!((count("depthwise.weight", 1), count("fc.weight", 1), count("fc.weight", 2)), (2, 8, 4));
    }

    #[test]
    fn inputs_and_outputs_stay() {
        let groups = everything().dependency_groups();
        let pins = |group: &Group| group.pinned.iter().flatten().cloned().collect::<Vec<_>>();
        assert_eq!(pins(&groups[0]), [Pin::Input, Pin::Input]);
        assert_eq!(pins(&groups[3]), [const { Pin::Output }; 4]);
        assert!(pins(&groups[1]).is_empty() && pins(&groups[2]).is_empty());

        let ops = [("a", conv(4)), ("b", Op::Conv2d(Conv2d::new(6, 1).groups(2))), ("c", conv(2))];
        let groups = Graph::sequential(&[1, 4, 4], ops).expect("fits").dependency_groups();
        assert_eq!(groups.iter().map(|group| pins(group).len()).collect::<Vec<_>>(), [1, 4, 6, 2]);
        assert_eq!(pins(&groups[1])[0].to_string(), "`b` is a convolution in groups of one size");

        let ops =
            [("a", conv(4)), ("r", Op::Reshape(vec![2, 32])), ("f", Op::Flatten), ("c", Op::Linear(Linear::new(2)))];
        let groups = Graph::sequential(&[1, 4, 4], ops).expect("fits").dependency_groups();
        assert_eq!(
            pins(&groups[1]),
            [const { Pin::Reshaped { node: String::new() } }; 4].map(|_| Pin::Reshaped { node: "r".into() })
        );
    }

    /// Sets what a member holds of a unit to zero.
    fn erase(graph: &Graph, weights: &mut Weights, member: &Member, unit: usize) {
        let own = &graph.parameters()[member.parameter];
        let inner: usize = own.shape[member.axis + 1..].iter().product();
        let values = weights.get_mut(&own.name).expect("there");
        for (index, value) in values.iter_mut().enumerate() {
            if member.units[index / inner % own.shape[member.axis]] == Some(unit) {
                *value = 0.0;
            }
        }
    }

    #[test]
    fn a_unit_whose_members_are_zero_is_gone_everywhere() {
        let graph = everything();
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 + 0.25
        };
        let mut weights = Weights::neutral(&graph);
        let names: Vec<String> = graph.parameters().iter().map(|own| own.name.clone()).collect();
        names.iter().for_each(|name| weights.get_mut(name).expect("there").iter_mut().for_each(|own| *own = random()));
        let image: Vec<f32> = (0..32).map(|_| random()).collect();
        let before = graph.forward(&weights, &image);
        for group in &graph.dependency_groups()[1..3] {
            for unit in 0..group.len() {
                let mut given = weights.clone();
                group.members.iter().filter(|own| own.gives()).for_each(|own| erase(&graph, &mut given, own, unit));
                let answers = graph.forward(&given, &image);
                assert_ne!(answers, before, "the unit did something");
                // Nobody misses what would read it: it is zero wherever it is read.
                group.members.iter().filter(|own| !own.gives()).for_each(|own| erase(&graph, &mut given, own, unit));
                assert_eq!(graph.forward(&given, &image), answers);
            }
        }
    }
}
