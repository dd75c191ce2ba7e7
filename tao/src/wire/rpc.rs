//! Requests and responses: a header and a body, each in its frame, in one buffer so that
//! one system call sends them.

use prost::Message;

use super::{
    buffers,
    data_field::{self, DATA},
    frame::{FrameError, MAX_FRAME},
    messages::{RequestHeader, ResponseHeader, TaoRequest, TaoResponse},
};

/// The service hosted programs call.
pub const TAO_SERVICE: &str = "Tao";
/// The service administrators call.
pub const ADMIN_SERVICE: &str = "LinuxHost";
/// The service by which administrators see and delete programs' counters.
pub const COUNTERS_SERVICE: &str = "Counters";
/// The service by which administrators see and delete programs' users.
pub const USERS_SERVICE: &str = "Users";
/// The service for administrators of the host's guard.
pub const GUARD_SERVICE: &str = "Guard";

/// The policy by which our own programs ask for an attestation in the strong format.
pub const STRONG_ATTESTATION: &str = "taoboot attestation 2";

/// What a frame of so many bytes begins with. Longer ones than [`MAX_FRAME`] nobody reads.
fn length_field(length: usize) -> Result<[u8; 4], FrameError> {
    match u32::try_from(length) {
        Ok(field) if length <= MAX_FRAME => Ok(field.to_be_bytes()),
        _ => Err(FrameError::TooLong(length)),
    }
}

/// Appends two frames, or nothing.
fn frames(out: &mut Vec<u8>, header: &impl Message, body: &impl Message) -> Result<(), FrameError> {
    let (header_length, body_length) = (header.encoded_len(), body.encoded_len());
    let (header_field, body_field) = (length_field(header_length)?, length_field(body_length)?);
    out.reserve(header_length.saturating_add(body_length).saturating_add(8));
    out.extend_from_slice(&header_field);
    header.encode_raw(out);
    out.extend_from_slice(&body_field);
    body.encode_raw(out);
    Ok(())
}

/// Appends a request.
///
/// # Errors
/// When it is longer than a frame may be. Nothing is appended then.
pub fn write_request(
    out: &mut Vec<u8>,
    op: &str,
    seq: u64,
    body: &impl Message,
) -> Result<(), FrameError> {
    let op = op.to_owned();
    frames(out, &RequestHeader { op, seq }, body)
}

/// Appends the response to a call that succeeded; the caller is told if it is longer than a
/// frame may be.
pub fn write_response(out: &mut Vec<u8>, request: RequestHeader, body: &impl Message) {
    let header = ResponseHeader {
        op: request.op,
        seq: request.seq,
        error: None,
    };
    if let Err(error) = frames(out, &header, body) {
        let ResponseHeader { op, seq, .. } = header;
        write_error(out, RequestHeader { op, seq }, answer_too_long(&error));
    }
}

fn answer_too_long(error: &FrameError) -> String {
    format!("the answer cannot be sent: {error}")
}

/// Appends a request of the Tao with these data; `rest` has none.
///
/// # Errors
/// When it is longer than a frame may be. Nothing is appended then.
pub fn write_tao_request(
    out: &mut Vec<u8>,
    op: &str,
    seq: u64,
    data: Option<&[u8]>,
    rest: &TaoRequest,
) -> Result<(), FrameError> {
    let length = data_field::message_length(data.map(<[u8]>::len), rest);
    let field = length_field(length)?;
    let op = op.to_owned();
    let header = RequestHeader { op, seq };
    buffers::reserve(
        out,
        length.saturating_add(header.op.len()).saturating_add(32),
    );
    out.extend_from_slice(&length_field(header.encoded_len())?);
    header.encode_raw(out);
    out.extend_from_slice(&field);
    if let Some(data) = data {
        data_field::begin(out, DATA, data.len());
        out.extend_from_slice(data);
    }
    rest.encode_raw(out);
    Ok(())
}

/// Appends the answer to a call of the Tao with `length` bytes of data, which `write`
/// appends; `rest` has none. The caller is told if it is longer than a frame may be.
///
/// # Errors
/// That of `write`.
pub fn write_tao_response<E>(
    out: &mut Vec<u8>,
    request: RequestHeader,
    length: usize,
    rest: &TaoResponse,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let all = data_field::message_length(Some(length), rest);
    let field = match length_field(all) {
        Ok(field) => field,
        Err(error) => {
            write_error(out, request, answer_too_long(&error));
            return Ok(());
        }
    };
    buffers::reserve(out, all.saturating_add(request.op.len()).saturating_add(32));
    let header = ResponseHeader {
        op: request.op,
        seq: request.seq,
        error: None,
    };
    out.extend_from_slice(&header_field(&header));
    header.encode_raw(out);
    out.extend_from_slice(&field);
    data_field::begin(out, DATA, length);
    write(out)?;
    rest.encode_raw(out);
    Ok(())
}

/// Appends the response to a call that failed.
pub fn write_error(out: &mut Vec<u8>, request: RequestHeader, error: String) {
    let header = ResponseHeader {
        op: request.op,
        seq: request.seq,
        error: Some(error),
    };
    out.extend_from_slice(&header_field(&header));
    header.encode_raw(out);
    // An empty body.
    out.extend_from_slice(&[0; 4]);
}

/// What the frame of an answer's header begins with.
#[expect(
    clippy::expect_used,
    reason = "the call's name came in a frame, and an error repeats it once at most"
)]
fn header_field(header: &ResponseHeader) -> [u8; 4] {
    let length = u32::try_from(header.encoded_len()).expect("a header shorter than 4 GiB");
    length.to_be_bytes()
}

/// The error for a call to something else than `service`, or to a method it has not. These are the
/// sentences of Go's net/rpc, which the original's clients compare.
pub fn unknown_method(op: &str, service: &str) -> String {
    match op.rsplit_once('.') {
        None => format!("rpc: service/method request ill-formed: {op}"),
        Some((named, _)) if named != service => format!("rpc: can't find service {op}"),
        Some(_) => format!("rpc: can't find method {op}"),
    }
}
