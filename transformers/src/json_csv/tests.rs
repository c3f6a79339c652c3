//! One conversion from the inside: memory, ends, and inputs that change between passes.

use super::*;

/// What one block of `block` bytes repeated until `total` leaves behind, measured after each block.
fn most_retained(block: &[u8], total: usize) -> usize {
    let mut transform = JsonToCsv::new();
    let mut out = Vec::new();
    let mut most = 0;
    loop {
        for _ in 0..total / block.len() {
            let mut rest = block;
            while !rest.is_empty() {
                let taken = transform.push(rest, &mut out).unwrap();
                rest = &rest[taken..];
                out.clear();
            }
            most = most.max(transform.retained_bytes()).max(out.capacity());
        }
        let mut finish = transform.finish(&mut out).unwrap();
        while finish == Finish::More {
            out.clear();
            finish = transform.finish(&mut out).unwrap();
        }
        if let Finish::Done(summary) = finish {
            assert_eq!(summary.bytes_in, (total / block.len() * block.len()) as u64);
            return most;
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_input() {
    let mut block = String::new();
    for id in 0..2000 {
        block += &format!(
            "{{\"id\":{id},\"name\":\"{}\",\"at\":{{\"town\":\"Z\\u00fcrich\"}},\"tags\":[{{\"k\":\"v\"}},{id}]}}\n",
            "name, with a comma ".repeat(20)
        );
    }
    let small = most_retained(block.as_bytes(), 20 << 20);
    let large = most_retained(block.as_bytes(), 400 << 20);
    assert!(large < FRONT + (8 << 20), "{large} bytes held");
    assert_eq!(large, small, "20 times the input, the same memory");
}

#[test]
fn a_huge_record_gives_its_memory_back() {
    let mut input = format!("{{\"a\":[\"{}\"]}}\n", "x".repeat(20 << 20));
    input += &"{\"a\":1}\n".repeat(10);
    let mut transform = JsonToCsv::new();
    let mut out = Vec::new();
    let mut rest = input.as_bytes();
    while !rest.is_empty() {
        rest = &rest[transform.push(rest, &mut out).unwrap()..];
        out.clear();
    }
    let retained = transform.retained_bytes();
    assert!(retained < 5 << 20, "{retained} bytes held");
}

#[test]
fn a_failed_transform_stays_failed() {
    let mut transform = JsonToCsv::new();
    let mut out = Vec::new();
    let first = transform.push(b"{]", &mut out).unwrap_err();
    assert_eq!(transform.push(b"{\"a\":1}", &mut out).unwrap_err(), first);
    assert_eq!(transform.finish(&mut out).unwrap_err(), first);
    assert!(out.is_empty());
}

#[test]
fn a_finished_transform_takes_no_more() {
    let mut transform = JsonToCsv::new();
    let mut out = Vec::new();
    let summary = crate::run(&mut transform, || Ok(&b"{\"a\":1}"[..]), &mut out).unwrap();
    assert_eq!(transform.finish(&mut out), Ok(Finish::Done(summary)), "asking again gives the same answer");
    assert!(transform.push(b"{}", &mut Vec::new()).is_err());
}

#[test]
fn another_input_in_the_second_pass_is_noticed() {
    let first = "{\"a\":1}\n{\"a\":2}\n";
    let others = [
        "",
        "{\"a\":1}\n",
        "{\"a\":1}\n{\"b\":2}\n",
        "{\"a\":1}\n{\"a\":{\"b\":1}}",
        "{\"a\":1}\n{\"a\":22}\n",
        "{\"a\":1,\"b\":[1,2]}\n",
    ];
    for other in others {
        let mut passes = [first, other].into_iter();
        let open = || Ok(passes.next().unwrap().as_bytes());
        // A front of one byte, so that the pass before the rows is one of its own.
        let mut transform = JsonToCsv::new().with_front(1);
        let fault = crate::run(&mut transform, open, &mut crate::Once(Vec::new())).unwrap_err();
        assert_eq!(fault.code, &code::ARTIFACT_CHANGED, "{other}: {fault}");
    }
}
