//! The demo's own files: two shapes of JSON, something binary, and one that is broken.

/// One file to put, and what should become of it.
pub struct Sample {
    /// The local file's name.
    pub name: &'static str,
    /// Its content.
    pub content: Vec<u8>,
}

/// The sample whose delivery has to fail.
pub const BROKEN: &str = "claims-broken.json";

/// All samples.
pub fn all() -> Vec<Sample> {
    vec![
        Sample { name: "claims-monday.ndjson", content: claims(2_000, "\n").into_bytes() },
        Sample {
            name: "claims-tuesday.json",
            content: format!("[\n{}\n]\n", claims(500, ",\n")).into_bytes(),
        },
        Sample { name: "statement.pdf", content: binary(200_000) },
        Sample {
            name: BROKEN,
            content: b"{\"claim\":1,\"amount\":\"12.50\"}\n{\"claim\":2,\"amount\":}\n{\"claim\":3}\n"
                .to_vec(),
        },
    ]
}

fn claims(count: u32, separator: &str) -> String {
    let claim = |n: u32| {
        let note = if n.is_multiple_of(50) { "\"checked, \\\"twice\\\"\"" } else { "null" };
        format!(
            "{{\"claim\":{n},\"patient\":{{\"id\":\"P{:05}\",\"name\":\"M\u{fc}ller\"}},\"amount\":{}.10,\"codes\":[\"A{}\",\"B2\"],\"note\":{note}}}",
            n * 7 % 100_000,
            n * 13 % 977,
            n % 10
        )
    };
    (1..=count).map(claim).collect::<Vec<_>>().join(separator)
}

/// A PDF header and bytes of every value: any conversion on the way would show.
fn binary(size: usize) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let mut state = 0x2545_f491_u32;
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}
