//! From the text of a pattern to its tokens.

use super::{MAX_PATTERN_BYTES, RESERVED_NAMES, Token};
use crate::fault::{Fault, code};
use crate::key::Shown;

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let chars: Vec<char> = text.chars().collect();
    let parser = Parser { chars: &chars, at: 0, tokens: Vec::new() };
    let parsed = if text.is_empty() {
        Err((0, "it is empty".into()))
    } else if text.len() > MAX_PATTERN_BYTES {
        Err((0, format!("it has {} bytes, more than {MAX_PATTERN_BYTES}", text.len())))
    } else {
        whole_segments(text).and_then(|()| parser.run())
    };
    parsed.map_err(|(at, cause)| {
        let message =
            format!("could not read the key pattern {:?}: at character {}: {cause}", Shown(text), at + 1);
        Fault::new(&code::CONFIG_INVALID, message)
    })
}

/// What is wrong, and the index of the character where.
type Problem = (usize, String);

/// No key has empty or dotted segments ([`ObjectKey`](crate::ObjectKey)), so a pattern with one would never match.
fn whole_segments(text: &str) -> Result<(), Problem> {
    let mut at = 0;
    for segment in text.split('/') {
        match segment {
            "" => {
                return Err((
                    at,
                    "a segment is empty; no key has a slash at its beginning or end, or two in a row".into(),
                ));
            }
            "." | ".." => return Err((at, "no key has a segment `.` or `..`".into())),
            _ => at += segment.chars().count() + 1,
        }
    }
    Ok(())
}

struct Parser<'a> {
    chars: &'a [char],
    at: usize,
    tokens: Vec<Token>,
}

impl Parser<'_> {
    fn run(mut self) -> Result<Vec<Token>, Problem> {
        while let Some(c) = self.peek(0) {
            match c {
                '*' if self.peek(1) == Some('*') => self.double_star()?,
                '*' => self.wildcard(Token::Star),
                '?' => self.wildcard(Token::AnyChar),
                '{' => self.capture()?,
                '}' => return Err((self.at, "a `}` without `{`; write `\\}` for the character".into())),
                '\\' => match self.peek(1) {
                    Some(escaped @ ('*' | '?' | '{' | '}' | '\\')) => {
                        self.literal(escaped);
                        self.at += 2;
                    }
                    _ => {
                        let cause = "a backslash must stand before one of `*`, `?`, `{`, `}`, `\\`; slashes divide segments";
                        return Err((self.at, cause.into()));
                    }
                },
                c if c.is_control() => return Err((self.at, "a control character; no key has one".into())),
                c => {
                    self.literal(c);
                    self.at += 1;
                }
            }
        }
        Ok(self.tokens)
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn wildcard(&mut self, token: Token) {
        self.tokens.push(token);
        self.at += 1;
    }

    fn literal(&mut self, c: char) {
        match self.tokens.last_mut() {
            Some(Token::Literal(text)) => text.push(c),
            _ => self.tokens.push(Token::Literal(c.into())),
        }
    }

    fn double_star(&mut self) -> Result<(), Problem> {
        let begins = self.at == 0 || self.chars.get(self.at - 1) == Some(&'/');
        if !begins || !matches!(self.peek(2), None | Some('/')) {
            return Err((self.at, "`**` must be a whole segment, as in `in/**/x.csv`".into()));
        }
        if self.tokens.last() == Some(&Token::Folders) {
            return Err((self.at, "a second `**` right after the first adds nothing; leave it out".into()));
        }
        let (token, length) = if self.peek(2).is_some() { (Token::Folders, 3) } else { (Token::Rest, 2) };
        self.tokens.push(token);
        self.at += length;
        Ok(())
    }

    fn capture(&mut self) -> Result<(), Problem> {
        let open = self.at;
        let name: String = self.chars[open + 1..].iter().take_while(|c| **c != '}' && **c != '/').collect();
        let close = open + 1 + name.chars().count();
        if self.chars.get(close) != Some(&'}') {
            return Err((
                open,
                "a `{` without `}` in the same segment; write `\\{` for the character".into(),
            ));
        }
        if !is_name(&name) {
            let cause = "the name of a capture is a lower-case letter, then lower-case letters, digits and `_`, at most 64";
            return Err((open + 1, cause.into()));
        }
        if RESERVED_NAMES.contains(&name.as_str()) {
            return Err((
                open + 1,
                format!("`{name}` already means something in remote names; call the capture otherwise"),
            ));
        }
        if self.tokens.contains(&Token::Capture(name.clone())) {
            return Err((open + 1, format!("the capture `{name}` stands twice")));
        }
        if let Some(Token::Capture(before)) = self.tokens.last() {
            return Err((
                open,
                format!(
                    "nothing stands between `{{{before}}}` and `{{{name}}}`, so nobody can tell where one ends"
                ),
            ));
        }
        self.tokens.push(Token::Capture(name));
        self.at = close + 1;
        Ok(())
    }
}

/// `[a-z][a-z0-9_]*`, at most 64.
pub(crate) fn is_name(text: &str) -> bool {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_falls_into_tokens() {
        let lit = |text: &str| Token::Literal(text.into());
        let cap = |name: &str| Token::Capture(name.into());
        let cases = [
            ("a/b.json", vec![lit("a/b.json")]),
            ("a?*", vec![lit("a"), Token::AnyChar, Token::Star]),
            (
                "claims/{sender}/*.json",
                vec![lit("claims/"), cap("sender"), lit("/"), Token::Star, lit(".json")],
            ),
            ("**", vec![Token::Rest]),
            ("**/a", vec![Token::Folders, lit("a")]),
            ("a/**", vec![lit("a/"), Token::Rest]),
            ("a/**/b/**/c", vec![lit("a/"), Token::Folders, lit("b/"), Token::Folders, lit("c")]),
            ("**/*/**", vec![Token::Folders, Token::Star, lit("/"), Token::Rest]),
            (r"\*\?\{\}\\", vec![lit(r"*?{}\")]),
            (r"\**", vec![lit("*"), Token::Star]),
            ("{a}-{b2_}", vec![cap("a"), lit("-"), cap("b2_")]),
            ("...", vec![lit("...")]),
            ("[a]!^ ü", vec![lit("[a]!^ ü")]),
        ];
        for (text, want) in cases {
            assert_eq!(tokens(text).unwrap(), want, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_position() {
        let long = "x".repeat(1025);
        let cases = [
            ("", 1, "empty"),
            (long.as_str(), 1, "1025 bytes"),
            ("/a", 1, "a segment is empty"),
            ("a/", 3, "a segment is empty"),
            ("ü//b", 3, "a segment is empty"),
            ("a/./b", 3, "segment `.`"),
            ("a/b/..", 5, "`..`"),
            ("a**", 2, "whole segment"),
            ("a/**b", 3, "whole segment"),
            ("***", 1, "whole segment"),
            ("{a}**", 4, "whole segment"),
            ("a/**/**", 6, "second `**`"),
            ("a/**/**/b", 6, "second `**`"),
            ("a{", 2, "without `}`"),
            ("a{b/c}", 2, "without `}`"),
            ("a}", 2, "without `{`"),
            ("a{}", 3, "lower-case letter"),
            ("{Sender}", 2, "lower-case letter"),
            ("{1a}", 2, "lower-case letter"),
            ("{a-b}", 2, "lower-case letter"),
            ("{a{b}}", 2, "lower-case letter"),
            ("{é}", 2, "lower-case letter"),
            ("{a}/{a}", 6, "stands twice"),
            ("x{a}{b}", 5, "nothing stands between `{a}` and `{b}`"),
            ("x/{stem}", 4, "already means something"),
            ("{sequence}", 2, "already means something"),
            ("a\\", 2, "backslash"),
            ("a\\b", 2, "backslash"),
            ("a\\/b", 2, "backslash"),
            ("a\tb", 2, "control character"),
        ];
        for (text, position, cause) in cases {
            let fault = tokens(text).expect_err(text);
            assert_eq!(fault.code, &code::CONFIG_INVALID);
            assert!(
                fault.message.contains(&format!("at character {position}: ")),
                "{text:?}: {}",
                fault.message
            );
            assert!(fault.message.contains(cause), "{text:?}: {}", fault.message);
        }
        for name in RESERVED_NAMES {
            assert!(tokens(&format!("{{{name}}}")).is_err(), "{name}");
        }
        assert!(is_name(&"a".repeat(64)) && !is_name(&"a".repeat(65)));
    }
}
