//! The client against a TPM that answers whatever it likes: for the fuzz target `tpm12_response`
//! and for the test that replays its corpus.

use std::io;

use super::{Attributes, NvAuth, NvPublic, Secret, Tpm12, transport::Transport};

/// Each answer is a length byte and so many bytes; without its header when that byte has bit 7,
/// so that a fuzzer needn't guess lengths to get behind the header.
struct Scripted {
    script: Vec<u8>,
    next: usize,
}

impl Transport for Scripted {
    fn transmit(&mut self, _command: &[u8]) -> io::Result<Vec<u8>> {
        let rest = self.script.get(self.next..);
        let Some((first, rest)) = rest.and_then(<[u8]>::split_first) else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        };
        let length = usize::from(first & 0x7f).min(rest.len());
        self.next = self.next.saturating_add(1).saturating_add(length);
        let (answer, _) = rest.split_at(length);
        if first & 0x80 == 0 {
            return Ok(answer.to_vec());
        }
        let claimed = u32::from(first & 0x7f)
            .min(u32::try_from(length).unwrap_or(0))
            .saturating_add(10);
        let mut framed = vec![0, 0xc4];
        framed.extend(claimed.to_be_bytes());
        framed.extend([0; 4]);
        framed.extend_from_slice(answer);
        Ok(framed)
    }
}

/// Makes every call once, with answers from `script`; returns how many were believed. None may
/// panic, loop or take more memory than its answer has bytes (and a little).
pub fn run_all(script: &[u8]) -> usize {
    let mut tpm = Tpm12::over(Box::new(Scripted {
        script: script.to_vec(),
        next: 0,
    }));
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

    #[test]
    fn a_silent_tpm_is_believed_nothing() {
        assert_eq!(run_all(&[]), 0);
        assert_eq!(run_all(&[0; 100]), 0);
    }

    #[test]
    fn a_well_formed_answer_gets_through_the_script() {
        // An empty list of indices: resp of no bytes.
        assert_eq!(run_all(&[0x84, 0, 0, 0, 0]), 1);
    }
}
