//! How an SFTP session begins: INIT and VERSION (section 4).

use bytes::BytesMut;
use outport_core::{Fault, code};

use super::super::wire::{ClientPacket, ServerPacket, VERSION, WireError, take_packet};
use super::{Heard, Incoming, Line, Outgoing};

pub(super) fn protocol_fault(place: &str, problem: &dyn std::fmt::Display) -> Fault {
    Fault::new(&code::SFTP_PROTOCOL, format!("could not understand {place}: {problem}"))
}

/// Agrees on the version. The names of the extensions come back.
pub(super) async fn agree(
    incoming: &mut impl Incoming,
    outgoing: &mut impl Outgoing,
    received: &mut BytesMut,
    line: &dyn Line,
) -> Result<Vec<String>, Fault> {
    let place = line.place();
    if !outgoing.send(ClientPacket::Init { version: VERSION }.encode()).await {
        return Err(line.why_ended());
    }
    let mut complaints = BytesMut::new();
    let packet = loop {
        if let Some(packet) =
            take_packet(received).map_err(|error: WireError| protocol_fault(place, &error))?
        {
            break packet;
        }
        match incoming.hear().await {
            Heard::Data(bytes) => received.extend_from_slice(&bytes),
            Heard::Window => {}
            Heard::Complaint(text) => {
                let room = 200usize.saturating_sub(complaints.len()).min(text.len());
                complaints.extend_from_slice(&text[..room]);
            }
            Heard::End => return Err(no_sftp(line, &complaints)),
        }
    };
    match ServerPacket::decode(packet).map_err(|error| protocol_fault(place, &error))? {
        ServerPacket::Version { version: VERSION, extensions } => {
            Ok(extensions.into_iter().map(|(name, _)| String::from_utf8_lossy(&name).into_owned()).collect())
        }
        ServerPacket::Version { version, .. } => {
            Err(protocol_fault(place, &format!("it speaks SFTP version {version}, {VERSION} was asked for")))
        }
        ServerPacket::Reply { .. } => Err(protocol_fault(place, &"it did not begin with its version")),
    }
}

/// The channel ended before the server said its version. A broken connection is one thing, a server that cannot start
/// its SFTP program another.
fn no_sftp(line: &dyn Line, complaints: &[u8]) -> Fault {
    let ended = line.why_ended();
    if ended.code != &code::SFTP_SUBSYSTEM_MISSING || complaints.is_empty() {
        return ended;
    }
    let words: String =
        String::from_utf8_lossy(complaints).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Fault { message: format!("{}; it said {:?}", ended.message, words.trim()), ..ended }
}
