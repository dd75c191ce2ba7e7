//! Requests and responses: a header and a body, each in its frame, in one buffer so that
//! one system call sends them.

use prost::Message;

use super::{
    buffers,
    data_field::{self, DATA},
    messages::{RequestHeader, ResponseHeader, TaoRequest, TaoResponse},
};

/// The service hosted programs call.
pub const TAO_SERVICE: &str = "Tao";
/// The service administrators call.
pub const ADMIN_SERVICE: &str = "LinuxHost";
/// The service by which administrators ask and change a host's guard.
pub const COUNTERS_SERVICE: &str = "Counters";
/// The service for administrators of the host's guard.
pub const GUARD_SERVICE: &str = "Guard";

/// The policy by which our own programs ask for an attestation in the strong format.
pub const STRONG_ATTESTATION: &str = "taoboot attestation 2";

/// Appends one frame.
fn frame(out: &mut Vec<u8>, message: &impl Message) {
    let length = u32::try_from(message.encoded_len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    message.encode_raw(out);
}

/// Appends a request.
pub fn write_request(out: &mut Vec<u8>, op: &str, seq: u64, body: &impl Message) {
    out.reserve(
        body.encoded_len()
            .saturating_add(op.len())
            .saturating_add(32),
    );
    frame(
        out,
        &RequestHeader {
            op: op.to_owned(),
            seq,
        },
    );
    frame(out, body);
}

/// Appends the response to a call that succeeded.
pub fn write_response(out: &mut Vec<u8>, request: RequestHeader, body: &impl Message) {
    out.reserve(
        body.encoded_len()
            .saturating_add(request.op.len())
            .saturating_add(32),
    );
    frame(
        out,
        &ResponseHeader {
            op: request.op,
            seq: request.seq,
            error: None,
        },
    );
    frame(out, body);
}

/// Appends a request of the Tao with these data; `rest` has none.
pub fn write_tao_request(
    out: &mut Vec<u8>,
    op: &str,
    seq: u64,
    data: Option<&[u8]>,
    rest: &TaoRequest,
) {
    let length = data_field::message_length(data.map(<[u8]>::len), rest);
    buffers::reserve(out, length.saturating_add(op.len()).saturating_add(32));
    let op = op.to_owned();
    frame(out, &RequestHeader { op, seq });
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    if let Some(data) = data {
        data_field::begin(out, DATA, data.len());
        out.extend_from_slice(data);
    }
    rest.encode_raw(out);
}

/// Appends the answer to a call of the Tao with `length` bytes of data, which `write`
/// appends; `rest` has none.
pub fn write_tao_response<E>(
    out: &mut Vec<u8>,
    request: RequestHeader,
    length: usize,
    rest: &TaoResponse,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let all = data_field::message_length(Some(length), rest);
    buffers::reserve(out, all.saturating_add(request.op.len()).saturating_add(32));
    let header = ResponseHeader {
        op: request.op,
        seq: request.seq,
        error: None,
    };
    frame(out, &header);
    out.extend_from_slice(&u32::try_from(all).unwrap_or(u32::MAX).to_be_bytes());
    data_field::begin(out, DATA, length);
    write(out)?;
    rest.encode_raw(out);
    Ok(())
}

/// Appends the response to a call that failed.
pub fn write_error(out: &mut Vec<u8>, request: RequestHeader, error: String) {
    frame(
        out,
        &ResponseHeader {
            op: request.op,
            seq: request.seq,
            error: Some(error),
        },
    );
    frame(out, &());
}

/// The error for a call to something else than `service`, or to a method it has not.
pub fn unknown_method(op: &str, service: &str) -> String {
    match op.rsplit_once('.') {
        None => format!("rpc: service/method request ill-formed: {op}"),
        Some((named, _)) if named != service => format!("rpc: can't find service {op}"),
        Some(_) => format!("rpc: can't find method {op}"),
    }
}
