//! The messages of the Tao RPC, of the administration RPC, of keys and of attestations.
//!
//! Field numbers and names are those of the original's .proto files.

use prost::Message;

use super::proto2::Proto2;

/// In front of each request.
#[derive(Clone, PartialEq, Message)]
pub struct RequestHeader {
    /// `Tao.GetTaoName`, ...
    #[prost(string, required, tag = "1")]
    pub op: String,
    /// Chosen by the caller, given back in the response.
    #[prost(uint64, required, tag = "2")]
    pub seq: u64,
}

impl Proto2 for RequestHeader {
    const NAME: &'static str = "ProtoRPCRequestHeader";
    const REQUIRED: &'static [(u32, &'static str)] = &[(1, "op"), (2, "seq")];
}

/// In front of each response.
#[derive(Clone, PartialEq, Message)]
pub struct ResponseHeader {
    /// The request's.
    #[prost(string, required, tag = "1")]
    pub op: String,
    /// The request's.
    #[prost(uint64, required, tag = "2")]
    pub seq: u64,
    /// Why the call failed; the body is empty then.
    #[prost(string, optional, tag = "3")]
    pub error: Option<String>,
}

impl Proto2 for ResponseHeader {
    const NAME: &'static str = "ProtoRPCResponseHeader";
    const REQUIRED: &'static [(u32, &'static str)] = &[(1, "op"), (2, "seq")];
}

/// Arguments of every Tao call.
#[derive(Clone, PartialEq, Message)]
pub struct TaoRequest {
    /// What to seal, unseal or attest.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub data: Option<Vec<u8>>,
    /// How many bytes.
    #[prost(int32, optional, tag = "2")]
    pub size: Option<i32>,
    /// `self`, `few` or `any`.
    #[prost(string, optional, tag = "3")]
    pub policy: Option<String>,
    /// Nanoseconds since 1970.
    #[prost(int64, optional, tag = "4")]
    pub time: Option<i64>,
    /// Nanoseconds since 1970.
    #[prost(int64, optional, tag = "5")]
    pub expiration: Option<i64>,
    /// Binary form of a principal.
    #[prost(bytes = "vec", optional, tag = "6")]
    pub issuer: Option<Vec<u8>>,
    /// Name of a counter.
    #[prost(string, optional, tag = "7")]
    pub label: Option<String>,
    /// Value of a counter.
    #[prost(int64, optional, tag = "8")]
    pub counter: Option<i64>,
}

impl Proto2 for TaoRequest {
    const NAME: &'static str = "RPCRequest";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
}

/// Result of every Tao call.
#[derive(Clone, PartialEq, Message)]
pub struct TaoResponse {
    /// The result's bytes.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub data: Option<Vec<u8>>,
    /// The policy that unsealed data was sealed with.
    #[prost(string, optional, tag = "2")]
    pub policy: Option<String>,
    /// Value of a counter.
    #[prost(int64, optional, tag = "3")]
    pub counter: Option<i64>,
}

impl Proto2 for TaoResponse {
    const NAME: &'static str = "RPCResponse";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
}

/// Arguments of every administration call.
#[derive(Clone, PartialEq, Message)]
pub struct AdminRequest {
    /// Binary form of the program's part of its name.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub subprin: Option<Vec<u8>>,
    /// The program's file.
    #[prost(string, optional, tag = "2")]
    pub path: Option<String>,
    /// Its arguments, without its own name.
    #[prost(string, repeated, tag = "3")]
    pub args: Vec<String>,
    /// Process id.
    #[prost(int32, optional, tag = "4")]
    pub pid: Option<i32>,
    /// Working directory.
    #[prost(string, optional, tag = "5")]
    pub dir: Option<String>,
    /// For containers.
    #[prost(string, repeated, tag = "6")]
    pub container_args: Vec<String>,
    /// Which of the file descriptors sent along is standard input.
    #[prost(int32, optional, tag = "7")]
    pub stdin: Option<i32>,
    /// Which one is standard output.
    #[prost(int32, optional, tag = "8")]
    pub stdout: Option<i32>,
    /// Which one is standard error.
    #[prost(int32, optional, tag = "9")]
    pub stderr: Option<i32>,
    /// Ours: the host keeps the last of the program's output (instead of 7 to 9).
    #[prost(bool, optional, tag = "20")]
    pub keep_output: Option<bool>,
    /// Ours: the most memory that the program may use, in bytes.
    #[prost(uint64, optional, tag = "21")]
    pub memory: Option<u64>,
    /// Ours: the most processes and threads.
    #[prost(uint64, optional, tag = "22")]
    pub processes: Option<u64>,
    /// Ours: the most processor time, in hundredths of one processor.
    #[prost(uint64, optional, tag = "23")]
    pub cpu: Option<u64>,
    /// Ours: environment variables, as NAME=VALUE.
    #[prost(string, repeated, tag = "25")]
    pub environment: Vec<String>,
    /// Ours: how the program reaches the host, `pipe` or `unix`.
    #[prost(string, optional, tag = "26")]
    pub channel: Option<String>,
    /// Ours: the number of a signal.
    #[prost(int32, optional, tag = "24")]
    pub signal: Option<i32>,
    /// Ours: list those too that have ended lately.
    #[prost(bool, optional, tag = "27")]
    pub all: Option<bool>,
}

impl Proto2 for AdminRequest {
    const NAME: &'static str = "LinuxHostAdminRPCRequest";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
}

/// A hosted program, as administrators see it.
#[derive(Clone, PartialEq, Message)]
pub struct AdminHostedProgram {
    /// Binary form of its part of its name.
    #[prost(bytes = "vec", required, tag = "1")]
    pub subprin: Vec<u8>,
    /// Process id.
    #[prost(int32, required, tag = "2")]
    pub pid: i32,
    /// Ours: it has ended, with this wait status.
    #[prost(int32, optional, tag = "20")]
    pub ended: Option<i32>,
}

/// Result of every administration call.
#[derive(Clone, PartialEq, Message)]
pub struct AdminResponse {
    /// The programs.
    #[prost(message, repeated, tag = "1")]
    pub child: Vec<AdminHostedProgram>,
    /// Binary form of the host's name.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub prin: Option<Vec<u8>>,
    /// Wait status as wait(2) gives it.
    #[prost(int32, optional, tag = "3")]
    pub status: Option<i32>,
    /// Ours: the last of a program's output.
    #[prost(bytes = "vec", optional, tag = "20")]
    pub output: Option<Vec<u8>>,
    /// Ours: how many bytes it has written in all.
    #[prost(uint64, optional, tag = "21")]
    pub written: Option<u64>,
}

impl Proto2 for AdminResponse {
    const NAME: &'static str = "LinuxHostAdminRPCResponse";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
    const NESTED: &'static [(u32, &'static [(u32, &'static str)])] =
        &[(1, &[(1, "child.subprin"), (2, "child.pid")])];
}

/// A statement, its signature, and why the signer may make it.
#[derive(Clone, PartialEq, Message)]
pub struct AttestationMessage {
    /// Binary form of `issuer from time until expiration says ...`.
    #[prost(bytes = "vec", required, tag = "1")]
    pub serialized_statement: Vec<u8>,
    /// `key`, `tpm` or `tpm2`.
    #[prost(string, required, tag = "2")]
    pub signer_type: String,
    /// DER SubjectPublicKeyInfo.
    #[prost(bytes = "vec", required, tag = "3")]
    pub signer_key: Vec<u8>,
    /// [`SignedData`], or for TPM 2.0 the DER signature of the quote.
    #[prost(bytes = "vec", required, tag = "4")]
    pub signature: Vec<u8>,
    /// Another attestation: who lets the signer speak.
    #[prost(bytes = "vec", optional, tag = "5")]
    pub serialized_delegation: Option<Vec<u8>>,
    /// Attestations about the names involved.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub serialized_endorsements: Vec<Vec<u8>>,
    /// For TPM 2.0: the TPMS_ATTEST that was signed.
    #[prost(bytes = "vec", optional, tag = "7")]
    pub tpm2_quote_structure: Option<Vec<u8>>,
    /// X.509 certificate of the root's key.
    #[prost(bytes = "vec", optional, tag = "8")]
    pub root_endorsement: Option<Vec<u8>>,
    /// taoboot's, with a TPM 2.0: the boot event, which is in the quoted PCR 15.
    #[prost(string, optional, tag = "9")]
    pub boot_event: Option<String>,
}

impl Proto2 for AttestationMessage {
    const NAME: &'static str = "Attestation";
    const REQUIRED: &'static [(u32, &'static str)] = &[
        (1, "serialized_statement"),
        (2, "signer_type"),
        (3, "signer_key"),
        (4, "signature"),
    ];
}

/// What kind of key something was made with.
#[derive(Clone, PartialEq, Message)]
pub struct CryptoHeader {
    /// 2 is the only version in use.
    #[prost(int32, required, tag = "1")]
    pub version: i32,
    /// A name for people.
    #[prost(string, optional, tag = "2")]
    pub key_name: Option<String>,
    /// Counts renewals.
    #[prost(int32, optional, tag = "3")]
    pub key_epoch: Option<i32>,
    /// `ecdsap256-public`, ...
    #[prost(string, optional, tag = "4")]
    pub key_type: Option<String>,
    /// `signing`, ...
    #[prost(string, optional, tag = "5")]
    pub key_purpose: Option<String>,
    /// `active`, ...
    #[prost(string, optional, tag = "6")]
    pub key_status: Option<String>,
}

/// What is hashed and signed: the data, and what it is signed for.
#[derive(Clone, PartialEq, Message)]
pub struct ContextualizedData {
    /// Keeps a signature from being taken for one made for another purpose.
    #[prost(string, required, tag = "1")]
    pub context: String,
    /// The data.
    #[prost(bytes = "vec", required, tag = "2")]
    pub data: Vec<u8>,
}

/// A signature and what made it.
#[derive(Clone, PartialEq, Message)]
pub struct SignedData {
    /// The key. Not covered by the signature.
    #[prost(message, required, tag = "1")]
    pub header: CryptoHeader,
    /// DER `SEQUENCE { r, s }` for ECDSA.
    #[prost(bytes = "vec", required, tag = "2")]
    pub signature: Vec<u8>,
}

impl Proto2 for SignedData {
    const NAME: &'static str = "SignedData";
    const REQUIRED: &'static [(u32, &'static str)] = &[(1, "header"), (2, "signature")];
    const NESTED: &'static [(u32, &'static [(u32, &'static str)])] =
        &[(1, &[(1, "header.version")])];
}

/// An access control list.
#[derive(Clone, PartialEq, Message)]
pub struct AclSet {
    /// Statements, as text.
    #[prost(string, repeated, tag = "1")]
    pub entries: Vec<String>,
}

impl Proto2 for AclSet {
    const NAME: &'static str = "ACLSet";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
}

/// An access control list and the policy key's signature.
#[derive(Clone, PartialEq, Message)]
pub struct SignedAclSet {
    /// [`AclSet`].
    #[prost(bytes = "vec", required, tag = "1")]
    pub serialized_aclset: Vec<u8>,
    /// [`SignedData`].
    #[prost(bytes = "vec", required, tag = "2")]
    pub signature: Vec<u8>,
}

impl Proto2 for SignedAclSet {
    const NAME: &'static str = "SignedACLSet";
    const REQUIRED: &'static [(u32, &'static str)] = &[(1, "serialized_aclset"), (2, "signature")];
}

/// Datalog rules.
#[derive(Clone, PartialEq, Message)]
pub struct DatalogRules {
    /// Binary forms.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub rules: Vec<Vec<u8>>,
}

impl Proto2 for DatalogRules {
    const NAME: &'static str = "DatalogRules";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
}

/// Datalog rules and the policy key's signature.
#[derive(Clone, PartialEq, Message)]
pub struct SignedDatalogRules {
    /// [`DatalogRules`].
    #[prost(bytes = "vec", required, tag = "1")]
    pub serialized_rules: Vec<u8>,
    /// [`SignedData`].
    #[prost(bytes = "vec", required, tag = "2")]
    pub signature: Vec<u8>,
}

impl Proto2 for SignedDatalogRules {
    const NAME: &'static str = "SignedDatalogRules";
    const REQUIRED: &'static [(u32, &'static str)] = &[(1, "serialized_rules"), (2, "signature")];
}
