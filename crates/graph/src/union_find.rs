//! Sets that merge: which of many items belong together.

/// Items numbered from 0, each in one set.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnionFind {
    parent: Vec<usize>,
}

impl UnionFind {
    /// A new item, alone in its set.
    pub(crate) fn push(&mut self) -> usize {
        self.parent.push(self.parent.len());
        self.parent.len() - 1
    }

    /// The item that stands for the set of this one: the lowest of the set.
    pub(crate) fn find(&mut self, item: usize) -> usize {
        let mut root = item;
        while self.parent[root] != root {
            root = self.parent[root];
        }
        let mut next = item;
        while self.parent[next] != root {
            next = std::mem::replace(&mut self.parent[next], root);
        }
        root
    }

    /// Makes one set of two.
    pub(crate) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_item_stands_for_its_set() {
        let mut sets = UnionFind::default();
        for _ in 0..6 {
            sets.push();
        }
        sets.join(4, 2);
        sets.join(5, 4);
        sets.join(1, 0);
        assert_eq!((0..6).map(|item| sets.find(item)).collect::<Vec<_>>(), [0, 0, 2, 3, 2, 2]);
        sets.join(5, 1);
        assert_eq!((0..6).map(|item| sets.find(item)).collect::<Vec<_>>(), [0, 0, 0, 3, 0, 0]);
    }
}
