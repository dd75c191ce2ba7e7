//! The token of a further volume: which keyslot the boot secret opens.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use crate::unlock::{
    find_records::TokenId, header::CheckedHeader, identity::VolumeIdentity, metadata::slot_number,
    record::RecordError, secret::VolumeSecret,
};

/// Type of the token.
pub const FURTHER_TYPE: &str = "taoboot-further";

const VERSION: u64 = 1;

/// A token of correct form. Its truth is established by [`Self::verify_mac`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FurtherToken(TokenJson);

/// The order of the fields is the canonical one of the authentication code: version 1, never to be
/// changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenJson {
    #[serde(rename = "type")]
    kind: String,
    keyslots: Vec<String>,
    version: u64,
    volume: VolumeIdentity,
    /// The UUID of the volume with the records.
    enrolled_with: String,
    secret_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

fn damaged(reason: impl Into<String>) -> RecordError {
    RecordError::Damaged(reason.into())
}

impl FurtherToken {
    /// Makes and authenticates a token for this keyslot of this volume.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn new(
        keyslot: u32,
        volume: VolumeIdentity,
        enrolled_with: &str,
        secret: &VolumeSecret,
    ) -> Result<Self, RecordError> {
        let mut token = TokenJson {
            kind: FURTHER_TYPE.into(),
            keyslots: vec![keyslot.to_string()],
            version: VERSION,
            volume,
            enrolled_with: enrolled_with.into(),
            secret_id: secret.id(),
            mac: None,
        };
        let mac = authenticator(&token, secret)?.finalize().into_bytes();
        token.mac = Some(hex::encode(mac));
        Ok(Self(token))
    }

    /// Reads a token's JSON object.
    ///
    /// # Errors
    /// It is of another version or form.
    pub fn from_token(json: &Value) -> Result<Self, RecordError> {
        match json.get("version").and_then(Value::as_u64) {
            Some(version) if version != VERSION => return Err(RecordError::Version(version)),
            _ => {}
        }
        let token = TokenJson::deserialize(json)
            .map_err(|error| damaged(error.to_string().chars().take(200).collect::<String>()))?;
        let is_hex = |text: &str, digits: usize| {
            text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if token.kind != FURTHER_TYPE {
            return Err(damaged("its type is not the expected one"));
        }
        if !matches!(token.keyslots.as_slice(), [number] if slot_number(number).is_some()) {
            return Err(RecordError::Keyslot("it does not name exactly one".into()));
        }
        if token.enrolled_with.len() > 40
            || !token.enrolled_with.chars().all(printable::is_printable)
        {
            return Err(damaged("it does not name the volume that it belongs to"));
        }
        if !is_hex(&token.secret_id, 32) {
            return Err(damaged("the id of its secret is not 32 hex digits"));
        }
        if !token.mac.as_ref().is_some_and(|mac| is_hex(mac, 64)) {
            return Err(damaged("its authentication code is not 64 hex digits"));
        }
        Ok(Self(token))
    }

    /// The JSON object to be stored as a LUKS2 token.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn to_token(&self) -> Result<Value, RecordError> {
        serde_json::to_value(&self.0).map_err(|error| damaged(error.to_string()))
    }

    /// Is the token the one that was made with this secret?
    ///
    /// # Errors
    /// [`RecordError::Forged`] where it is not.
    pub fn verify_mac(&self, secret: &VolumeSecret) -> Result<(), RecordError> {
        let mac = self.0.mac.as_deref().and_then(|mac| hex::decode(mac).ok());
        let unsigned = TokenJson {
            mac: None,
            ..self.0.clone()
        };
        let expected = authenticator(&unsigned, secret)?;
        match mac {
            Some(mac) => expected.verify_slice(&mac).map_err(|_| RecordError::Forged),
            None => Err(RecordError::Forged),
        }
    }

    /// The keyslot that the passphrase of the volume secret opens.
    ///
    /// # Errors
    /// It names none; a token that was read names one.
    pub fn keyslot(&self) -> Result<u32, RecordError> {
        let number = self.0.keyslots.first().map(String::as_str);
        number
            .and_then(slot_number)
            .ok_or_else(|| RecordError::Keyslot("it names none".into()))
    }

    /// The volume as it was enrolled.
    pub const fn volume(&self) -> &VolumeIdentity {
        &self.0.volume
    }

    /// The UUID of the volume with the records.
    pub fn enrolled_with(&self) -> &str {
        &self.0.enrolled_with
    }

    /// The public name of the secret, [`VolumeSecret::id`].
    pub fn secret_id(&self) -> &str {
        &self.0.secret_id
    }
}

fn authenticator(token: &TokenJson, secret: &VolumeSecret) -> Result<Hmac<Sha256>, RecordError> {
    let text = serde_json::to_vec(token).map_err(|error| damaged(error.to_string()))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.further_mac_key().as_slice())
        .map_err(|error| damaged(error.to_string()))?;
    mac.update(&text);
    Ok(mac)
}

/// The tokens of this kind, in their order; each with its reason if it cannot be used with this header.
pub fn find_further(header: &CheckedHeader) -> Vec<(TokenId, Result<FurtherToken, RecordError>)> {
    let tokens = header.metadata().tokens.iter();
    tokens
        .filter(|(_, token)| token.kind == FURTHER_TYPE)
        .map(|(number, token)| (TokenId(*number), usable(header, &token.json)))
        .collect()
}

fn usable(header: &CheckedHeader, json: &Value) -> Result<FurtherToken, RecordError> {
    let token = FurtherToken::from_token(json)?;
    if let Some((what, enrolled, found)) = token.volume().first_difference(header.identity()) {
        return Err(RecordError::OtherVolume {
            what,
            enrolled,
            found,
        });
    }
    header
        .check_keyslot(token.keyslot()?)
        .map_err(|error| RecordError::Keyslot(error.to_string()))?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(uuid: &str) -> VolumeIdentity {
        VolumeIdentity {
            uuid: uuid.into(),
            cipher: "aes-xts-plain64".into(),
            key_bytes: 64,
            sector_bytes: 4096,
            offset: 16 << 20,
            size: None,
            iv_tweak: 0,
        }
    }

    #[test]
    fn a_token_is_the_secrets_and_no_change_of_it_is() {
        let secret = VolumeSecret::generate().unwrap();
        let token = FurtherToken::new(3, volume("a"), "root-uuid", &secret).unwrap();
        let json = token.to_token().unwrap();
        let read = FurtherToken::from_token(&json).unwrap();
        assert_eq!(read, token);
        assert_eq!(read.keyslot().unwrap(), 3);
        read.verify_mac(&secret).unwrap();
        let other = VolumeSecret::generate().unwrap();
        assert!(read.verify_mac(&other).is_err());
        for (pointer, value) in [
            ("/keyslots", serde_json::json!(["4"])),
            ("/volume/uuid", "b".into()),
            ("/volume/sector_bytes", 512.into()),
            ("/enrolled_with", "other-uuid".into()),
            ("/secret_id", other.id().into()),
            ("/mac", "00".repeat(32).into()),
        ] {
            let mut changed = json.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            let changed = FurtherToken::from_token(&changed).unwrap();
            assert!(changed.verify_mac(&secret).is_err(), "{pointer}");
        }
    }

    #[test]
    fn a_token_of_another_form_is_refused() {
        let secret = VolumeSecret::generate().unwrap();
        let good = FurtherToken::new(3, volume("a"), "root-uuid", &secret).unwrap();
        let good = good.to_token().unwrap();
        for (pointer, value) in [
            ("/version", 2.into()),
            ("/keyslots", serde_json::json!([])),
            ("/keyslots", serde_json::json!(["3", "4"])),
            ("/keyslots", serde_json::json!(["03"])),
            ("/keyslots", serde_json::json!(["32"])),
            ("/enrolled_with", "\u{1b}[2J".into()),
            ("/secret_id", "xyz".into()),
            ("/mac", "00".into()),
            ("/mac", Value::Null),
            ("/type", "other".into()),
        ] {
            let mut changed = good.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(FurtherToken::from_token(&changed).is_err(), "{pointer}");
        }
    }
}
