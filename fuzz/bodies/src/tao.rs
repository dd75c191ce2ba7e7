//! What the fuzz targets of `tao` do with their bytes.

use tao::{
    attestation::{AttestationMessage, BootEvent, verify, verify_quote},
    domain::text::Message,
    guard::{AclGuard, DatalogGuard, Guard},
    keys::{Keyset, Secret, Signer, Verifier, certificate},
    logic::{Form, Pred, Prin, PrinTail, Printed, Style, SubPrin, Term, Text},
    wire::{
        Inbox,
        counter_messages::{CountersRequest, CountersResponse},
        guard_messages::{GuardRequest, GuardResponse, HostDescription},
        key_messages::{CryptoKey, CryptoKeyset, EncryptedData, PbeData},
        messages::{
            AclSet, AdminRequest, AdminResponse, DatalogRules, RequestHeader, ResponseHeader,
            SignedAclSet, SignedData, SignedDatalogRules, TaoRequest, TaoResponse,
        },
        proto2::{self, Proto2},
        user_messages::{UsersRequest, UsersResponse},
    },
};
use tao_host::program::{elf, ld_cache::Cache, script};

use crate::target::FuzzTarget;

/// Names of the targets, with their functions.
pub const TARGETS: [FuzzTarget; 9] = [
    ("tao_frames", frames),
    ("tao_messages", messages),
    ("tao_form_text", form_text),
    ("tao_form_bytes", form_bytes),
    ("tao_attestation", attestation),
    ("tao_guard", guard),
    ("tao_config", config),
    ("tao_keys", keys),
    ("tao_program", program),
];

/// Frames that come in pieces; the first byte says how large.
pub fn frames(bytes: &[u8]) {
    let Some((piece, mut rest)) = bytes.split_first() else {
        return;
    };
    let mut inbox = Inbox::default();
    while !rest.is_empty() {
        let space = inbox.space();
        let count = rest.len().min(space.len()).min(usize::from(*piece) + 1);
        let (now, later) = rest.split_at(count);
        space[..count].copy_from_slice(now);
        inbox.filled(count);
        rest = later;
        loop {
            match inbox.next_message() {
                Ok(Some(message)) => {
                    let (header, body) = inbox.parts(&message);
                    // Errors are what most bytes are; the point is that they are errors.
                    drop(proto2::read::<RequestHeader>(header));
                    drop(proto2::read::<TaoRequest>(body));
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(inbox.capacity() < 256 * 1024 + 4 * bytes.len());
    }
}

/// What was read must be written and read the same.
fn message<M: Proto2 + PartialEq>(bytes: &[u8]) {
    if let Ok(message) = proto2::read::<M>(bytes) {
        let again: M = proto2::read(&message.encode_to_vec()).expect("what was written");
        assert!(again == message);
    }
}

/// Every kind of message.
pub fn messages(bytes: &[u8]) {
    message::<RequestHeader>(bytes);
    message::<ResponseHeader>(bytes);
    message::<TaoRequest>(bytes);
    message::<TaoResponse>(bytes);
    message::<AdminRequest>(bytes);
    message::<AdminResponse>(bytes);
    message::<GuardRequest>(bytes);
    message::<CountersRequest>(bytes);
    message::<CountersResponse>(bytes);
    message::<UsersRequest>(bytes);
    message::<UsersResponse>(bytes);
    message::<GuardResponse>(bytes);
    message::<HostDescription>(bytes);
    message::<AttestationMessage>(bytes);
    message::<SignedData>(bytes);
    message::<SignedAclSet>(bytes);
    message::<AclSet>(bytes);
    message::<SignedDatalogRules>(bytes);
    message::<DatalogRules>(bytes);
    message::<CryptoKey>(bytes);
    message::<CryptoKeyset>(bytes);
    message::<EncryptedData>(bytes);
    message::<PbeData>(bytes);
}

fn text<T: Text + ToString + PartialEq>(text: &str) {
    if let Ok((value, _)) = T::parse_prefix(text) {
        let printed = value.to_string();
        let (again, rest) = T::parse_prefix(&printed).expect("what was printed");
        assert!(rest.is_empty() && again.to_string() == printed);
    }
}

/// Statements, names and values as text.
pub fn form_text(bytes: &[u8]) {
    let Ok(input) = std::str::from_utf8(bytes) else {
        return;
    };
    text::<Form>(input);
    text::<Term>(input);
    text::<Prin>(input);
    text::<PrinTail>(input);
    text::<SubPrin>(input);
    text::<Pred>(input);
}

/// Statements, names and values in binary form: one value has one form.
pub fn form_bytes(bytes: &[u8]) {
    if let Ok(form) = Form::decode(bytes) {
        assert_eq!(form.encode(), bytes);
        let printed = form.to_string();
        // Very deep statements need more parentheses than a text may have.
        if let Ok(parsed) = printed.parse::<Form>() {
            assert_eq!(parsed.to_string(), printed);
        }
        drop(form.printed(Style::Short));
    }
    if let Ok(term) = Term::decode(bytes) {
        assert_eq!(term.encode(), bytes);
    }
    drop(Prin::decode(bytes));
    drop(SubPrin::decode(bytes));
    drop(Pred::decode(bytes));
    drop(PrinTail::decode(bytes));
}

/// Attestations, TPM quotes, and boot events.
pub fn attestation(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(event) = text.parse::<BootEvent>()
    {
        assert_eq!(event.to_string(), text, "one spelling");
        assert!(event.register(32).is_ok() && event.host_key_name().is_ok());
    }
    if let Ok(verified) = verify(bytes, 0) {
        assert!(verified.speaker.is_within(&verified.root) || verified.length > 1);
    }
    let key = Signer::new(Secret::new([1; 32])).expect("a key");
    if let Ok(message) = proto2::read::<AttestationMessage>(bytes) {
        let quote = message.tpm2_quote_structure.unwrap_or_default();
        let signature = key.sign("", &quote).expect("a key signs");
        let speaker = key.name();
        assert!(
            verify_quote(
                key.verifier(),
                speaker,
                &message.serialized_statement,
                &quote,
                &signature,
                message.boot_event.as_deref()
            )
            .is_err()
        );
    }
}

/// Rules: as a file's contents, and as lines of text of which the last is the question.
pub fn guard(bytes: &[u8]) {
    if let Ok(guard) = DatalogGuard::from_serialized(bytes) {
        let again = DatalogGuard::from_serialized(&guard.serialized().expect("rules"));
        assert_eq!(again.expect("what was written").rules(), guard.rules());
        guard.translations().expect("rules that were added");
    }
    drop(AclGuard::from_serialized(bytes).map(|guard| guard.rules()));
    let Ok(input) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut guard = DatalogGuard::new();
    let mut lines: Vec<&str> = input.lines().take(24).collect();
    let question = lines.pop().unwrap_or_default();
    for line in &lines {
        drop(guard.add_rule(line));
    }
    if let Ok(question) = question.parse::<Pred>()
        && let Ok(answer) = guard.query(&question)
    {
        assert_eq!(guard.why(&question).map(|why| why.allowed), Ok(answer));
    }
    for rule in guard.rules() {
        guard.retract_rule(&rule).expect("a rule that is there");
    }
    assert!(guard.rules().is_empty());
}

/// tao.config.
pub fn config(bytes: &[u8]) {
    let Ok(input) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(message) = Message::parse(input) {
        let printed = message.to_string();
        assert_eq!(Message::parse(&printed), Ok(message));
    }
}

/// Key sets, public keys and certificates.
pub fn keys(bytes: &[u8]) {
    drop(Keyset::decode(bytes));
    drop(certificate::public_key(bytes).map(<[u8]>::len));
    if let Ok(key) = Verifier::from_spki(bytes) {
        assert!(key.name().is_ok());
        drop(key.verify("context", b"data", bytes));
    }
}

/// What a program's files say: the first byte says of which kind they are.
pub fn program(bytes: &[u8]) {
    let Some((kind, file)) = bytes.split_first() else {
        return;
    };
    match kind {
        b'e' => {
            // What has no ELF header is neither.
            let shared = elf::is_shared_object(file);
            assert!(shared.is_err() || file.len() >= 64);
            if let Ok(needs) = elf::needs(file) {
                let names = needs.libraries.iter().chain(&needs.optional);
                for name in names {
                    assert!(!name.contains('\0') && name.len() <= 4096);
                }
            }
        }
        b'c' => {
            if let Ok(cache) = Cache::parse(file) {
                assert!(cache.find("libc.so.6").all(|path| !path.contains('\0')));
            }
        }
        _ => {
            if let Ok(found) = script::interpreter(file) {
                assert!(found.path.starts_with('/') && !found.path.contains([' ', '\n', '\0']));
                assert!(script::is_script(file));
            }
        }
    }
}
