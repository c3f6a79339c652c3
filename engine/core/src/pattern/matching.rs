//! Whether a key fits, and where the captures are.

use super::{Captures, Token};

/// Two passes, no backtracking. From the right: for each token and each position, whether this token and all after it can
/// still match the key from there on (`tokens x bytes` booleans, at most a megabyte for a pattern of 1,024 wildcards).
/// From the left: each token takes the fewest characters after which the rest still can. So `*a*a*a*...b` costs no more
/// than any other pattern of its length, and equal input always gives equal captures.
pub(super) fn captures(tokens: &[Token], key: &str) -> Option<Captures> {
    // The cheap no, which in a bucket of many rules is nearly every answer.
    if let Some(Token::Literal(text)) = tokens.first()
        && !key.starts_with(text.as_str())
    {
        return None;
    }
    let table = Table::new(tokens, key);
    if !table.fits(0, 0) {
        return None;
    }
    let mut found = Vec::new();
    let mut at = 0;
    for (index, token) in tokens.iter().enumerate() {
        // The table promised an end; the walk cannot miss it.
        let end = ends(token, key, at).find(|end| table.fits(index + 1, *end))?;
        if let Token::Capture(name) = token {
            found.push((name.clone(), key[at..end].to_owned()));
        }
        at = end;
    }
    Some(Captures(found))
}

/// Where `token` may end when it begins at byte `at`, nearest first.
fn ends<'a>(token: &'a Token, key: &'a str, at: usize) -> Box<dyn Iterator<Item = usize> + 'a> {
    let rest = &key[at..];
    let within = rest.find('/').unwrap_or(rest.len());
    let inside = rest[..within].char_indices().map(move |(i, c)| at + i + c.len_utf8());
    match token {
        Token::Literal(text) => {
            Box::new(rest.starts_with(text.as_str()).then_some(at + text.len()).into_iter())
        }
        Token::AnyChar => Box::new(inside.take(1)),
        Token::Star => Box::new(std::iter::once(at).chain(inside)),
        Token::Capture(_) => Box::new(inside),
        Token::Folders => {
            Box::new(std::iter::once(at).chain(rest.match_indices('/').map(move |(i, _)| at + i + 1)))
        }
        Token::Rest => Box::new((!rest.is_empty()).then_some(key.len()).into_iter()),
    }
}

/// For each token and position whether the rest can match.
struct Table {
    width: usize,
    fits: Vec<bool>,
}

impl Table {
    fn new(tokens: &[Token], key: &str) -> Self {
        let width = key.len() + 1;
        let mut table = Self { width, fits: vec![false; (tokens.len() + 1) * width] };
        table.set(tokens.len(), key.len());
        for (row, token) in tokens.iter().enumerate().rev() {
            table.fill(row, token, key);
        }
        table
    }

    fn fits(&self, row: usize, at: usize) -> bool {
        self.fits[row * self.width + at]
    }

    fn set(&mut self, row: usize, at: usize) {
        self.fits[row * self.width + at] = true;
    }

    /// One row, from the row below it and, for the tokens that repeat, from the positions to the right. Constant work a
    /// position (a literal compares its own length), which is why this is not written with [`ends`].
    fn fill(&mut self, row: usize, token: &Token, key: &str) {
        let below = row + 1;
        // `Folders`: whether it can begin again after the nearest slash to the right.
        let mut after_slash = false;
        if matches!(token, Token::Star | Token::Folders) && self.fits(below, key.len()) {
            self.set(row, key.len());
        }
        for (at, c) in key.char_indices().rev() {
            let next = at + c.len_utf8();
            if c == '/' {
                after_slash = self.fits(row, next);
            }
            let fits = match token {
                Token::Literal(text) => {
                    key[at..].starts_with(text.as_str()) && self.fits(below, at + text.len())
                }
                Token::AnyChar => c != '/' && self.fits(below, next),
                Token::Star => self.fits(below, at) || (c != '/' && self.fits(row, next)),
                Token::Capture(_) => c != '/' && (self.fits(below, next) || self.fits(row, next)),
                Token::Folders => self.fits(below, at) || after_slash,
                Token::Rest => true,
            };
            if fits {
                self.set(row, at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::KeyPattern;
    use super::*;
    use crate::key::ObjectKey;

    fn matched(pattern: &str, key: &str) -> Option<String> {
        let captures = KeyPattern::parse(pattern).unwrap().matches(&ObjectKey::new(key).unwrap())?;
        Some(captures.iter().map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn tokens_match_what_they_stand_for() {
        let cases: [(&str, &[&str], &[&str]); 17] = [
            ("a.json", &["a.json"], &["a.jsonx", "xa.json", "A.json", "b/a.json"]),
            ("a?c", &["abc", "aéc", "a c"], &["ac", "abbc", "a/c"]),
            ("*", &["a", "a.b", "é"], &["a/b"]),
            ("*.json", &[".json", "a.json", "a.json.json"], &["a.jso", "in/a.json"]),
            ("in/*", &["in/a"], &["in/a/b", "in", "inx/a"]),
            ("a*b*c", &["abc", "aXbXc", "abbcc", "abcbc"], &["ac", "acb", "ab/c"]),
            ("**", &["a", "a/b", "a/b/c"], &[]),
            ("in/**", &["in/a", "in/a/b"], &["in", "inx/a"]),
            ("**/a.csv", &["a.csv", "x/a.csv", "x/y/a.csv"], &["xa.csv", "x/a.csv/b"]),
            ("in/**/a", &["in/a", "in/x/a", "in/x/y/a", "in/a/a"], &["ina", "in/xa", "in/a/b"]),
            ("in/**/x/**/a", &["in/x/a", "in/q/x/x/r/a"], &["in/a", "in/q/a"]),
            ("**/*", &["a", "a/b"], &[]),
            ("*/**", &["a/b", "a/b/c"], &["a"]),
            ("{a}", &["x", "é"], &["x/y"]),
            ("x{a}y", &["x1y", "xyyy"], &["xy", "x/y"]),
            (r"\*\{a\}", &["*{a}"], &["x{a}"]),
            (r"\\?", &[r"\a"], &["a"]),
        ];
        for (pattern, yes, no) in cases {
            for key in yes {
                assert!(matched(pattern, key).is_some(), "{pattern} should match {key}");
            }
            for key in no {
                assert!(matched(pattern, key).is_none(), "{pattern} should not match {key}");
            }
        }
    }

    #[test]
    fn each_token_takes_the_least_that_works() {
        let cases = [
            ("claims/{sender}/{date}/*.json", "claims/acme/2026-01-02/x.json", "sender=acme date=2026-01-02"),
            ("{partner}_{rest}.csv", "acme_eu_1.csv", "partner=acme rest=eu_1"),
            ("*{a}", "xyz", "a=xyz"),
            ("{a}*", "xyz", "a=x"),
            ("{a}*.csv", "xyz.csv", "a=x"),
            ("*-{a}.csv", "x-y-z.csv", "a=y-z"),
            ("{a}?", "éü", "a=é"),
            ("**/{dir}/*", "a/b/c/d", "dir=c"),
            ("**/{dir}/**", "a/b/c/d", "dir=a"),
            ("{a}.{b}", "x.tar.gz", "a=x b=tar.gz"),
            ("{a}__{b}", "x___y", "a=x b=_y"),
        ];
        for (pattern, key, want) in cases {
            assert_eq!(matched(pattern, key).as_deref(), Some(want), "{pattern} on {key}");
        }
    }

    /// With a backtracking matcher each of these takes longer than the universe; here the table bounds the steps. The
    /// test would hang, not fail slowly, so it needs no clock.
    #[test]
    fn many_wildcards_on_the_longest_key_cost_nothing_special() {
        let key = "a".repeat(1024);
        assert_eq!(matched(&format!("{}b", "*a".repeat(511)), &key), None);
        assert!(matched(&"*a".repeat(512), &key).is_some());
        assert_eq!(matched(&"?*".repeat(512), &key), Some(String::new()));
        assert_eq!(matched(&format!("{}b", "a*".repeat(511)), &key), None);
        let folders = "a/".repeat(511) + "aa";
        assert_eq!(matched(&format!("{}b", "**/a/".repeat(200)), &folders), None);
        assert!(matched(&format!("{}**", "**/a/".repeat(200)), &folders).is_some());
        let captures: String = (0..100).map(|i| format!("{{c{i}}}a")).collect();
        assert_eq!(matched(&format!("{captures}b"), &key), None);
        assert!(matched(&captures, &key).is_some());
    }

    /// The definition, by plain backtracking in the same order of preference.
    fn naive(tokens: &[Token], key: &str) -> Option<Vec<(String, String)>> {
        let Some((token, later)) = tokens.split_first() else {
            return key.is_empty().then(Vec::new);
        };
        for (end, _) in key.char_indices().chain([(key.len(), ' ')]) {
            let part = &key[..end];
            let fits = match token {
                Token::Literal(text) => part == text,
                Token::AnyChar => part.chars().count() == 1 && part != "/",
                Token::Star => !part.contains('/'),
                Token::Capture(_) => !part.is_empty() && !part.contains('/'),
                Token::Folders => part.is_empty() || part.ends_with('/'),
                Token::Rest => !part.is_empty() && end == key.len(),
            };
            if let Some(mut found) = fits.then(|| naive(later, &key[end..])).flatten() {
                if let Token::Capture(name) = token {
                    found.insert(0, (name.clone(), part.to_owned()));
                }
                return Some(found);
            }
        }
        None
    }

    fn escaped(key: &str) -> String {
        let mut text = String::new();
        for c in key.chars() {
            if "*?{}\\".contains(c) {
                text.push('\\');
            }
            text.push(c);
        }
        text
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn agrees_with_the_definition(
            pattern in r"([ab]|\*|\?|/|\*\*/|/\*\*|\{x\}|\{y\}|é){1,8}",
            key in r"[abé/]{1,10}",
        ) {
            let (Ok(pattern), Ok(key)) = (KeyPattern::parse(&pattern), ObjectKey::new(key)) else { return Ok(()) };
            let want = naive(&pattern.tokens, key.as_str()).map(Captures);
            prop_assert_eq!(pattern.matches(&key), want);
        }

        #[test]
        fn a_key_written_as_a_pattern_matches_itself_and_nothing_else(
            key in r"[ -~é]{1,20}(/[ -~é]{1,9}){0,3}",
            other in r"[ -~é]{1,20}",
        ) {
            let (Ok(key), Ok(other)) = (ObjectKey::new(key), ObjectKey::new(other)) else { return Ok(()) };
            let pattern = KeyPattern::parse(&escaped(key.as_str())).unwrap();
            prop_assert_eq!(pattern.matches(&key), Some(Captures::default()));
            prop_assert_eq!(pattern.matches(&other).is_some(), key == other);
        }

        #[test]
        fn parsing_never_panics(text in r"(\PC|[*?{}/\\a]){0,30}") {
            if let Ok(pattern) = KeyPattern::parse(&text) {
                prop_assert_eq!(pattern.as_str(), text.as_str());
            }
        }
    }
}
