//! Every field, every refusal, by table.

use proptest::prelude::*;

use super::*;

/// 2026-01-02T03:04:05.678Z
const ARRIVED: Millis = 1_767_323_045_678;

struct Case<'a> {
    key: &'a str,
    captures: &'a [(&'a str, &'a str)],
    output_ext: Option<&'a str>,
    sequence: u64,
}

const CASE: Case<'_> = Case {
    key: "claims/acme/batch 1.tar.gz",
    captures: &[("sender", "acme")],
    output_ext: None,
    sequence: 7,
};

fn render(template: &str, case: &Case<'_>) -> Result<String, Fault> {
    let captures: Captures = case.captures.iter().copied().collect();
    let facts = NameFacts {
        key: &ObjectKey::new(case.key).unwrap(),
        captures: &captures,
        output_ext: case.output_ext,
        arrived_at: ARRIVED,
        sequence: case.sequence,
    };
    Template::parse(template)?.render(&facts).map(|name| name.to_string())
}

#[test]
fn every_field_is_filled() {
    let csv = Case { output_ext: Some("csv"), ..CASE };
    let bare = Case { key: "README", output_ext: None, ..CASE };
    let cases = [
        ("{stem}", &CASE, "batch 1.tar"),
        ("{ext}", &CASE, "gz"),
        ("{name}", &CASE, "batch 1.tar.gz"),
        ("{stem}.{ext}", &CASE, "batch 1.tar.gz"),
        ("{stem}.{ext}", &csv, "batch 1.tar.csv"),
        ("{stem}.{source_ext}.{ext}", &csv, "batch 1.tar.gz.csv"),
        ("{name}", &csv, "batch 1.tar.gz"),
        ("{stem}.{ext}", &bare, "README"),
        ("{stem}.{ext}.{source_ext}", &bare, "README"),
        ("{stem}-{ext}x", &bare, "README-x"),
        ("{name}{ext}", &bare, "README"),
        ("{stem}.{ext}", &Case { output_ext: Some("csv"), ..bare }, "README.csv"),
        ("{stem}.{ext}", &Case { output_ext: Some(""), ..CASE }, "batch 1.tar"),
        // Only a dot of the template's own text goes.
        ("{a}{ext}x", &Case { captures: &[("a", "v.")], ..bare }, "v.x"),
        ("{arrived}", &CASE, "20260102T030405Z"),
        ("{arrived:%Y%m%d}", &CASE, "20260102"),
        ("{arrived:%Y}/{arrived:%m}/{arrived:%d}.csv", &CASE, "2026/01/02.csv"),
        ("{arrived:%H:%M}", &CASE, "03:04"),
        ("{arrived:%j %%}", &CASE, "002 %"),
        ("{sequence}", &CASE, "7"),
        ("{sequence:01}", &CASE, "7"),
        ("{sequence:06}", &CASE, "000007"),
        ("{sequence:012}", &CASE, "000000000007"),
        ("{sequence:02}", &Case { sequence: 12345, ..CASE }, "12345"),
        ("{sequence:020}", &Case { sequence: u64::MAX, ..CASE }, "18446744073709551615"),
        ("{sender}_{sender}.csv", &CASE, "acme_acme.csv"),
        ("/in/{sender}/{stem}", &CASE, "/in/acme/batch 1.tar"),
        ("{{{sender}}}", &CASE, "{acme}"),
        ("a{{b}}c", &CASE, "a{b}c"),
        ("fixed.txt", &CASE, "fixed.txt"),
        ("été/{stem}", &CASE, "été/batch 1.tar"),
        // A value that looks like a field is only text.
        ("{a}", &Case { captures: &[("a", "{stem}")], ..CASE }, "{stem}"),
    ];
    for (template, case, want) in cases {
        assert_eq!(render(template, case).as_deref(), Ok(want), "{template:?}");
    }
}

#[test]
fn a_value_cannot_change_the_folder_or_hide() {
    let long = "k".repeat(300);
    let cases = [
        ("in/{a}", "../etc/passwd", "{a} is refused: it has a slash"),
        ("in/{a}", "/etc", "it has a slash"),
        ("in/{a}", "..\\etc", "it has a backslash"),
        ("in/{a}", "..", "{a} is refused: a segment is `.` or `..`"),
        ("in/{a}x", ".", "{a} is refused: a segment is `.` or `..`"),
        ("in/{a}x", "..", "a segment is `.` or `..`"),
        ("in/{a}", ".", "a segment is `.` or `..`"),
        ("in/.{a}", ".x/", "it has a slash"),
        ("in/{a}", "a\0b", "control character"),
        ("in/{a}", "a\nb", "control character"),
        ("in/{a}", "a\u{7f}", "control character"),
        ("in/{a}", "a\u{9b}31m", "control character"),
        ("in/{a}", "x\u{202e}fdp.exe", "invisible character U+202E"),
        ("in/{a}", "\u{feff}x", "invisible character U+FEFF"),
        ("in/{a}", " x", "begins or ends with a space"),
        ("in/{a}/x", "x ", "begins or ends with a space"),
        ("in/{a}", "x.", "ends with a dot"),
        ("in/{a}/x", "x.", "ends with a dot"),
        ("in/{a}", "...", "ends with a dot"),
        ("in/{a}", "", "a segment is empty"),
        ("{a}", "", "it is empty"),
        ("{a}/x", "", "its first folder is empty"),
        ("{a}/x", "/y", "it has a slash"),
        ("in/{a}", long.as_str(), "a segment has 300 bytes"),
        ("in/{b}", "", "the key pattern has no capture `b`"),
    ];
    for (template, value, cause) in cases {
        let fault = render(template, &Case { captures: &[("a", value)], ..CASE }).expect_err(value);
        assert_eq!(fault.code, &code::ROUTE_NAME_REFUSED, "{template:?} {value:?}");
        assert!(
            fault.message.starts_with("could not name \"claims/acme/batch 1.tar.gz\" by the template \"in/")
                || template.starts_with("{a}"),
            "{}",
            fault.message
        );
        assert!(fault.message.contains(cause), "{template:?} {value:?}: {}", fault.message);
        assert!(!fault.message.chars().any(char::is_control), "{}", fault.message);
    }
    let by_key =
        [("a\\b.csv", "backslash"), ("odd.", "ends with a dot"), (" x", "space"), ("a\u{202e}b", "U+202E")];
    for (key, cause) in by_key {
        let fault = render("in/{name}", &Case { key, ..CASE }).expect_err(key);
        assert!(fault.message.contains(cause), "{key:?}: {}", fault.message);
    }
    let fault = render("{ext}/{stem}", &Case { key: "README", ..CASE }).unwrap_err();
    assert!(fault.message.contains("its first folder is empty"), "{}", fault.message);
    let fault = render("in/{stem}.{ext}", &Case { output_ext: Some("../x"), ..CASE }).unwrap_err();
    assert!(fault.message.contains("the value \"../x\" of {ext} is refused"), "{}", fault.message);
}

#[test]
fn what_is_no_template_is_refused_with_its_position() {
    let cases = [
        ("", "it is empty"),
        ("{", "at character 1: a `{` without `}`"),
        ("a{stem", "at character 2: a `{` without `}`"),
        ("é}", "at character 2: a `}` without `{`"),
        ("{stem}}", "at character 7: a `}` without `{`"),
        ("{}", "at character 2: \"\" is no field name"),
        ("x/{Stem}", "at character 4: \"Stem\" is no field name"),
        ("{a b}", "\"a b\" is no field name"),
        ("{{stem}", "at character 7: a `}` without `{`"),
        ("{key}", "at character 2: `key` has slashes"),
        ("{part}", "cannot be used yet"),
        ("{part:02}", "cannot be used yet"),
        ("{stem:06}", "`stem` takes no format"),
        ("{sequnce:06}", "did you mean `sequence`?"),
        ("{arived:%Y}", "did you mean `arrived`?"),
        ("{sequence:6}", "the width \"6\" is not"),
        ("{sequence:}", "the width \"\" is not"),
        ("{sequence:0}", "the width \"0\" is not"),
        ("{sequence:00}", "the width \"00\" is not"),
        ("{sequence:021}", "the width \"021\" is not"),
        ("{sequence:0+6}", "the width \"0+6\" is not"),
        ("{sequence:0x}", "the width \"0x\" is not"),
        ("{arrived:}", "the time format is empty"),
        ("{arrived:%Y/%m}", "makes a slash"),
        ("{arrived:%D}", "makes a slash"),
        ("{arrived:%!}", "the time format \"%!\" cannot be used"),
        ("{arrived:%}", "the time format \"%\" cannot be used"),
        ("{arrived:%n}", "it has a control character"),
        ("{arrived:%Y\\%m}", "it has a backslash"),
        ("in\\{stem}", "at character 3: not allowed in a remote name: it has a backslash"),
        ("in\n{stem}", "at character 3: not allowed in a remote name: it has a control character"),
        (
            "\u{202e}{stem}",
            "at character 1: not allowed in a remote name: it has the invisible character U+202E",
        ),
        ("../{stem}", "a segment is `.` or `..`"),
        ("in/./{stem}", "a segment is `.` or `..`"),
        ("in//{stem}", "a segment is empty"),
        ("//{stem}", "a segment is empty"),
        ("in/", "a segment is empty"),
        ("in/{stem}/", "a segment is empty"),
        ("/", "a segment is empty"),
        (" {stem}", "begins or ends with a space"),
        ("in/{stem} ", "begins or ends with a space"),
        ("in/{stem}.", "ends with a dot"),
        ("in./{stem}", "ends with a dot"),
    ];
    for (template, cause) in cases {
        let fault = Template::parse(template).expect_err(template);
        assert_eq!(fault.code, &code::CONFIG_INVALID);
        assert!(fault.message.contains(cause), "{template:?}: {}", fault.message);
        assert!(!fault.message.chars().any(char::is_control), "{}", fault.message);
    }
    assert!(Template::parse(&format!("{}{{stem}}", "x".repeat(255))).is_err());
    assert!(Template::parse(&format!("{}{{stem}}", "x".repeat(254))).is_ok());
}

#[test]
fn captures_are_checked_against_every_rule_of_the_group() {
    let patterns = |texts: &[&str]| texts.iter().map(|t| KeyPattern::parse(t).unwrap()).collect::<Vec<_>>();
    let template = Template::parse("{sendr}/{stem}.{ext}").unwrap();
    let fault = template.check_fields(&patterns(&["claims/{sender}/{day}/*"])).unwrap_err();
    assert_eq!(fault.code, &code::CONFIG_INVALID);
    assert!(
        fault.message.contains("`{sendr}` is no field, and no capture of the key pattern \"claims/{sender}")
    );
    assert!(fault.hint().starts_with("did you mean `{sender}`? "), "{}", fault.hint());
    assert!(
        fault.hint().ends_with("stem, ext, source_ext, name, arrived, sequence, sender, day"),
        "{}",
        fault.hint()
    );

    let steam = Template::parse("{steam}").unwrap().check_fields(&patterns(&["*"])).unwrap_err();
    assert!(steam.hint().starts_with("did you mean `{stem}`?"), "{}", steam.hint());
    let far = Template::parse("{zzzzzz}").unwrap().check_fields(&patterns(&["*"])).unwrap_err();
    assert!(far.hint().starts_with("use one of: stem"), "{}", far.hint());

    let template = Template::parse("{sender}/{name}").unwrap();
    assert_eq!(template.check_fields(&patterns(&["a/{sender}/*", "b/{x}/{sender}"])), Ok(()));
    assert!(template.check_fields(&patterns(&["a/{sender}/*", "b/{x}/*"])).is_err());
    assert_eq!(template.check_fields(&patterns(&[])), Ok(()));
}

#[test]
fn only_a_template_with_a_sequence_uses_a_number() {
    for (template, uses) in [("{sequence}", true), ("a{sequence:03}", true), ("{stem}{{sequence}}", false)] {
        assert_eq!(Template::parse(template).unwrap().uses_sequence(), uses, "{template}");
    }
}

#[test]
fn a_time_of_arrival_beyond_the_calendar_is_a_fault_and_no_panic() {
    let (key, captures) = (ObjectKey::new("a").unwrap(), Captures::default());
    let template = Template::parse("{arrived}").unwrap();
    for arrived_at in [Millis::MIN, Millis::MAX] {
        let facts = NameFacts { key: &key, captures: &captures, output_ext: None, arrived_at, sequence: 1 };
        assert!(template.render(&facts).unwrap_err().message.contains("is no instant"));
    }
}

proptest! {
    #[test]
    fn a_rendered_name_is_safe_and_stays_in_the_folder_of_the_template(
        template in prop::sample::select(vec![
            "in/{a}", "in/{stem}.{ext}", "in/{name}", "in/{a}-{b}", "in/.{a}", "in/{a}{b}.{ext}",
        ]),
        key in r"([a. /]|\\|\PC){1,12}",
        a in r"([a. /]|\\|\PC|\p{Cc}|\p{Cf}){0,8}",
        b in any::<String>(),
        output_ext in prop::option::of(r"[a./]{0,3}"),
    ) {
        let Ok(key) = ObjectKey::new(key) else { return Ok(()) };
        let captures = Captures::from_iter([("a", a), ("b", b)]);
        let output_ext = output_ext.as_deref();
        let facts = NameFacts { key: &key, captures: &captures, output_ext, arrived_at: ARRIVED, sequence: 1 };
        match Template::parse(template).unwrap().render(&facts) {
            Ok(name) => {
                prop_assert_eq!(RemoteName::new(name.as_str()), Ok(name.clone()));
                prop_assert_eq!(name.folder(), Some("in"));
            }
            Err(fault) => prop_assert_eq!(fault.code, &code::ROUTE_NAME_REFUSED),
        }
    }

    #[test]
    fn without_a_transform_stem_and_ext_are_the_name(key in r"[a-c.]{1,8}") {
        let Ok(key) = ObjectKey::new(key) else { return Ok(()) };
        let captures = Captures::default();
        let facts = NameFacts { key: &key, captures: &captures, output_ext: None, arrived_at: 0, sequence: 1 };
        let of = |text: &str| Template::parse(text).unwrap().render(&facts).map_err(|f| f.code);
        prop_assert_eq!(of("in/{stem}.{ext}"), of("in/{name}"));
    }

    #[test]
    fn parsing_never_panics(text in r"(\PC|[{}/:%a]|\{stem\}|\{arrived:%.\}){0,12}") {
        if let Ok(template) = Template::parse(&text) {
            prop_assert_eq!(template.as_str(), text.as_str());
        }
    }
}
