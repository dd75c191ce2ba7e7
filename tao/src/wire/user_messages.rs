//! The messages by which administrators see which users programs have of their own, and delete them.
//! They are ours: the original had no such calls.

use prost::Message;

use super::proto2::Proto2;

/// Arguments of the calls about users; Delete names one of the two.
#[derive(Clone, PartialEq, Message)]
pub struct UsersRequest {
    /// The user's number.
    #[prost(uint32, optional, tag = "1")]
    pub uid: Option<u32>,
    /// Its program: SHA-256 of the binary form of the name that it is started under.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub program: Option<Vec<u8>>,
}

impl Proto2 for UsersRequest {
    const NAME: &'static str = "UsersRequest";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
}

/// One program's user.
#[derive(Clone, PartialEq, Message)]
pub struct UserOf {
    /// Its number, and that of its group.
    #[prost(uint32, required, tag = "1")]
    pub uid: u32,
    /// SHA-256 of the binary form of the name that the program is started under. Missing: the user is
    /// deleted, and its directory is left over.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub program: Option<Vec<u8>>,
    /// That name as text; its beginning if it is long. Empty: it is not known.
    #[prost(string, required, tag = "3")]
    pub name: String,
    /// Does the program run, or is it being started?
    #[prost(bool, required, tag = "4")]
    pub running: bool,
    /// When it was started last, in seconds since 1970, by the machine's clock of then.
    #[prost(uint64, optional, tag = "5")]
    pub last_started: Option<u64>,
    /// The user who had it started first. All hosted programs are the one with the number 1879048192.
    #[prost(uint32, optional, tag = "6")]
    pub starter: Option<u32>,
}

/// Result of the calls about users.
#[derive(Clone, PartialEq, Message)]
pub struct UsersResponse {
    /// List: all of them, by their numbers; then what is left over.
    #[prost(message, repeated, tag = "1")]
    pub users: Vec<UserOf>,
    /// Delete: the number, which no program gets again.
    #[prost(uint32, optional, tag = "2")]
    pub deleted: Option<u32>,
}

impl Proto2 for UsersResponse {
    const NAME: &'static str = "UsersResponse";
    const REQUIRED: &'static [(u32, &'static str)] = &[];
    const NESTED: &'static [(u32, &'static [(u32, &'static str)])] = &[(
        1,
        &[(1, "users.uid"), (3, "users.name"), (4, "users.running")],
    )];
}
