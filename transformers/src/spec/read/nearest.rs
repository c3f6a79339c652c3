//! "Did you mean": the known word that a misspelt one is probably meant to be.

/// The nearest of `known`, unless everything is far off.
pub(in super::super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        // The border of the engine's own hints: `delimeter` is near `delimiter`, `separator` is not.
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The hint for a word that is none of a list: all of the list, since the nearest by its letters may be another thing altogether
/// (`zip` and `gzip`).
pub(super) fn word_hint(word: &str, known: &[&str]) -> String {
    let list = known.join(", ");
    match nearest(&word.to_ascii_lowercase(), known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? There are: {list}"),
        None => format!("use one of: {list}"),
    }
}
