//! Which connection a file gets. Pure.

/// Files from this size on are large. 64 MiB keep one connection busy for a second or more, and whatever shares it
/// waits behind their data.
pub(super) const LARGE_BYTES: u64 = 64 * 1024 * 1024;

/// The files on one connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// All of them.
    pub(super) files: usize,
    /// The large ones among them.
    pub(super) large: usize,
}

/// What a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Takes a place on that connection.
    Use(usize),
    /// Takes a place on a new connection, or on that one if there can be none.
    ConnectOrUse(usize),
    /// Needs a new connection.
    Connect,
    /// Waits until a file ends.
    Wait,
}

/// Large files go each on a connection of their own and small ones stay clear of them, as long as there may be another
/// connection; then they share. `room`: files on one connection; `may_connect`: whether there may be one more.
pub(super) fn choose(loads: &[Load], is_large: bool, room: usize, may_connect: bool) -> Choice {
    let open = loads.iter().enumerate().filter(|(_, load)| load.files < room);
    let best = open.min_by_key(|(_, load)| (load.large, load.files));
    let Some((at, load)) = best else { return if may_connect { Choice::Connect } else { Choice::Wait } };
    let disturbs = if is_large { load.files > 0 } else { load.large > 0 };
    if disturbs && may_connect { Choice::ConnectOrUse(at) } else { Choice::Use(at) }
}

#[cfg(test)]
mod tests {
    use super::Choice::{Connect, ConnectOrUse, Use, Wait};
    use super::*;

    #[test]
    fn every_kind_of_choice() {
        const SMALL: bool = false;
        const LARGE: bool = true;
        let (idle, two, full) = ((0, 0), (2, 0), (3, 0));
        let (large, large_and_two) = ((1, 1), (3, 1));
        // (connections as (files, large ones), the file, may connect, what it does); three files to a connection.
        type Case<'a> = (&'a [(usize, usize)], bool, bool, Choice);
        let table: [Case<'_>; 17] = [
            (&[], SMALL, true, Connect),
            (&[], LARGE, true, Connect),
            (&[full], SMALL, true, Connect),
            (&[full], SMALL, false, Wait),
            (&[large_and_two], LARGE, false, Wait),
            (&[two, idle], SMALL, true, Use(1)),
            (&[two], SMALL, true, Use(0)),
            (&[two], LARGE, true, ConnectOrUse(0)),
            (&[two], LARGE, false, Use(0)),
            (&[two, idle], LARGE, true, Use(1)),
            (&[large], SMALL, true, ConnectOrUse(0)),
            (&[large], SMALL, false, Use(0)),
            (&[large, two], SMALL, true, Use(1)),
            (&[large, full], SMALL, false, Use(0)),
            (&[large, two], LARGE, false, Use(1)),
            (&[large], LARGE, true, ConnectOrUse(0)),
            (&[large, (2, 2)], LARGE, false, Use(0)),
        ];
        for (loads, is_large, may_connect, choice) in table {
            let loads: Vec<Load> = loads.iter().map(|&(files, large)| Load { files, large }).collect();
            let case = format!("{loads:?}, large {is_large}, may connect {may_connect}");
            assert_eq!(choose(&loads, is_large, 3, may_connect), choice, "{case}");
        }
    }
}
