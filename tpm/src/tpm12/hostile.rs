//! The client against a TPM that answers whatever it likes: for the fuzz target `tpm12_response`
//! and for the test that replays its corpus. [`run_all`] makes the calls whose answers are short,
//! [`run_long`] those with keys, [`read_all`] reads what stands behind HMACs that nobody guesses.

use std::io;

use super::{
    Attributes, KeyUsage, KnownTpm12, NvAuth, NvPublic, PcrInfoLong, Resource, RsaPublic, Secret,
    SrkSecret, SrkSpelling, StorageKey, Tpm12, WrappedKey,
    counter::CounterValue,
    quote::Quote2,
    rsa::{MODULUS_LEN, Scheme},
    seal::SealedBlob,
    transport::Transport,
    transport_session, wrapped,
};
use crate::{Bank, PcrIndex, PcrSet, PcrValues, Tpm};

/// Each answer is a length byte and so many bytes; without its header when that byte has bit 7,
/// so that a fuzzer needn't guess lengths to get behind the header.
struct Scripted {
    script: Vec<u8>,
    next: usize,
    /// How many bytes the seven bits of a length stand for.
    unit: usize,
}

impl Transport for Scripted {
    fn transmit(&mut self, _command: &[u8]) -> io::Result<Vec<u8>> {
        let rest = self.script.get(self.next..);
        let Some((first, rest)) = rest.and_then(<[u8]>::split_first) else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        };
        let wanted = usize::from(first & 0x7f).saturating_mul(self.unit);
        let length = wanted.min(rest.len());
        self.next = self.next.saturating_add(1).saturating_add(length);
        let (answer, _) = rest.split_at(length);
        if first & 0x80 == 0 {
            return Ok(answer.to_vec());
        }
        let claimed = u32::try_from(length).unwrap_or(0).saturating_add(10);
        let mut framed = vec![0, 0xc4];
        framed.extend(claimed.to_be_bytes());
        framed.extend([0; 4]);
        framed.extend_from_slice(answer);
        Ok(framed)
    }
}

fn scripted(script: &[u8], unit: usize) -> Tpm12 {
    Tpm12::over(Box::new(Scripted {
        script: script.to_vec(),
        next: 0,
        unit,
    }))
    .without_waiting()
}

/// Makes each call of a TPM's first life once, with answers from `script`; returns how many were believed. None may
/// panic, loop or take more memory than its answer has bytes (and a little).
pub fn run_all(script: &[u8]) -> usize {
    let mut tpm = scripted(script, 1);
    let secret = Secret::well_known();
    let public = NvPublic::new(1, Attributes(0), 1);
    let believed = [
        tpm.nv_list().is_ok(),
        tpm.nv_public(0x4000_0001).is_ok(),
        tpm.version().is_ok(),
        tpm.permanent_flags().is_ok(),
        tpm.dictionary_attack().is_ok(),
        tpm.has_owner().is_ok(),
        tpm.property(0x101).is_ok(),
        tpm.pcr_read(17).is_ok(),
        tpm.pcr_extend(15, &[0; 20]).is_ok(),
        tpm.random(8).is_ok(),
        tpm.nv_read(1, 0, 8, NvAuth::None).is_ok(),
        tpm.nv_read(1, 0, 8, NvAuth::Index(&secret)).is_ok(),
        tpm.nv_write(1, 0, &[1], NvAuth::Owner(&secret)).is_ok(),
        tpm.nv_define(&public, Some(&secret), &secret).is_ok(),
        tpm.nv_define(&public, None, &secret).is_ok(),
        tpm.owner_flags(&secret).is_ok(),
    ];
    believed.into_iter().filter(|call| *call).count()
}

/// The same for the calls with keys, sealed secrets and transport sessions; lengths are counted in ten
/// bytes. Ownership is not taken: that encrypts before it asks, which is slow, and reads the answer as
/// [`read_all`] does. Only the lists of handles and a counter are believed without HMAC or checksum.
pub fn run_long(script: &[u8]) -> usize {
    let mut tpm = scripted(script, 10);
    let secret = Secret::well_known();
    let key = RsaPublic::new(Scheme::Decrypt, [0xc5; MODULUS_LEN]);
    let info = PcrInfoLong::new(&PcrValues::new(Bank::Sha1));
    let made = tpm.create_key(&secret, KeyUsage::Signing, &secret);
    let mut believed = vec![
        made.is_ok(),
        tpm.handles(Resource::Key).is_ok(),
        tpm.counter_read(1).is_ok(),
        tpm.read_endorsement().is_ok(),
        tpm.srk_public(&secret).is_ok(),
        tpm.key_public(1, &secret).is_ok(),
        tpm.make_identity(&secret, &secret, &[0; 20], &secret)
            .is_ok(),
        tpm.activate_identity(1, &secret, &secret, &[0; 256])
            .is_ok(),
        tpm.quote2(1, &secret, &[0; 20], PcrSet::LAUNCH, true)
            .is_ok(),
        tpm.seal(&secret, &secret, &info, b"secret").is_ok(),
        tpm.counter_create(&secret, *b"tao1", &secret).is_ok(),
        tpm.counter_increment(1, &secret).is_ok(),
        tpm.find_srk_spelling(&key).is_ok(),
    ];
    let known = StorageKey {
        public: key,
        secret: SrkSecret::Spelled(SrkSpelling::Zeros),
    };
    let mut known = KnownTpm12::new(tpm, known);
    believed.push(known.pcr_read(Bank::Sha1, PcrSet::LAUNCH).is_ok());
    believed.push(known.pcr_event(PcrIndex::LATCH, b"closed").is_ok());
    believed.into_iter().filter(|call| *call).count()
}

/// Gives all bytes to each reader; returns how many took them. What is read is written again as it was.
pub fn read_all(bytes: &[u8]) -> usize {
    let again = |written: Option<Vec<u8>>| {
        written.is_some_and(|written| {
            assert_eq!(written, bytes);
            true
        })
    };
    let read = [
        again(
            WrappedKey::parse(bytes)
                .ok()
                .map(|key| key.as_bytes().to_vec()),
        ), // counted only
        again(
            SealedBlob::parse(bytes)
                .ok()
                .map(|blob| blob.as_bytes().to_vec()),
        ), // counted only
        again(PcrInfoLong::parse(bytes).ok().map(|info| info.to_bytes())), // counted only
        // An exponent that was written out is not written again.
        RsaPublic::parse(bytes).is_ok(),
        Quote2::parse(bytes).is_ok(),
        CounterValue::parse(bytes).is_ok(),
        wrapped::established(bytes).is_ok(),
        transport_session::opens_with_zeros(bytes),
    ];
    read.into_iter().filter(|read| *read).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_answer_is_believed_without_its_hmac(script in proptest::collection::vec(any::<u8>(), 0..2000)) {
            // Four of the calls are authorized: nobody guesses an HMAC.
            prop_assert!(run_all(&script) <= 12);
        }
    }

    proptest! {
        #[test]
        fn no_long_answer_is_believed_without_its_hmac(script in proptest::collection::vec(any::<u8>(), 0..4000)) {
            prop_assert!(run_long(&script) <= 2);
            read_all(&script);
        }
    }

    #[test]
    fn a_silent_tpm_is_believed_nothing() {
        assert_eq!(run_all(&[]), 0);
        assert_eq!(run_all(&[0; 100]), 0);
        assert_eq!(run_long(&[]), 0);
        assert_eq!(read_all(&[]), 0);
    }

    #[test]
    fn a_well_formed_answer_gets_through_the_script() {
        // An empty list of indices: resp of no bytes.
        assert_eq!(run_all(&[0x84, 0, 0, 0, 0]), 1);
    }
}
