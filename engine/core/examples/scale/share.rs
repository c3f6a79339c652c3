//! How the places of all workers are divided among the lanes that want some: in equal parts, as a claim does it.

/// What one lane could use in this second.
#[derive(Debug, Clone, Copy)]
pub struct Want {
    /// Places.
    pub places: f64,
    /// Files that a place sends in the second; none where nobody answers.
    pub files_per_place: f64,
}

/// The most that one lane may take, so that all of them stay within so many places and so many files a second.
pub fn level(wants: &[Want], places: f64, files: f64) -> f64 {
    let fits = |level: f64| {
        let (mut used, mut sent) = (0.0, 0.0);
        for want in wants {
            let got = want.places.min(level);
            used += got;
            sent += got * want.files_per_place;
        }
        used <= places && sent <= files
    };
    let most = wants.iter().fold(0.0, |most: f64, want| most.max(want.places));
    if fits(most) {
        return most;
    }
    // Half of it 24 times: to a millionth of a place.
    let (mut low, mut high) = (0.0, most);
    for _ in 0..24 {
        let middle = (low + high) / 2.0;
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(places: &[f64]) -> Vec<Want> {
        places.iter().map(|places| Want { places: *places, files_per_place: 2.0 }).collect()
    }

    #[test]
    fn the_small_ones_get_all_and_the_large_ones_the_same() {
        let cases = [
            (vec![1.0, 2.0, 3.0], 10.0, 100.0, 3.0),
            (vec![1.0, 50.0, 90.0], 21.0, 100.0, 10.0),
            // Ten files are five places.
            (vec![1.0, 50.0, 90.0], 21.0, 10.0, 2.0),
            (vec![5.0], 0.0, 100.0, 0.0),
            (vec![], 1.0, 1.0, 0.0),
        ];
        for (places, in_all, files, want) in cases {
            let got = level(&wants(&places), in_all, files);
            assert!((got - want).abs() < 1e-4, "{places:?}: {got}, not {want}");
        }
    }
}
