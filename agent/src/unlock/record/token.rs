//! The JSON of a record's token. The order of the fields is the canonical one of its
//! authentication code: version 1, never to be changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tpm::{AuthPolicy, Bank, LaunchPolicy, Name, PcrPolicy, PcrValues, Sealed, tpm12::StorageKey};

use super::{
    error::RecordError,
    form::{self, CounterJson, blob, bytes_text, check_version, damaged},
    parts::{RecordParts, TOKEN_TYPE},
};
use crate::unlock::{
    escrow::Escrow, identity::VolumeIdentity, metadata::slot_number, pcr_map, pin::PinSalt,
    swap::SwapSpec,
};

/// What a token says, of correct form and not yet authenticated.
#[derive(Clone, Debug)]
pub(super) struct TokenContent {
    pub parts: RecordParts,
    /// The public name of the sealed secret, [`crate::unlock::VolumeSecret::id`].
    pub secret_id: String,
    /// The authentication code over all of it.
    pub mac: Vec<u8>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenJson {
    #[serde(rename = "type")]
    kind: String,
    keyslots: Vec<String>,
    version: u32,
    volume: VolumeIdentity,
    bank: String,
    #[serde(with = "pcr_map")]
    pcrs: PcrValues,
    public: String,
    private: String,
    parent: Name,
    #[serde(default)]
    label: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    swap: Option<SwapSpec>,
    created: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    components: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counter: Option<CounterJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    escrow: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pin: Option<String>,
    secret_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

pub(super) fn read(json: &Value) -> Result<TokenContent, RecordError> {
    check_version(json)?;
    let token = TokenJson::deserialize(json)
        .map_err(|error| damaged(error.to_string().chars().take(200).collect::<String>()))?;
    let is_tpm12 = token.bank == Bank::Sha1.to_string();
    if token.kind != TOKEN_TYPE || !(is_tpm12 || token.bank == Bank::Sha256.to_string()) {
        return Err(damaged("its type or its PCR bank is not the expected one"));
    }
    let keyslot = match token.keyslots.as_slice() {
        [number] => slot_number(number).ok_or_else(|| damaged("its keyslot is not a number"))?,
        [] => return Err(RecordError::Keyslot("it names none".into())),
        _ => return Err(damaged("it names more than one keyslot")),
    };
    let mac = token
        .mac
        .ok_or_else(|| damaged("it has no authentication code"))?;
    let mac = hex::decode(mac)
        .ok()
        .filter(|mac| mac.len() == 32)
        .ok_or_else(|| damaged("its authentication code is not 64 hex digits"))?;
    if token.secret_id.len() != 32 || !token.secret_id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(damaged("the id of its secret is not 32 hex digits"));
    }
    let sealed = Sealed {
        public: blob("public", &token.public)?,
        private: blob("private", &token.private)?,
        parent: token.parent,
    };
    let policy = match token.policy_key {
        _ if is_tpm12 && (token.policy_key.is_some() || token.counter.is_some()) => {
            return Err(damaged(
                "it is for a TPM 1.2, which knows neither policy keys nor rollback counters in policies",
            ));
        }
        None if is_tpm12 => {
            StorageKey::from_record(&sealed).map_err(|error| damaged(error.to_string()))?;
            let pcrs = PcrPolicy::for_tpm12(token.pcrs)
                .ok_or_else(|| damaged("its PCR values are not those of a TPM 1.2"))?;
            AuthPolicy::Launch(pcrs.into())
        }
        None => {
            let pcrs = PcrPolicy::new(token.pcrs)
                .ok_or_else(|| damaged("its PCR values make no policy"))?;
            AuthPolicy::Launch(LaunchPolicy::new(pcrs, token.counter.map(Into::into)))
        }
        Some(_) if !token.pcrs.set().is_empty() || token.counter.is_some() => {
            return Err(damaged("it has both a policy key and PCR values"));
        }
        Some(key) => AuthPolicy::Signed(form::signer(&key)?),
    };
    let escrow = token
        .escrow
        .map(|text| {
            Escrow::from_bytes(&blob("escrow", &text)?)
                .ok_or_else(|| damaged(format!("its escrow does not have {} bytes", Escrow::LEN)))
        })
        .transpose()?;
    let pin = token
        .pin
        .map(|text| {
            PinSalt::from_bytes(&blob("PIN", &text)?).ok_or_else(|| {
                damaged(format!(
                    "the salt of its PIN does not have {} bytes",
                    PinSalt::LEN
                ))
            })
        })
        .transpose()?;
    let parts = RecordParts {
        keyslot,
        volume: token.volume,
        policy,
        sealed,
        label: token.label,
        swap: token.swap,
        created: token.created,
        components: form::components(token.components)?,
        escrow,
        pin,
    };
    Ok(TokenContent {
        parts,
        secret_id: token.secret_id,
        mac,
    })
}

pub(super) fn write(content: &TokenContent) -> Result<Value, RecordError> {
    let token = TokenJson {
        mac: Some(hex::encode(&content.mac)),
        ..without_mac(content)
    };
    serde_json::to_value(token).map_err(|error| damaged(error.to_string()))
}

/// What the authentication code is over.
pub(super) fn authenticated_text(content: &TokenContent) -> Result<Vec<u8>, RecordError> {
    serde_json::to_vec(&without_mac(content)).map_err(|error| damaged(error.to_string()))
}

fn without_mac(content: &TokenContent) -> TokenJson {
    let parts = content.parts.clone();
    let (pcrs, counter, policy_key) = match parts.policy {
        AuthPolicy::Launch(launch) => {
            let counter = launch.counter().copied().map(Into::into);
            (launch.pcrs().values().clone(), counter, None)
        }
        AuthPolicy::Signed(signer) => {
            let none = PcrValues::new(Bank::Sha256);
            (none, None, Some(form::signer_text(&signer)))
        }
    };
    let bank = pcrs.bank().to_string();
    TokenJson {
        kind: TOKEN_TYPE.into(),
        keyslots: vec![parts.keyslot.to_string()],
        version: 1,
        volume: parts.volume,
        bank,
        pcrs,
        public: bytes_text(&parts.sealed.public),
        private: bytes_text(&parts.sealed.private),
        parent: parts.sealed.parent,
        label: parts.label,
        swap: parts.swap,
        created: parts.created,
        components: form::components_json(&parts.components),
        counter,
        policy_key,
        escrow: parts.escrow.map(|escrow| bytes_text(escrow.as_bytes())),
        pin: parts.pin.map(|salt| bytes_text(salt.as_bytes())),
        secret_id: content.secret_id.clone(),
        mac: None,
    }
}
