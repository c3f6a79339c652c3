//! Each mistake of mistakes.txt is refused with the code, the message and the hint that stand there.

use super::super::Spec;

const CASES: &str = include_str!("mistakes.txt");

#[test]
fn mistakes_say_where_why_and_what_to_do() {
    let (mut seen, mut others) = (0, Vec::new());
    for case in CASES.split("=== ").skip(1) {
        let (spec, told) = case.split_once("\n--- ").unwrap_or_else(|| panic!("{case}"));
        let (kind, toml) = spec.split_once('\n').unwrap_or_else(|| panic!("{case}"));
        let params = toml::from_str(toml).unwrap_or_else(|error| panic!("{toml}\n{error}"));
        let fault = Spec::read(kind, &params).err().unwrap_or_else(|| panic!("this was read:\n{toml}"));
        let message = fault.to_string();
        let message = message
            .strip_prefix(&format!("could not read the {kind} spec: "))
            .unwrap_or_else(|| panic!("{message} does not say what was read"));
        let found = format!("{}: {message}\nhint: {}", fault.code.name, fault.hint());
        if found != told.trim_end() {
            others.push(format!("{toml}\n{found}\nand not\n{told}"));
        }
        seen += 1;
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
    assert!(seen > 90, "only {seen} cases were read");
}
