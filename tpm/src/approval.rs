//! What a secret is sealed to, and what approves a launch: PCR values, a rollback counter, and
//! the signature of the owner's policy key.
//!
//! Two kinds of [`AuthPolicy`]: one launch, literally; or whatever launches a policy key signs
//! ([`PolicySigner`], TPM2_PolicyAuthorize), now or later and on another machine.
//! An [`Approval`] is what the TPM is shown at unsealing. Its digests are computed here as the
//! TPM computes them (TPM 2.0 Library, Part 3, 23), so that no TPM is needed to sign one.

use sha2::{Digest, Sha256};

use crate::{Name, PcrPolicy, nv::NvAttributes};

/// TPM_CC_PolicyNV and TPM_CC_PolicyAuthorize (Part 2, 6.5.2).
const TPM_CC_POLICY_NV: u32 = 0x0000_0149;
const TPM_CC_POLICY_AUTHORIZE: u32 = 0x0000_016a;
/// TPM_EO_UNSIGNED_LE (Part 2, 6.8): the counter is not above the limit.
pub(crate) const TPM_EO_UNSIGNED_LE: u16 = 0x0009;
/// TPM_NT_COUNTER in the type bits.
const COUNTER: u32 = 1 << 4;

/// Attributes of the rollback counter. Anybody may read it, which TPM2_PolicyNV needs; only the
/// owner may raise it: who could raise it without being asked could lock the owner out.
pub(crate) const COUNTER_ATTRIBUTES: u32 = COUNTER
    | NvAttributes::AUTH_READ
    | NvAttributes::OWNER_READ
    | NvAttributes::OWNER_WRITE
    | NvAttributes::NO_DA;

/// An approved launch ends when the TPM's rollback counter is raised above this limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterLimit {
    /// NV index of the counter.
    pub index: u32,
    /// The highest value at which the launch is still approved.
    pub limit: u64,
}

impl CounterLimit {
    /// TPM name of the counter as taoboot defines it. A counter with other attributes has
    /// another name, and the policy fails.
    pub fn name(index: u32) -> Name {
        let mut public = Sha256::new();
        public.update(index.to_be_bytes());
        public.update([0x00, 0x0b]);
        public.update((COUNTER_ATTRIBUTES | NvAttributes::WRITTEN).to_be_bytes());
        public.update([0, 0]);
        public.update(8_u16.to_be_bytes());
        Name::of_sha256(public.finalize().into())
    }

    /// The counter's value that is compared with: big-endian, as the TPM holds it.
    pub const fn operand(&self) -> [u8; 8] {
        self.limit.to_be_bytes()
    }
}

/// One launch: the PCR values it must have, and the counter's limit if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchPolicy {
    pcrs: PcrPolicy,
    counter: Option<CounterLimit>,
}

impl LaunchPolicy {
    /// Both together.
    pub const fn new(pcrs: PcrPolicy, counter: Option<CounterLimit>) -> Self {
        Self { pcrs, counter }
    }

    /// The PCR values.
    pub const fn pcrs(&self) -> &PcrPolicy {
        &self.pcrs
    }

    /// The limit.
    pub const fn counter(&self) -> Option<&CounterLimit> {
        self.counter.as_ref()
    }

    /// Digest of a SHA-256 policy session after TPM2_PolicyPCR and, with a limit, TPM2_PolicyNV
    /// (Part 3, 23.7 and 23.9).
    pub fn digest(&self) -> [u8; 32] {
        let after_pcrs = self.pcrs.digest();
        let Some(counter) = &self.counter else {
            return after_pcrs;
        };
        let mut arguments = Sha256::new();
        arguments.update(counter.operand());
        arguments.update(0_u16.to_be_bytes());
        arguments.update(TPM_EO_UNSIGNED_LE.to_be_bytes());
        let mut hash = Sha256::new();
        hash.update(after_pcrs);
        hash.update(TPM_CC_POLICY_NV.to_be_bytes());
        hash.update(arguments.finalize());
        hash.update(CounterLimit::name(counter.index).as_bytes());
        hash.finalize().into()
    }
}

impl From<PcrPolicy> for LaunchPolicy {
    fn from(pcrs: PcrPolicy) -> Self {
        Self::new(pcrs, None)
    }
}

/// The owner's policy key, public half: a P-256 key whose ECDSA signatures approve launches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySigner {
    x: [u8; 32],
    y: [u8; 32],
}

impl PolicySigner {
    /// What is signed is for this use of the key and no other (policyRef).
    pub const POLICY_REF: &'static [u8] = b"taoboot approved launch v1";

    /// A key by the coordinates of its point. That it lies on the curve is checked by the TPM,
    /// and by whoever makes the key.
    pub const fn new(x: [u8; 32], y: [u8; 32]) -> Self {
        Self { x, y }
    }

    /// From an uncompressed point (SEC 1, 2.3.3): 04, x, y.
    pub fn from_point(point: &[u8]) -> Option<Self> {
        let (x, y) = point.strip_prefix(&[0x04])?.split_at_checked(32)?;
        Some(Self::new(x.try_into().ok()?, y.try_into().ok()?))
    }

    /// The uncompressed point.
    pub fn point(&self) -> Vec<u8> {
        [&[0x04], self.x.as_slice(), self.y.as_slice()].concat()
    }

    /// The coordinates.
    pub const fn coordinates(&self) -> (&[u8; 32], &[u8; 32]) {
        (&self.x, &self.y)
    }

    /// The marshalled TPMT_PUBLIC under which the TPM loads the key (Part 2, 12.2.4): an ECC
    /// key for signatures only.
    fn public_area(&self) -> Vec<u8> {
        let mut area = Vec::with_capacity(90);
        let numbers: [&[u8]; 9] = [
            &0x0023_u16.to_be_bytes(),      // TPM_ALG_ECC
            &0x000b_u16.to_be_bytes(),      // named with SHA-256
            &0x0004_0040_u32.to_be_bytes(), // userWithAuth, sign
            &0_u16.to_be_bytes(),           // no policy
            &0x0010_u16.to_be_bytes(),      // no symmetric algorithm
            &0x0018_u16.to_be_bytes(),      // TPM_ALG_ECDSA
            &0x000b_u16.to_be_bytes(),      // with SHA-256
            &0x0003_u16.to_be_bytes(),      // TPM_ECC_NIST_P256
            &0x0010_u16.to_be_bytes(),      // no key derivation
        ];
        for number in numbers {
            area.extend_from_slice(number);
        }
        for coordinate in [&self.x, &self.y] {
            area.extend_from_slice(&32_u16.to_be_bytes());
            area.extend_from_slice(coordinate);
        }
        area
    }

    /// The key's TPM name.
    pub fn name(&self) -> Name {
        Name::of_sha256(Sha256::digest(self.public_area()).into())
    }

    /// The authPolicy of an object that launches signed by this key open: the digest of a
    /// SHA-256 policy session after TPM2_PolicyAuthorize (Part 3, 23.16).
    pub fn digest(&self) -> [u8; 32] {
        let mut first = Sha256::new();
        first.update([0; 32]);
        first.update(TPM_CC_POLICY_AUTHORIZE.to_be_bytes());
        first.update(self.name().as_bytes());
        let mut second = Sha256::new();
        second.update(first.finalize());
        second.update(Self::POLICY_REF);
        second.finalize().into()
    }

    /// What the key signs to approve a launch: SHA-256 of the launch's policy digest and
    /// [`Self::POLICY_REF`] (aHash in Part 3, 23.16). ECDSA takes it as the message's digest.
    pub fn signed_digest(launch: &LaunchPolicy) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(launch.digest());
        hash.update(Self::POLICY_REF);
        hash.finalize().into()
    }
}

/// What a secret is sealed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthPolicy {
    /// This launch and no other.
    Launch(LaunchPolicy),
    /// Every launch that the key approves.
    Signed(PolicySigner),
}

impl AuthPolicy {
    /// The authPolicy of the sealed object.
    pub fn digest(&self) -> [u8; 32] {
        match self {
            Self::Launch(launch) => launch.digest(),
            Self::Signed(signer) => signer.digest(),
        }
    }
}

impl From<PcrPolicy> for AuthPolicy {
    fn from(pcrs: PcrPolicy) -> Self {
        Self::Launch(pcrs.into())
    }
}

/// The signature of a policy key over [`PolicySigner::signed_digest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySignature {
    /// The key.
    pub signer: PolicySigner,
    /// r and s of the ECDSA signature, 32 bytes each.
    pub r_and_s: [u8; 64],
}

/// What the TPM is shown so that it releases a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    launch: LaunchPolicy,
    signature: Option<PolicySignature>,
}

impl Approval {
    /// For a secret that is sealed to the launch itself.
    pub const fn literal(launch: LaunchPolicy) -> Self {
        Self {
            launch,
            signature: None,
        }
    }

    /// For a secret that is sealed to the signer.
    pub const fn signed(launch: LaunchPolicy, signature: PolicySignature) -> Self {
        Self {
            launch,
            signature: Some(signature),
        }
    }

    /// The launch.
    pub const fn launch(&self) -> &LaunchPolicy {
        &self.launch
    }

    /// The signature.
    pub const fn signature(&self) -> Option<&PolicySignature> {
        self.signature.as_ref()
    }
}

impl From<PcrPolicy> for Approval {
    fn from(pcrs: PcrPolicy) -> Self {
        Self::literal(pcrs.into())
    }
}
