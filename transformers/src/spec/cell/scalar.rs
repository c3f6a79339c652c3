//! Values that are written as they are: anything, text, integers, booleans.

use super::{Form, Found, Why};

/// Everything, as it is.
pub(super) fn any(found: Found<'_>, out: &mut Vec<u8>) -> Form {
    let (text, form) = match found {
        Found::Null => return Form::Null,
        Found::Text(text) => (text, Form::Text),
        Found::Bare(bare) => (bare, Form::Bare),
    };
    out.extend_from_slice(text.as_bytes());
    form
}

/// Text, and numbers and booleans as text.
pub(super) fn string(found: Found<'_>, out: &mut Vec<u8>) -> Result<Form, Why> {
    out.extend_from_slice(spelling(found)?.as_bytes());
    Ok(Form::Text)
}

/// An integer. Zero has no sign: `-0` is an integer of JSON and the value 0.
pub(super) fn integer(found: Found<'_>, out: &mut Vec<u8>) -> Result<Form, Why> {
    let text = spelling(found)?;
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let integer = match digits {
        [b'0'] => "0",
        [b'1'..=b'9', ..] if digits.iter().all(u8::is_ascii_digit) => text,
        _ => return Err(Why::Other),
    };
    out.extend_from_slice(integer.as_bytes());
    Ok(Form::Bare)
}

/// A boolean. Of text the letters count and not their case: spreadsheets write `TRUE`.
pub(super) fn boolean(found: Found<'_>, out: &mut Vec<u8>) -> Result<Form, Why> {
    let word = match found {
        Found::Bare("true") => "true",
        Found::Bare("false") => "false",
        Found::Text(text) if text.eq_ignore_ascii_case("true") => "true",
        Found::Text(text) if text.eq_ignore_ascii_case("false") => "false",
        _ => return Err(Why::Other),
    };
    out.extend_from_slice(word.as_bytes());
    Ok(Form::Bare)
}

/// The characters of a value that has some: no array, no object.
pub(super) fn spelling(found: Found<'_>) -> Result<&str, Why> {
    match found {
        Found::Text(text) => Ok(text),
        Found::Bare(bare) if !bare.starts_with(['[', '{']) => Ok(bare),
        _ => Err(Why::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Form, Found, Type};

    fn written(ty: &Type, found: Found<'_>) -> Option<(String, Form)> {
        let mut out = b"before".to_vec();
        let form = ty.write(found, &mut out);
        let text = String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned();
        if form.is_err() {
            assert_eq!(text, "", "{ty} left something behind");
        }
        form.ok().map(|form| (text, form))
    }

    #[test]
    fn what_each_type_takes() {
        use Form::{Bare, Text};
        let long = "9".repeat(500);
        let cases = [
            (Type::Any, Found::Text("1"), Some(("1", Text))),
            (Type::Any, Found::Bare("1.10"), Some(("1.10", Bare))),
            (Type::Any, Found::Bare("[1]"), Some(("[1]", Bare))),
            (Type::String, Found::Text(""), Some(("", Text))),
            (Type::String, Found::Bare("1.10"), Some(("1.10", Text))),
            (Type::String, Found::Bare("true"), Some(("true", Text))),
            (Type::String, Found::Bare("[1]"), None),
            (Type::String, Found::Bare("{}"), None),
            (Type::Integer, Found::Bare("0"), Some(("0", Bare))),
            (Type::Integer, Found::Bare("-0"), Some(("0", Bare))),
            (Type::Integer, Found::Bare("-17"), Some(("-17", Bare))),
            (Type::Integer, Found::Text("-17"), Some(("-17", Bare))),
            (Type::Integer, Found::Bare(&long), Some((&long, Bare))),
            (Type::Integer, Found::Bare("1.0"), None),
            (Type::Integer, Found::Bare("1e3"), None),
            (Type::Integer, Found::Text("007"), None),
            (Type::Integer, Found::Text("+7"), None),
            (Type::Integer, Found::Text("-"), None),
            (Type::Integer, Found::Text(" 7"), None),
            (Type::Integer, Found::Text("7\n"), None),
            (Type::Integer, Found::Text("٧"), None),
            (Type::Integer, Found::Text(""), None),
            (Type::Integer, Found::Bare("true"), None),
            (Type::Integer, Found::Bare("[1]"), None),
            (Type::Boolean, Found::Bare("true"), Some(("true", Bare))),
            (Type::Boolean, Found::Text("FALSE"), Some(("false", Bare))),
            (Type::Boolean, Found::Text("yes"), None),
            (Type::Boolean, Found::Bare("1"), None),
        ];
        for (ty, found, wanted) in cases {
            let wanted = wanted.map(|(text, form)| (text.to_owned(), form));
            assert_eq!(written(&ty, found), wanted, "{ty} {found:?}");
        }
    }

    #[test]
    fn null_is_nobodys_business_here() {
        for ty in [Type::Any, Type::String, Type::Integer, Type::Boolean] {
            assert_eq!(written(&ty, Found::Null), Some((String::new(), Form::Null)));
        }
    }

    #[test]
    fn a_mismatch_names_type_and_shape_only() {
        let mismatch = Type::Integer.write(Found::Text("N/A"), &mut Vec::new()).unwrap_err();
        assert_eq!(
            mismatch.to_string(),
            "expected integer, found text of 3 characters (letters, punctuation)"
        );
    }
}
