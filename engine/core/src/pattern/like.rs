//! A pattern as SQL's LIKE: everything that the pattern matches, and some more. A database narrows by it, the pattern
//! itself decides.

use super::Token;

/// `%` and `_`, with `\` before literal ones (`LIKE ... ESCAPE '\'`).
pub(super) fn like(tokens: &[Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Literal(literal) => {
                for c in literal.chars() {
                    if matches!(c, '%' | '_' | '\\') {
                        text.push('\\');
                    }
                    text.push(c);
                }
            }
            Token::AnyChar => text.push('_'),
            Token::Star | Token::Capture(_) | Token::Folders | Token::Rest => text.push('%'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::KeyPattern;

    #[test]
    fn wildcards_widen_and_literals_are_escaped() {
        for (pattern, want) in [
            ("a.csv", "a.csv"),
            ("100%_a*.csv", r"100\%\_a%.csv"),
            ("in/?/{x}.csv", "in/_/%.csv"),
            ("in/**/a", "in/%a"),
            ("in/**", "in/%"),
            (r"\*\\", r"*\\"),
        ] {
            assert_eq!(KeyPattern::parse(pattern).unwrap().like(), want, "{pattern}");
        }
    }
}
