//! Actions and what they wait for. NOT: where the actions come from ([`lower`](crate::lower)) or
//! when they run ([`simulate`](crate::simulate)).
//!
//! Actions are appended in program order and only wait for earlier ones, so a graph has no cycles
//! by construction.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use crate::cache::BlockId;

/// Position of an action in program order.
pub(crate) type ActionId = u32;

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Work {
    /// `m` × `k` by `k` × `n` on a matrix engine.
    Gemm {
        /// Rows: tokens.
        m: u32,
        /// Columns of the output.
        n: u32,
        /// Inner dimension.
        k: u32,
    },
    /// Elementwise work and reductions on a vector engine.
    Vector {
        /// Which.
        kind: VectorWork,
        /// Elements of the output.
        elements: u64,
    },
    /// From the die's memory to the scratchpad, by DMA.
    Load(Transfer),
    /// From the scratchpad to the die's memory, by DMA.
    Store(Transfer),
    /// A step of a ring all-reduce: to the next die, which adds while it receives.
    Ring {
        /// Bytes sent.
        bytes: u64,
    },
    /// Waits; takes no time and no engine. Shown as an instant.
    Barrier,
    /// Waits; takes no time and no engine. Not shown: it only keeps the number of edges small.
    Join,
}

/// Data that a DMA engine moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transfer {
    /// Bytes moved.
    pub bytes: u64,
    /// What the L2 cache knows the data by.
    pub(crate) block: BlockId,
    /// Bytes of the whole block, of which this moves all or a part.
    pub(crate) block_bytes: u64,
}

/// Kinds of vector work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VectorWork {
    /// Token rows (and learnt positions) to the residual stream.
    Embed,
    /// Layer norm or RMS norm.
    Norm,
    /// Rotary positions.
    Rotate,
    /// Online softmax of a tile of scores.
    Softmax,
    /// GELU, tanh form.
    Gelu,
    /// `SiLU` of the gate times the other half.
    GatedSilu,
    /// Sum of so many partial results and the residual.
    Reduce(u8),
    /// Largest of the logits.
    ArgMax,
}

impl VectorWork {
    /// Operations per element.
    #[must_use]
    pub fn operations(self) -> u64 {
        match self {
            Self::ArgMax => 1,
            Self::Embed => 2,
            Self::Norm | Self::Rotate | Self::Softmax => 6,
            Self::GatedSilu => 7,
            Self::Gelu => 10,
            Self::Reduce(parts) => u64::from(parts),
        }
    }

    /// Scratchpad accesses per element, reads and writes.
    #[must_use]
    pub fn operands(self) -> u64 {
        match self {
            Self::ArgMax => 1,
            Self::Embed | Self::Norm | Self::Rotate | Self::Softmax | Self::Gelu => 2,
            Self::GatedSilu => 3,
            Self::Reduce(parts) => u64::from(parts) + 2,
        }
    }
}

/// One node of the graph.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Action {
    /// What it does.
    pub work: Work,
    /// Cluster that does it, numbered over the whole machine; for [`Work::Ring`] the sending die;
    /// unused for barriers and joins.
    pub place: u32,
    /// Index in [`Graph::operations`].
    pub operation: u32,
    /// Index in [`Graph::labels`].
    pub label: u32,
}

/// Why an action waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It uses what the other produced; drawn as an arrow.
    Data,
    /// It needs the other's buffer, or is the same data's second use; not drawn.
    Order,
}

/// An action that another waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) from: ActionId,
    pub(crate) to: ActionId,
    pub(crate) why: Why,
}

/// A part of a model's run that means something to its author: `q_proj` of a layer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Operation {
    /// `q_proj`.
    pub name: &'static str,
    /// Index in [`Graph::stages`].
    pub stage: u32,
    /// Number of its actions.
    pub actions: u32,
}

/// A layer of a pass, or what comes before and after the layers. Ends in a barrier.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stage {
    /// `layer 3`.
    pub name: String,
    /// Index in [`Graph::passes`].
    pub pass: u32,
    /// The barrier that ends it.
    pub(crate) barrier: ActionId,
}

/// Kinds of passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Part of the prompt.
    Prefill,
    /// One new token.
    Decode,
}

/// Tokens that go through all layers together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pass {
    /// `prefill 0..256` or `decode 3`.
    pub name: String,
    /// Which kind.
    pub phase: Phase,
    /// Tokens that are computed.
    pub tokens: u64,
    /// Tokens whose keys they see, themselves included.
    pub context: u64,
    /// Stages of this pass.
    pub(crate) stages: Range<u32>,
}

/// A whole run as actions.
#[derive(Default)]
#[non_exhaustive]
pub struct Graph {
    /// In program order.
    pub actions: Vec<Action>,
    /// Names of actions.
    pub labels: Vec<String>,
    /// What the actions are part of.
    pub operations: Vec<Operation>,
    /// What the operations are part of.
    pub stages: Vec<Stage>,
    /// What the stages are part of.
    pub passes: Vec<Pass>,
    /// Sorted by `to`.
    pub(crate) edges: Vec<Edge>,
    /// Where the edges to each action start; one more at the end.
    incoming: Vec<u32>,
    /// Indices of edges, sorted by `from`.
    outgoing: Vec<u32>,
    /// Where the outgoing edges of each action start; one more at the end.
    outgoing_start: Vec<u32>,
}

impl Graph {
    /// Edges to an action, as indices in `edges`.
    pub(crate) fn incoming(&self, action: ActionId) -> Range<usize> {
        let action = action as usize;
        self.incoming[action] as usize..self.incoming[action + 1] as usize
    }

    /// Edges from an action, as indices in `edges`.
    pub(crate) fn outgoing(&self, action: ActionId) -> &[u32] {
        let action = action as usize;
        let range = self.outgoing_start[action] as usize..self.outgoing_start[action + 1] as usize;
        &self.outgoing[range]
    }

    /// Arrows that a trace of this graph shows.
    #[must_use]
    pub fn arrows(&self) -> u64 {
        self.edges.iter().filter(|edge| edge.why == Why::Data).count() as u64
    }
}

impl fmt::Debug for Graph {
    /// The counts: a whole graph would be megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("passes", &self.passes.len())
            .field("actions", &self.actions.len())
            .field("edges", &self.edges.len())
            .finish_non_exhaustive()
    }
}

/// Appends actions.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    graph: Graph,
    label_ids: HashMap<String, u32>,
}

impl Builder {
    pub(crate) fn begin_pass(&mut self, name: String, phase: Phase, tokens: u64, context: u64) {
        let stage = id(self.graph.stages.len());
        self.graph.passes.push(Pass { name, phase, tokens, context, stages: stage..stage });
    }

    pub(crate) fn begin_stage(&mut self, name: String) {
        self.graph.stages.push(Stage { name, pass: id(self.graph.passes.len() - 1), barrier: 0 });
        let stages = id(self.graph.stages.len());
        if let Some(pass) = self.graph.passes.last_mut() {
            pass.stages.end = stages;
        }
    }

    pub(crate) fn begin_operation(&mut self, name: &'static str) {
        self.graph.operations.push(Operation {
            name,
            stage: id(self.graph.stages.len() - 1),
            actions: 0,
        });
    }

    /// Ends the stage with an action that waits for all of `after`.
    pub(crate) fn barrier(&mut self, after: &[ActionId]) -> ActionId {
        let name = self.graph.stages.last().map_or("", |stage| &stage.name);
        let label = format!("barrier {name}");
        let barrier = self.push(Work::Barrier, 0, label);
        // One arrow each: a barrier shows whom it waited for.
        for &action in after {
            self.wait(action, Why::Data);
        }
        if let Some(stage) = self.graph.stages.last_mut() {
            stage.barrier = barrier;
        }
        barrier
    }

    pub(crate) fn join(&mut self, after: impl IntoIterator<Item = ActionId>) -> ActionId {
        let join = self.push(Work::Join, 0, String::new());
        for action in after {
            self.wait(action, Why::Order);
        }
        join
    }

    /// Appends an action of the current operation.
    pub(crate) fn push(&mut self, work: Work, place: usize, label: String) -> ActionId {
        let graph = &mut self.graph;
        let label = if let Some(&known) = self.label_ids.get(&label) {
            known
        } else {
            let new = id(graph.labels.len());
            graph.labels.push(label.clone());
            self.label_ids.insert(label, new);
            new
        };
        let operation = graph.operations.len() - 1;
        graph.operations[operation].actions += 1;
        graph.incoming.push(id(graph.edges.len()));
        graph.actions.push(Action { work, place: id(place), operation: id(operation), label });
        id(graph.actions.len() - 1)
    }

    /// The newest action waits for an earlier one.
    pub(crate) fn wait(&mut self, from: ActionId, why: Why) {
        let to = id(self.graph.actions.len() - 1);
        debug_assert!(from < to, "actions wait only for earlier ones");
        self.graph.edges.push(Edge { from, to, why });
    }

    pub(crate) fn finish(mut self) -> Graph {
        let graph = &mut self.graph;
        graph.incoming.push(id(graph.edges.len()));
        // Counting sort of the edges by where they come from.
        let mut start = vec![0_u32; graph.actions.len() + 1];
        for edge in &graph.edges {
            start[edge.from as usize + 1] += 1;
        }
        for index in 1..start.len() {
            start[index] += start[index - 1];
        }
        let mut next = start.clone();
        graph.outgoing = vec![0; graph.edges.len()];
        for (index, edge) in graph.edges.iter().enumerate() {
            let slot = &mut next[edge.from as usize];
            graph.outgoing[*slot as usize] = id(index);
            *slot += 1;
        }
        graph.outgoing_start = start;
        self.graph
    }
}

/// Indices are 32 bits; the limit on the number of actions keeps every list far below that.
fn id(index: usize) -> u32 {
    u32::try_from(index).expect("graphs are limited to far fewer than 2^32 items")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_found_from_both_ends() {
        let mut builder = Builder::default();
        builder.begin_pass("pass".into(), Phase::Decode, 1, 1);
        builder.begin_stage("stage".into());
        builder.begin_operation("operation");
        let first = builder.push(Work::Join, 0, "a".into());
        let second = builder.push(Work::Join, 0, "a".into());
        builder.wait(first, Why::Order);
        let third = builder.push(Work::Join, 0, "b".into());
        builder.wait(second, Why::Data);
        builder.wait(first, Why::Order);
        let graph = builder.finish();
        assert_eq!(graph.labels, ["a", "b"]);
        let to_third: Vec<_> = graph.incoming(third).map(|edge| graph.edges[edge].from).collect();
        assert_eq!(to_third, [second, first]);
        let from_first: Vec<_> =
            graph.outgoing(first).iter().map(|&edge| graph.edges[edge as usize].to).collect();
        assert_eq!(from_first, [second, third]);
        assert!(graph.incoming(first).is_empty() && graph.outgoing(third).is_empty());
        assert_eq!((graph.arrows(), graph.operations[0].actions), (1, 3));
    }
}
