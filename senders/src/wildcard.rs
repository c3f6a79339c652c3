//! `*` and `?` as OpenSSH has them in known_hosts and in host certificates. Pure.

/// Whether `name` is of the shape `pattern`: `*` stands for any characters, none included, `?` for exactly one.
///
/// In time proportional to the product of the lengths: after a mismatch only the last `*` is tried with more.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = name.get(n) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&one) if one == '?' || one == c => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn the_table() {
        for (pattern, name, matched) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a", "a", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.acme.example", "sftp.acme.example", true),
            ("*.acme.example", "acme.example", false),
            ("10.0.*.?", "10.0.12.7", true),
            ("10.0.*.?", "10.0.12.77", false),
            ("*a*b", "xaxab", true),
            ("*a*b", "xaxabc", false),
            ("a**", "a", true),
        ] {
            assert_eq!(matches(pattern, name), matched, "{pattern} {name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn stars_around_a_part_find_it(name in "[ab]{0,12}", at in 0_usize..12, length in 0_usize..12) {
            let part: String = name.chars().skip(at).take(length).collect();
            let pattern = format!("*{part}*");
            proptest::prop_assert!(matches(&pattern, &name));
        }
    }
}
