//! The calls of the Tao: what a hosted program asks, and what the host answers.
//!
//! Error texts are those of the original where it has them: programs compare them.

use std::sync::Arc;

use crate::{
    keys::random,
    logic::{Form, Prin, Says, SubPrin},
    wire::{
        MAX_FRAME,
        messages::{RequestHeader, TaoRequest, TaoResponse},
        rpc,
    },
};
use prost::Message;
use zeroize::Zeroize;

use super::identity::{Identity, VALIDITY, now};

/// What is taken off the longest frame for everything around the data in an answer.
const OVERHEAD: usize = 64 * 1024;
const MAX_DATA: usize = MAX_FRAME - OVERHEAD;

/// What is inside sealed bytes.
#[derive(Clone, PartialEq, Message)]
struct SealedBundle {
    /// `self`, `few` or `any`.
    #[prost(string, required, tag = "1")]
    policy: String,
    /// Binary form of the program's part of its name; none for `any`. The original had the
    /// text here, which is the same for different names.
    #[prost(bytes = "vec", optional, tag = "2")]
    subprin: Option<Vec<u8>>,
    /// The data.
    #[prost(bytes = "vec", required, tag = "3")]
    data: Vec<u8>,
}

/// Who is calling: a hosted program.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The program's part of its name.
    pub subprin: SubPrin,
}

/// Answers the calls of hosted programs.
pub struct TaoService {
    identity: Arc<Identity>,
}

fn data(data: Vec<u8>) -> TaoResponse {
    TaoResponse {
        data: Some(data),
        ..TaoResponse::default()
    }
}

impl TaoService {
    /// A service that speaks for `identity`.
    pub fn new(identity: Arc<Identity>) -> Self {
        TaoService { identity }
    }

    /// The host's name.
    pub fn host_name(&self) -> &Prin {
        self.identity.name()
    }

    /// Appends the answer to one call to `out`.
    pub fn answer(&self, caller: &Caller, header: RequestHeader, body: &[u8], out: &mut Vec<u8>) {
        match self.call(caller, &header.op, body) {
            Ok(mut response) => {
                rpc::write_response(out, header, &response);
                response.data.zeroize();
            }
            Err(error) => rpc::write_error(out, header, error),
        }
    }

    fn call(&self, caller: &Caller, op: &str, body: &[u8]) -> Result<TaoResponse, String> {
        let known = ["GetTaoName", "GetRandomBytes", "Seal", "Unseal", "Attest"];
        let method = op
            .strip_prefix("Tao.")
            .filter(|method| known.contains(method));
        let Some(method) = method else {
            return Err(rpc::unknown_method(op, rpc::TAO_SERVICE));
        };
        let mut request = TaoRequest::decode(body)
            .map_err(|error| format!("taorpc: malformed request: {error}"))?;
        let response = match method {
            "GetTaoName" => Ok(data(self.name(caller).encode())),
            "GetRandomBytes" => random_bytes(request.size),
            "Seal" => self.seal(caller, &mut request),
            "Unseal" => self.unseal(caller, request.data.as_deref().unwrap_or_default()),
            _ => self.attest(caller, &request),
        };
        request.data.zeroize();
        response
    }

    fn name(&self, caller: &Caller) -> Prin {
        self.identity.name().extended(&caller.subprin)
    }

    fn seal(&self, caller: &Caller, request: &mut TaoRequest) -> Result<TaoResponse, String> {
        let policy = request.policy.take().unwrap_or_default();
        let subprin = match policy.as_str() {
            "self" | "few" => Some(caller.subprin.encode()),
            "any" => None,
            other => return Err(format!("policy not supported for Seal: {other}")),
        };
        let data_to_seal = request.data.take().unwrap_or_default();
        if data_to_seal.len() > MAX_DATA {
            return Err(format!(
                "data of more than {MAX_DATA} bytes can't be sealed"
            ));
        }
        let mut bundle = SealedBundle {
            policy,
            subprin,
            data: data_to_seal,
        };
        let sealed = self
            .identity
            .crypter
            .seal_with(bundle.encoded_len(), |out| {
                bundle.encode_raw(out);
            });
        bundle.data.zeroize();
        sealed.map(data).map_err(|error| error.to_string())
    }

    fn unseal(&self, caller: &Caller, sealed: &[u8]) -> Result<TaoResponse, String> {
        let plain = self
            .identity
            .crypter
            .open(sealed)
            .map_err(|error| error.to_string())?;
        let mut bundle = SealedBundle::decode(plain.as_slice())
            .map_err(|error| format!("sealed data: not made by Seal: {error}"))?;
        let allowed = match bundle.policy.as_str() {
            // Binary forms are equal exactly if the names are.
            "self" | "few" => bundle.subprin == Some(caller.subprin.encode()),
            "any" => true,
            _ => false,
        };
        if !allowed {
            bundle.data.zeroize();
            return Err("principal not authorized for unseal".to_owned());
        }
        Ok(TaoResponse {
            data: Some(bundle.data),
            policy: Some(bundle.policy),
            counter: None,
        })
    }

    fn attest(&self, caller: &Caller, request: &TaoRequest) -> Result<TaoResponse, String> {
        let name = self.name(caller);
        let issuer = match &request.issuer {
            None => name,
            Some(bytes) => {
                let issuer = Prin::decode(bytes).map_err(|error| format!("issuer: {error}"))?;
                if !issuer.is_within(&name) {
                    return Err("invalid issuer in statement".to_owned());
                }
                issuer
            }
        };
        let message = Form::decode(request.data.as_deref().unwrap_or_default())
            .map_err(|error| format!("statement: {error}"))?;
        let time = request.time.unwrap_or_else(now);
        let expiration = request
            .expiration
            .unwrap_or_else(|| now().saturating_add(VALIDITY));
        let statement = Says {
            speaker: issuer.into(),
            time: Some(time),
            expiration: Some(expiration),
            message: Box::new(message),
        };
        self.identity
            .attest(statement)
            .map(data)
            .map_err(|error| error.to_string())
    }
}

fn random_bytes(size: Option<i32>) -> Result<TaoResponse, String> {
    let size = usize::try_from(size.unwrap_or_default()).unwrap_or_default();
    if size == 0 || size > MAX_DATA {
        return Err("invalid size".to_owned());
    }
    let mut bytes = vec![0; size];
    random(&mut bytes).map_err(|error| error.to_string())?;
    Ok(data(bytes))
}
