//! A record as tokens: where its values stand in its compact text.

use crate::spec::Found;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    /// A string; also each key of an object, which stands before its value.
    Text,
    /// A number, `true` or `false`.
    Bare,
    Null,
}

/// A token's number.
pub(super) type TokenId = usize;

#[derive(Debug, Clone, Copy)]
struct Token {
    kind: Kind,
    from: u32,
    to: u32,
    /// The token behind this one and all that it holds.
    next: u32,
}

/// The tokens of one text, in its order.
#[derive(Debug, Default)]
pub(super) struct Tape {
    tokens: Vec<Token>,
    open: Vec<u32>,
}

impl Tape {
    /// Reads compact JSON that a scanner has found right.
    pub(super) fn read(&mut self, text: &[u8]) {
        self.tokens.clear();
        self.open.clear();
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            let from = at;
            let kind = match byte {
                b',' | b':' => {
                    at += 1;
                    continue;
                }
                b'}' | b']' => {
                    at += 1;
                    if let Some(opened) = self.open.pop() {
                        let next = self.tokens.len() as u32;
                        let token = &mut self.tokens[opened as usize];
                        (token.to, token.next) = (at as u32, next);
                    }
                    continue;
                }
                b'{' | b'[' => {
                    self.open.push(self.tokens.len() as u32);
                    at += 1;
                    if *byte == b'{' { Kind::Object } else { Kind::Array }
                }
                b'"' => {
                    at = end_of_text(text, at + 1);
                    Kind::Text
                }
                first => {
                    at += text[at..].iter().take_while(|byte| !matches!(byte, b',' | b'}' | b']')).count();
                    if *first == b'n' { Kind::Null } else { Kind::Bare }
                }
            };
            let next = self.tokens.len() as u32 + 1;
            self.tokens.push(Token { kind, from: from as u32, to: at as u32, next });
        }
    }

    pub(super) fn kind(&self, id: TokenId) -> Kind {
        self.tokens[id].kind
    }

    /// The token's text, quotes and brackets included.
    pub(super) fn text<'a>(&self, id: TokenId, text: &'a [u8]) -> &'a [u8] {
        let token = &self.tokens[id];
        &text[token.from as usize..token.to as usize]
    }

    /// The members of an object: key and value.
    pub(super) fn members(&self, object: TokenId) -> impl Iterator<Item = (TokenId, TokenId)> {
        let end = self.tokens[object].next as usize;
        let mut at = object + 1;
        std::iter::from_fn(move || {
            let key = (at < end).then_some(at)?;
            at = self.tokens[key + 1].next as usize;
            Some((key, key + 1))
        })
    }

    /// The elements of an array.
    pub(super) fn elements(&self, array: TokenId) -> impl Iterator<Item = TokenId> {
        let end = self.tokens[array].next as usize;
        let mut at = array + 1;
        std::iter::from_fn(move || {
            let element = (at < end).then_some(at)?;
            at = self.tokens[element].next as usize;
            Some(element)
        })
    }
}

/// The place behind the closing quote.
fn end_of_text(text: &[u8], mut at: usize) -> usize {
    loop {
        at += text[at..].iter().take_while(|byte| !matches!(byte, b'"' | b'\\')).count();
        match text.get(at) {
            Some(b'\\') => at += 2,
            _ => return at + 1,
        }
    }
}

/// The characters of a JSON string that a scanner has found right, quotes included in `text`.
pub(super) fn decode<'a>(text: &'a [u8], scratch: &'a mut String) -> &'a str {
    let inside = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    if !inside.contains(&b'\\') {
        return std::str::from_utf8(inside).unwrap_or_default();
    }
    scratch.clear();
    // The scanner took it, so it is JSON.
    if let Ok(decoded) = serde_json::from_slice::<String>(text) {
        *scratch = decoded;
    }
    scratch
}

/// A token's value.
pub(super) fn found<'a>(tape: &Tape, text: &'a [u8], token: TokenId, scratch: &'a mut String) -> Found<'a> {
    let own = tape.text(token, text);
    match tape.kind(token) {
        Kind::Null => Found::Null,
        Kind::Text => Found::Text(decode(own, scratch)),
        // The scanner has seen that it is UTF-8.
        _ => Found::Bare(std::str::from_utf8(own).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn rebuilt(tape: &Tape, id: TokenId, text: &[u8]) -> Value {
        match tape.kind(id) {
            Kind::Object => tape
                .members(id)
                .map(|(key, value)| {
                    let mut scratch = String::new();
                    (decode(tape.text(key, text), &mut scratch).to_owned(), rebuilt(tape, value, text))
                })
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Kind::Array => tape.elements(id).map(|element| rebuilt(tape, element, text)).collect(),
            _ => serde_json::from_slice(tape.text(id, text)).unwrap(),
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            "[a\"\\\\,:{}\\[\\]\n é]{0,6}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                proptest::collection::vec(("[a-c\"]{0,2}", inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn tokens_say_what_the_text_says(value in json()) {
            let text = value.to_string().into_bytes();
            let mut tape = Tape::default();
            // Twice: nothing is left of the text before.
            tape.read(b"[1,{\"a\":[2]}]");
            tape.read(&text);
            prop_assert_eq!(rebuilt(&tape, 0, &text), value);
        }
    }
}
