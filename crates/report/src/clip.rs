//! Cuts lines to a panel and into dashes. Pure: points in, pieces out.

type Place = (f64, f64);

/// The pieces of the line through `points` whose height lies in `low..=high`.
pub(crate) fn clip(points: &[Place], low: f64, high: f64) -> Vec<Vec<Place>> {
    let mut pieces: Vec<Vec<Place>> = Vec::new();
    for pair in points.windows(2) {
        let (Some(from), Some(to)) = (toward(pair[0], pair[1], low, high), toward(pair[1], pair[0], low, high)) else {
            continue;
        };
        match pieces.last_mut() {
            Some(piece) if piece.last() == Some(&from) => piece.push(to),
            _ => pieces.push(vec![from, to]),
        }
    }
    pieces
}

/// `place`, or where the way from it to `other` enters the range; `None` if it does not.
fn toward(place: Place, other: Place, low: f64, high: f64) -> Option<Place> {
    let edge = match place.1 {
        y if y < low => low,
        y if y > high => high,
        _ => return Some(place),
    };
    let share = (edge - place.1) / (other.1 - place.1);
    (0.0..=1.0).contains(&share).then_some((place.0 + share * (other.0 - place.0), edge))
}

/// What of the area within `corners` lies at heights of `low..=high`: its corners, empty where there is nothing.
pub(crate) fn clip_area(corners: &[Place], low: f64, high: f64) -> Vec<Place> {
    // One edge after the other: what is inside stays, and where a side crosses the edge there is a new corner.
    let cut = |corners: &[Place], edge: f64, inside: &dyn Fn(f64) -> bool| {
        let mut kept = Vec::with_capacity(corners.len() + 2);
        for (index, &to) in corners.iter().enumerate() {
            let from = corners[(index + corners.len() - 1) % corners.len()];
            if inside(from.1) != inside(to.1) {
                let share = (edge - from.1) / (to.1 - from.1);
                kept.push((from.0 + share * (to.0 - from.0), edge));
            }
            if inside(to.1) {
                kept.push(to);
            }
        }
        kept
    };
    let above = cut(corners, low, &|y| y >= low);
    cut(&above, high, &|y| y <= high)
}

/// Cuts a line into dashes of length `on` with gaps of length `off`, the first dash at its start.
pub(crate) fn dashes(points: &[Place], on: f64, off: f64) -> Vec<Vec<Place>> {
    let mut pieces: Vec<Vec<Place>> = Vec::new();
    // What is left of the dash or gap that is under way, carried over corners.
    let (mut left, mut drawing) = (on, true);
    for pair in points.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let along = |distance: f64| {
            let share = if length > 0.0 { distance / length } else { 0.0 };
            (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1))
        };
        let mut done = 0.0;
        while done < length {
            let end = (done + left).min(length);
            if drawing {
                match pieces.last_mut() {
                    Some(piece) if piece.last() == Some(&along(done)) => piece.push(along(end)),
                    _ => pieces.push(vec![along(done), along(end)]),
                }
            }
            left -= end - done;
            done = end;
            if left <= 1e-9 {
                drawing = !drawing;
                left = if drawing { on } else { off };
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_the_edge_of_the_panel() {
        let line = [(0.0, 4.0), (1.0, 4.0), (2.0, 0.0), (3.0, 0.0), (4.0, 8.0)];
        let expected = vec![vec![(0.0, 4.0), (1.0, 4.0), (1.5, 2.0)], vec![(3.25, 2.0), (3.75, 6.0)]];
        assert_eq!(clip(&line, 2.0, 6.0), expected);
        assert_eq!(clip(&[(0.0, 0.0), (1.0, 1.0)], 2.0, 6.0), Vec::<Vec<Place>>::new());
        assert_eq!(clip(&[(0.0, 3.0)], 2.0, 6.0), Vec::<Vec<Place>>::new(), "one point is no line");
    }

    #[test]
    fn areas_end_at_the_edge_of_the_panel() {
        let triangle = [(0.0, 0.0), (2.0, 4.0), (4.0, 0.0)];
        assert_eq!(clip_area(&triangle, 0.0, 2.0), [(0.0, 0.0), (1.0, 2.0), (3.0, 2.0), (4.0, 0.0)]);
        assert_eq!(clip_area(&triangle, 2.0, 9.0), [(1.0, 2.0), (2.0, 4.0), (3.0, 2.0)]);
        assert_eq!(clip_area(&triangle, 5.0, 9.0), []);
        assert_eq!(clip_area(&[], 0.0, 1.0), []);
    }

    #[test]
    fn dashes_go_round_corners() {
        let line = [(0.0, 0.0), (3.0, 0.0), (3.0, 3.0)];
        let expected = vec![vec![(0.0, 0.0), (2.0, 0.0)], vec![(3.0, 0.0), (3.0, 2.0)]];
        assert_eq!(dashes(&line, 2.0, 1.0), expected);
        assert_eq!(dashes(&[(0.0, 0.0), (0.0, 1.0), (2.0, 1.0)], 2.0, 9.0), [[(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]]);
    }
}
