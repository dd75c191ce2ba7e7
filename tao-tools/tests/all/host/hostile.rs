//! Programs that misbehave: only their own connection ends.

use std::{io::Write, time::Duration};

use tao::wire::{MAX_FRAME, messages::TaoRequest, rpc};

use tao_host::Confinement;

use super::common::{Setup, TestHost, command};

const GET_NAME: &[u8] = b"\0\0\0\x12\x0a\x0eTao.GetTaoName\x10\0\0\0\0\0";

/// The host still serves others.
fn alive(host: &TestHost) {
    assert_eq!(host.report(&command("tao-report"), &[])["random_bytes"], 32);
}

#[test]
fn a_frame_above_the_limit_ends_that_connection_only() {
    let host = TestHost::start(20);
    let (mut bad, mut good) = (host.raw(), host.raw());
    assert!(bad.call(GET_NAME).0.error.is_none());
    bad.send(&(MAX_FRAME as u32 + 1).to_be_bytes());
    assert!(bad.receive().is_none());
    assert!(good.call(GET_NAME).0.error.is_none());
    alive(&host);
}

#[test]
fn random_bytes_and_bad_headers_end_that_connection_only() {
    let host = TestHost::start(21);
    let mut good = host.raw();
    for bytes in [
        &b"\0\0\0\x04\xff\xff\xff\xff\0\0\0\0"[..],
        b"\0\0\0\x02\x10\0\0\0\0\0",
        b"GET / HTTP/1.0\r\n\r\n and so on and so forth",
        &[0xff; 64],
    ] {
        let mut bad = host.raw();
        bad.send(bytes);
        assert!(bad.receive().is_none(), "{bytes:?}");
    }
    assert!(good.call(GET_NAME).0.error.is_none());
    alive(&host);
}

#[test]
fn a_cut_frame_and_a_slow_writer_disturb_nobody() {
    let host = TestHost::start(22);
    let mut slow = host.raw();
    let mut cut = host.raw();
    cut.send(&GET_NAME[..7]);
    for byte in GET_NAME {
        slow.send(&[*byte]);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(slow.receive().unwrap().0.error.is_none());
    cut.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(cut.receive().is_none());
    alive(&host);
}

#[test]
fn a_program_that_never_reads_its_answers_stops_only_itself() {
    let host = TestHost::start(23);
    let mut flood = host.raw();
    flood
        .stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    // Far more answers than pipes and socket hold: in the end nothing can be written.
    let many = GET_NAME.repeat(1000);
    let mut written = 0;
    while written < 64 << 20 {
        match flood.stream.write(&many) {
            Ok(count) => written += count,
            Err(_) => break,
        }
    }
    assert!(
        written < 64 << 20,
        "the host took {written} bytes of requests"
    );
    alive(&host);
}

#[test]
fn an_unreadable_body_is_an_error_and_the_connection_goes_on() {
    let host = TestHost::start(24);
    let mut program = host.raw();
    let (header, _) = program.call(b"\0\0\0\x0c\x0a\x08Tao.Seal\x10\x07\0\0\0\x02\xff\xff");
    assert_eq!(header.seq, 7);
    assert!(header.error.unwrap().contains("malformed request"));
    assert!(program.call(GET_NAME).0.error.is_none());
}

#[test]
fn a_large_seal_and_a_large_answer_pass() {
    let host = TestHost::start(25);
    let mut program = host.raw();
    let data: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    let mut request = Vec::new();
    let policy = Some("self".to_owned());
    let seal = TaoRequest {
        data: Some(data.clone()),
        policy,
        ..TaoRequest::default()
    };
    rpc::write_request(&mut request, "Tao.Seal", 0, &seal).unwrap();
    let sealed = program.call(&request).1.data.unwrap();
    request.clear();
    let unseal = TaoRequest {
        data: Some(sealed),
        ..TaoRequest::default()
    };
    rpc::write_request(&mut request, "Tao.Unseal", 1, &unseal).unwrap();
    assert_eq!(program.call(&request).1.data.unwrap(), data);
}

#[test]
fn a_child_left_behind_speaks_for_nobody() {
    // With a set of processes or a control group nothing would be left behind.
    let mut setup = Setup::new(26);
    let confinements = &mut setup.programs.confinements;
    confinements
        .retain(|confinement| !matches!(confinement, Confinement::Processes | Confinement::Limits));
    let host = setup.start();
    let left = host.path("left");
    // The program ends at once; what it leaves behind still holds the channel.
    let script = format!(
        "(sleep 0.3; cat <&3 >{file}.read; (printf 'x' >&4) 2>/dev/null; echo $? >{file}) & exit 0",
        file = left.display()
    );
    assert!(host.run(&["run", "sh", "-c", &script]).status.success());
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !left.exists() || std::fs::read(&left).unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    // Nothing to read any more, and nobody to write to.
    assert_eq!(std::fs::read(host.path("left.read")).unwrap(), b"");
    assert_ne!(std::fs::read_to_string(&left).unwrap().trim(), "0");
}

#[test]
fn a_hundred_programs_at_once_are_told_apart() {
    let host = TestHost::start(27);
    let mut programs: Vec<_> = (0..100).map(|_| host.raw()).collect();
    for program in &mut programs {
        program.send(GET_NAME);
    }
    for program in &mut programs {
        assert!(program.receive().unwrap().0.error.is_none());
    }
    assert_eq!(host.admin().list().unwrap().len(), 100);
}
