//! Where in a TOML file something is wrong.

/// The line, from 1, of a mistake in `text`.
pub fn toml_line(text: &str, error: &toml::de::Error) -> usize {
    error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one() {
        for (text, line) in [("= 1", 1), ("a = 1\n= 2\n", 2), ("a = 1\n\na = 2\n", 3), ("a = 1\n\n[b", 3)] {
            let error = text.parse::<toml::Table>().unwrap_err();
            assert_eq!(toml_line(text, &error), line, "{text:?}: {error}");
        }
    }
}
