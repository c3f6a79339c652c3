//! What was seen at one path, and the type that all of it has.

use crate::spec::{Decimal, Found, Moment, MomentIn, MomentOut, Type};

/// How often which kind of value was there.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) nulls: u64,
    pub(super) objects: u64,
    pub(super) arrays: u64,
    pub(super) booleans: u64,
    /// Numbers without point and exponent.
    pub(super) integers: u64,
    /// Other numbers.
    pub(super) decimals: u64,
    pub(super) texts: u64,
    /// Of the texts: days, and points in time, as RFC 3339 writes them.
    days: u64,
    times: u64,
    /// The most digits behind the point, written without exponent.
    scale: usize,
    /// A number was there that has too many digits without its exponent for any decimal.
    is_beyond_decimal: bool,
}

/// The word and the scale of a type; none for a column that takes everything.
pub(super) type Named = Option<(&'static str, Option<usize>)>;

impl Seen {
    /// One more value that is no object.
    pub(super) fn value(&mut self, found: Found<'_>) {
        match found {
            Found::Null => self.nulls += 1,
            Found::Text(text) => self.text(text),
            Found::Bare(bare) => match bare.as_bytes().first() {
                Some(b'[') => self.arrays += 1,
                Some(b't' | b'f') => self.booleans += 1,
                _ => self.number(bare),
            },
        }
    }

    fn text(&mut self, text: &str) {
        let rfc_3339 = || Moment { read: vec![MomentIn::Rfc3339], write: MomentOut::Rfc3339, tz: None };
        // One other text settles it, and most texts are others.
        if self.days + self.times == self.texts {
            let is_day = text.len() == 10 && takes(&Type::Date(rfc_3339()), text).is_some();
            self.days += u64::from(is_day);
            self.times += u64::from(!is_day && takes(&Type::DateTime(rfc_3339()), text).is_some());
        }
        self.texts += 1;
    }

    fn number(&mut self, number: &str) {
        if takes(&Type::Integer, number).is_some() {
            self.integers += 1;
            return;
        }
        self.decimals += 1;
        match takes(&Type::Decimal(Decimal { scale: None, round: false }), number) {
            Some(plain) => {
                let behind = plain.iter().rev().position(|byte| *byte == b'.').unwrap_or(0);
                self.scale = self.scale.max(behind);
            }
            None => self.is_beyond_decimal = true,
        }
        self.is_beyond_decimal |= self.scale > Decimal::MOST_SCALE;
    }

    /// Values that are not null, of every kind.
    pub(super) fn values(&self) -> u64 {
        self.objects + self.scalars() + self.arrays
    }

    fn scalars(&self) -> u64 {
        self.booleans + self.integers + self.decimals + self.texts
    }

    /// Whether one cell takes whatever is here, objects with it.
    pub(super) fn is_json(&self) -> bool {
        self.arrays > 0 || (self.objects > 0 && self.scalars() > 0)
    }

    /// The type that every value is of.
    pub(super) fn ty(&self) -> Named {
        let numbers = self.integers + self.decimals;
        let word = match self.scalars() {
            _ if self.is_json() || self.objects > 0 => "json",
            0 => return None,
            all if self.booleans == all => "boolean",
            all if self.integers == all => "integer",
            all if numbers == all && self.is_beyond_decimal => return None,
            all if numbers == all => return Some(("decimal", Some(self.scale))),
            all if self.days == all => "date",
            all if self.times == all => "datetime",
            _ => "string",
        };
        Some((word, None))
    }

    /// What was seen, in words.
    pub(super) fn counts(&self) -> Vec<String> {
        [
            (self.integers, "integer", "integers"),
            (self.decimals, "number with a point or exponent", "numbers with a point or exponent"),
            (self.booleans, "boolean", "booleans"),
            (self.texts, "text", "texts"),
            (self.arrays, "array", "arrays"),
            (self.objects, "object", "objects"),
            (self.nulls, "null", "nulls"),
        ]
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, more)| format!("{count} {}", if *count == 1 { one } else { more }))
        .collect()
    }
}

/// What the type writes for a number or text, if it takes it.
fn takes(ty: &Type, value: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    ty.write(Found::Text(value), &mut out).ok().map(|_| out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_what_all_values_have() {
        use Found::{Bare, Null, Text};
        let day = Text("2026-01-31");
        let time = Text("2026-01-31T10:00:00Z");
        let cases: [(&[Found<'_>], Named); 24] = [
            (&[Null], None),
            (&[Bare("1"), Bare("-20"), Null], Some(("integer", None))),
            (&[Bare("123456789012345678901234567890")], Some(("integer", None))),
            (&[Bare("1"), Bare("1.50"), Bare("2.5")], Some(("decimal", Some(2)))),
            (&[Bare("1e3")], Some(("decimal", Some(0)))),
            (&[Bare("15e-3")], Some(("decimal", Some(3)))),
            (&[Bare("1e99999")], None),
            (&[Bare("1e-1001"), Bare("1")], None),
            (&[Bare("true"), Bare("false")], Some(("boolean", None))),
            (&[Bare("true"), Bare("1")], Some(("string", None))),
            (&[Bare("1"), Text("1")], Some(("string", None))),
            // Text that looks like a number or boolean is text: a leading zero would be lost.
            (&[Text("1")], Some(("string", None))),
            (&[Text("007")], Some(("string", None))),
            (&[Text("true")], Some(("string", None))),
            (&[Text("")], Some(("string", None))),
            (&[day, day], Some(("date", None))),
            (&[time, Text("2026-01-31 10:00:00.5+01:00")], Some(("datetime", None))),
            (&[day, time], Some(("string", None))),
            (&[time, day], Some(("string", None))),
            (&[Text("2026-01-31T10:00:00")], Some(("string", None))),
            (&[Text("2026-02-30")], Some(("string", None))),
            (&[day, Text("")], Some(("string", None))),
            (&[Bare("[1]"), Bare("1")], Some(("json", None))),
            (&[Null, Bare("[]")], Some(("json", None))),
        ];
        for (values, ty) in cases {
            let mut seen = Seen::default();
            values.iter().for_each(|value| seen.value(*value));
            assert_eq!(seen.ty(), ty, "{values:?}");
        }
    }

    #[test]
    fn objects_and_others_are_json() {
        let mut seen = Seen { objects: 2, ..Seen::default() };
        assert!(!seen.is_json());
        seen.value(Found::Null);
        assert!(!seen.is_json());
        seen.value(Found::Text("x"));
        assert!(seen.is_json());
        assert_eq!(seen.ty(), Some(("json", None)));
        assert_eq!(seen.counts(), ["1 text", "2 objects", "1 null"]);
    }
}
