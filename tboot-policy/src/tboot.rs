//! tboot's own image with its hashes. The image is tens of MiB (most of it is filling), so that a
//! menu of several entries reads each tboot once and hashes it once with each command line.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use txt::{
    hash::{Digest, HashAlg},
    mlehash::{Mle, MleError, MleHeader},
};

/// A tboot. A copy is the same tboot, hashes included.
#[derive(Clone, Debug)]
pub struct Tboot(Rc<Image>);

#[derive(Debug)]
struct Image {
    mle: Mle,
    sha256: Digest,
    hashes: RefCell<BTreeMap<(HashAlg, Vec<u8>), Digest>>,
}

impl Tboot {
    /// Reads `tboot.gz`, or an uncompressed tboot.
    ///
    /// # Errors
    /// The file is not a tboot.
    pub fn parse(file: &[u8]) -> Result<Self, MleError> {
        Self::with_digest(file, HashAlg::Sha256.digest(file))
    }

    fn with_digest(file: &[u8], sha256: Digest) -> Result<Self, MleError> {
        Ok(Self(Rc::new(Image {
            mle: Mle::parse(file)?,
            sha256,
            hashes: RefCell::default(),
        })))
    }

    /// SHA-256 of the file.
    pub fn sha256(&self) -> &Digest {
        &self.0.sha256
    }

    /// Its MLE header.
    pub fn header(&self) -> &MleHeader {
        self.0.mle.header()
    }

    /// The MLE's hash with a command line, as SINIT extends it.
    ///
    /// # Errors
    /// The command line does not fit.
    pub fn hash(&self, alg: HashAlg, cmdline: &[u8]) -> Result<Digest, MleError> {
        let mut hashes = self.0.hashes.borrow_mut();
        let key = (alg, cmdline.to_vec());
        if let Some(known) = hashes.get(&key) {
            return Ok(known.clone());
        }
        let hash = self.0.mle.hash(alg, cmdline)?;
        hashes.insert(key, hash.clone());
        Ok(hash)
    }
}

/// The tboots that have been read.
#[derive(Clone, Debug, Default)]
pub struct Tboots(BTreeMap<Digest, Tboot>);

impl Tboots {
    /// The tboot of a file, which is parsed unless one of the same bytes has been.
    ///
    /// # Errors
    /// The file is not a tboot.
    pub fn parse(&mut self, file: &[u8]) -> Result<Tboot, MleError> {
        let sha256 = HashAlg::Sha256.digest(file);
        if let Some(known) = self.0.get(&sha256) {
            return Ok(known.clone());
        }
        let tboot = Tboot::with_digest(file, sha256.clone())?;
        self.0.insert(sha256, tboot.clone());
        Ok(tboot)
    }
}
