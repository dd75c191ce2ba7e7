//! Calls of several threads over one connection, and hosts that answer wrongly.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    thread,
};

use super::*;
use crate::wire::{
    Inbox,
    messages::{RequestHeader, TaoRequest, TaoResponse},
    proto2, rpc,
};

/// A host that collects `batch` requests and answers them last first, with their own data.
fn backwards(mut stream: UnixStream, batch: usize) {
    let mut inbox = Inbox::default();
    let mut requests = Vec::new();
    loop {
        while let Some(message) = inbox.next_message().unwrap() {
            let (header, body) = inbox.parts(&message);
            let header: RequestHeader = proto2::read(header).unwrap();
            let body: TaoRequest = proto2::read(body).unwrap();
            requests.push((header, body));
        }
        if requests.len() >= batch {
            let mut out = Vec::new();
            for (header, body) in requests.drain(..).rev() {
                let response = TaoResponse {
                    data: body.data,
                    ..TaoResponse::default()
                };
                rpc::write_response(&mut out, header, &response);
            }
            stream.write_all(&out).unwrap();
        }
        match stream.read(inbox.space()).unwrap() {
            0 => return,
            count => inbox.filled(count),
        }
    }
}

fn parent(host: impl FnOnce(UnixStream) + Send + 'static) -> Parent {
    let (ours, theirs) = UnixStream::pair().unwrap();
    thread::spawn(move || host(theirs));
    Parent::over(ours.try_clone().unwrap(), ours)
}

#[test]
fn each_thread_gets_its_own_answer_in_whatever_order_they_come() {
    const THREADS: usize = 8;
    let parent = parent(|stream| backwards(stream, THREADS));
    thread::scope(|scope| {
        for number in 0..THREADS {
            let parent = &parent;
            scope.spawn(move || {
                for round in 0..50 {
                    let data = format!("{number} {round}").into_bytes();
                    assert_eq!(parent.seal(&data, SealPolicy::Own), Ok(data));
                }
            });
        }
    });
}

fn answering(bytes: &'static [u8]) -> Parent {
    parent(move |mut stream| {
        let mut request = [0; 64];
        let _length = stream.read(&mut request).unwrap();
        stream.write_all(bytes).unwrap();
    })
}

#[test]
fn wrong_answers_are_errors_and_not_results() {
    // An answer to another call, a bad header, a frame too long, an end in the middle.
    for bytes in [
        &b"\0\0\0\x05\x0a\x01x\x10\x09\0\0\0\0"[..],
        b"\0\0\0\x01\x10\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0",
        b"",
    ] {
        let parent = answering(bytes);
        assert!(parent.tao_name().is_err(), "{bytes:?}");
        assert!(parent.tao_name().is_err(), "and it stays broken");
    }
    // No data, and a policy that nobody asked for.
    for bytes in [
        &b"\0\0\0\x05\x0a\x01x\x10\0\0\0\0\0"[..],
        b"\0\0\0\x05\x0a\x01x\x10\0\0\0\0\x06\x0a\x01y\x12\x01z",
    ] {
        assert!(matches!(
            answering(bytes).tao_name(),
            Err(CallError::Response(_))
        ));
    }
}
