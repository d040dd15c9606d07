//! Which networks no other one beats in both accuracy and cost. Pure.

/// Of each (cost, accuracy) whether it is on the front: no other costs at most as much and is at least as accurate, with one
/// of the two better. Equal ones are on it together.
pub(crate) fn front(points: &[(f64, f64)]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    // From the cheapest on, the most accurate first among equals: each has to be better than all before it.
    order.sort_by(|&a, &b| points[a].0.total_cmp(&points[b].0).then(points[b].1.total_cmp(&points[a].1)));
    let mut on = vec![false; points.len()];
    let mut best: Option<(f64, f64)> = None;
    for index in order {
        let point = points[index];
        if best.is_none_or(|best| point.1 > best.1 || point == best) {
            on[index] = true;
            best = Some(point);
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_nothing_beats() {
        let points = [(1.0, 50.0), (2.0, 70.0), (2.0, 60.0), (3.0, 70.0), (4.0, 90.0), (4.0, 90.0), (0.5, 10.0)];
        assert_eq!(front(&points), [true, true, false, false, true, true, true]);
        assert!(front(&[]).is_empty());
        // The reference implementation: by the definition.
        let beats = |a: (f64, f64), b: (f64, f64)| a != b && a.0 <= b.0 && a.1 >= b.1;
        let slow: Vec<_> = points.iter().map(|&b| !points.iter().any(|&a| beats(a, b))).collect();
        assert_eq!(front(&points), slow);
    }
}
