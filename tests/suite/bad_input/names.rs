//! Keys that are unusual and good: each arrives under exactly its own name.

use crate::bad_input::site::Site;

#[test]
fn unusual_names_arrive_as_they_are() {
    let longest = format!("{}.txt", "x".repeat(251));
    let longest_unicode = format!("{}.txt", "é".repeat(125));
    let names = [
        "a b.txt",
        "a+b.txt",
        "a%2Bb.txt",
        "a%20b.txt",
        "100%.txt",
        "Übergröße.txt",               // one code point an umlaut (NFC)
        "U\u{308}bergro\u{308}ße.txt", // letter and accent (NFD): another key, as in S3
        "日本語.txt",
        "🦀.txt",
        "-rf",
        "--",
        "a..b",
        "~root",
        "$(touch owned);`id`|&.txt",
        "quote'\".txt",
        "*?[a].txt",
        "c:d.txt",
        "CON.txt",
        "no-extension",
        "a=b,c#d?e&f.txt",
        longest.as_str(),
        longest_unicode.as_str(),
    ];
    let site = Site::new();
    let _up = site.up();
    for name in names {
        site.upload(name, format!("content of {name}"));
    }
    for name in names {
        let delivery = &site.settled(name, 1)[0];
        assert_eq!(delivery["state"], "delivered", "{delivery:#}");
        assert_eq!(delivery["remote_name"], format!("inbox/{name}"), "{delivery:#}");
        let arrived = std::fs::read_to_string(site.inbox().join(name)).unwrap();
        assert_eq!(arrived, format!("content of {name}"));
    }
    let mut expected = names.map(str::to_owned);
    expected.sort();
    assert_eq!(site.arrived(), expected);
}

#[test]
fn put_takes_a_key_as_it_is_written() {
    let site = Site::new();
    std::fs::write(site.folder().join("some file"), "content").unwrap();
    for key in ["a b+c%2B%20.txt", "fold er/ü+.txt"] {
        let put = site.run(&["put", "some file", &format!("s3://in/{key}")]);
        assert_eq!((put.code, put.stderr.as_str()), (Some(0), ""), "{}", put.stderr);
        assert_eq!(std::fs::read_to_string(site.bucket().join(key)).unwrap(), "content");
    }
}
