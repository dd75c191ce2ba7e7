//! A verified launch policy inside the platform owner's launch control policy: a custom element
//! with tboot's UUID, where tboot looks for it when the TPM's NV index has none.

use txt::{
    codec::FormatError,
    element::{Body, Custom, Element, TBOOT_UUID, Uuid},
};

use super::{Policy, VlpError};

/// An element that holds no policy of tboot's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// The bytes are not an element.
    #[error("this is not a policy element: {0}")]
    Element(#[from] FormatError),
    /// Another type of element.
    #[error(
        "the element is of type {name} ({number:#x}), expected custom (0x13, or 0x3 for TPM 1.2)"
    )]
    Type {
        /// The type's name.
        name: &'static str,
        /// The type's number.
        number: u32,
    },
    /// Somebody else's custom element.
    #[error("the custom element's UUID is {0}, tboot's is {TBOOT_UUID}: it is somebody else's")]
    Uuid(Uuid),
    /// What the element carries is not a policy.
    #[error("the element's data is not a verified launch policy: {0}")]
    Policy(#[from] VlpError),
}

/// Which kind of list the element goes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementKind {
    /// 0x13, for lists of version 2.x and 3.0 (TPM 2.0).
    Custom,
    /// 0x03, for lists of version 1.0 (TPM 1.2).
    Legacy,
}

impl Policy {
    /// The policy as an element of a launch control policy. `control` is the element's
    /// PolEltControl, 1 by tboot's tools' default.
    pub fn to_element(&self, kind: ElementKind, control: u32) -> Element {
        let custom = Custom {
            uuid: TBOOT_UUID,
            data: self.to_bytes(),
        };
        let body = match kind {
            ElementKind::Custom => Body::Custom(custom),
            ElementKind::Legacy => Body::LegacyCustom(custom),
        };
        Element { control, body }
    }

    /// The policy that an element file carries.
    pub fn from_element(bytes: &[u8]) -> Result<Self, UnwrapError> {
        let element = Element::parse(bytes)?;
        match &element.body {
            Body::Custom(custom) | Body::LegacyCustom(custom) if custom.uuid == TBOOT_UUID => {
                Ok(Self::parse(&custom.data)?)
            }
            Body::Custom(custom) | Body::LegacyCustom(custom) => {
                Err(UnwrapError::Uuid(custom.uuid))
            }
            body => Err(UnwrapError::Type {
                name: body.name(),
                number: body.number(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_policy_comes_out_again() {
        let policy = Policy::default_tpm2();
        for (kind, number) in [(ElementKind::Custom, 0x13), (ElementKind::Legacy, 3)] {
            let bytes = policy.to_element(kind, 1).to_bytes().unwrap();
            assert_eq!(bytes[4], number);
            assert_eq!(Policy::from_element(&bytes), Ok(policy.clone()));
            for end in 0..bytes.len() {
                assert!(Policy::from_element(&bytes[..end]).is_err(), "{end}");
            }
        }
    }

    #[test]
    fn somebody_elses_element_is_refused() {
        let mut bytes = Policy::default_tpm2()
            .to_element(ElementKind::Custom, 1)
            .to_bytes()
            .unwrap();
        bytes[12] ^= 1;
        assert!(matches!(
            Policy::from_element(&bytes),
            Err(UnwrapError::Uuid(_))
        ));
        bytes[4] = 0x77;
        assert!(matches!(
            Policy::from_element(&bytes),
            Err(UnwrapError::Type { number: 0x77, .. })
        ));
    }
}
