//! Names of nodes that are not taken.

use secateur_graph::Builder;
use std::collections::HashMap;

/// The next number to try behind each name that was taken, so that equal names cost no search.
#[derive(Default)]
pub(crate) struct NodeNames(HashMap<String, usize>);

impl NodeNames {
    /// The name, with a number behind it where a node has it.
    pub(crate) fn free(&mut self, builder: &Builder, own: String) -> String {
        if builder.find(&own).is_none() {
            return own;
        }
        let number = self.0.entry(own.clone()).or_insert(2);
        loop {
            let name = format!("{own}_{number}");
            *number += 1;
            if builder.find(&name).is_none() {
                return name;
            }
        }
    }
}
