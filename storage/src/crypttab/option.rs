//! The options of both crypttab(5), by name.

use std::fmt;

use self::{
    Dialect::{Both, Debian, Systemd},
    Form::{Flag, Number, Switch, SwitchOrFlag, Text, TextOrFlag, Time},
};

/// Who understands an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// systemd, and Debian's scripts.
    Both,
    /// systemd alone: Debian's scripts warn and pass over it.
    Systemd,
    /// Debian's scripts alone: systemd warns and passes over it.
    Debian,
}

/// What stands behind the option's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Nothing.
    Flag,
    /// Some text.
    Text,
    /// Some text, or nothing.
    TextOrFlag,
    /// A whole number.
    Number,
    /// A time: `90`, `1min 30s`.
    Time,
    /// `yes` or `no`.
    Switch,
    /// `yes` or `no`; nothing is `yes`.
    SwitchOrFlag,
}

macro_rules! options {
    ($($variant:ident $text:literal $form:ident $dialect:ident,)*) => {
        /// An option. Aliases have the name that systemd's manual page has first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Name {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
        }

        /// Each option: its name, what stands behind it, who understands it.
        pub(super) const ALL: &[(Name, &str, Form, Dialect)] = &[
            $((Name::$variant, $text, $form, $dialect),)*
        ];
    };
}

options! {
    Auto "auto" Flag Both,
    BitLocker "bitlk" Flag Both,
    Check "check" TextOrFlag Debian,
    CheckArguments "checkargs" Text Debian,
    Cipher "cipher" Text Both,
    Discard "discard" Flag Both,
    Fail "fail" Flag Both,
    FileVault2 "fvault2" Flag Debian,
    Fido2Credential "fido2-cid" Text Systemd,
    Fido2Device "fido2-device" Text Systemd,
    Fido2Pin "fido2-pin" Switch Systemd,
    Fido2RelyingParty "fido2-rp" Text Systemd,
    Fido2UserPresence "fido2-up" Switch Systemd,
    Fido2UserVerification "fido2-uv" Switch Systemd,
    FixateVolumeKey "fixate-volume-key" Text Systemd,
    Hash "hash" Text Both,
    Header "header" Text Both,
    Headless "headless" SwitchOrFlag Systemd,
    Initramfs "initramfs" Flag Debian,
    KeyFileErase "keyfile-erase" SwitchOrFlag Systemd,
    KeyFileOffset "keyfile-offset" Number Both,
    KeyFileSize "keyfile-size" Number Both,
    KeyFileTimeout "keyfile-timeout" Time Systemd,
    KeyScript "keyscript" Text Debian,
    KeySlot "key-slot" Number Both,
    LinkVolumeKey "link-volume-key" Text Systemd,
    Loud "loud" Flag Debian,
    Luks "luks" Flag Both,
    NetDevice "_netdev" Flag Systemd,
    NoAuto "noauto" Flag Both,
    NoEarly "noearly" Flag Debian,
    NoFail "nofail" Flag Systemd,
    NoReadWorkqueue "no-read-workqueue" Flag Both,
    NoWriteWorkqueue "no-write-workqueue" Flag Both,
    Offset "offset" Number Both,
    PasswordCache "password-cache" Text Systemd,
    PasswordEcho "password-echo" Text Systemd,
    Pkcs11Uri "pkcs11-uri" Text Systemd,
    Plain "plain" Flag Both,
    Quiet "quiet" Flag Debian,
    ReadOnly "read-only" Flag Both,
    SameCpuCrypt "same-cpu-crypt" Flag Both,
    SectorSize "sector-size" Number Both,
    Size "size" Number Both,
    Skip "skip" Number Both,
    SubmitFromCryptCpus "submit-from-crypt-cpus" Flag Both,
    Swap "swap" Flag Both,
    Tcrypt "tcrypt" Flag Both,
    TcryptHidden "tcrypt-hidden" Flag Both,
    TcryptKeyFile "tcrypt-keyfile" Text Systemd,
    TcryptSystem "tcrypt-system" Flag Systemd,
    TcryptVeraCrypt "tcrypt-veracrypt" Flag Both,
    Timeout "timeout" Time Systemd,
    Tmp "tmp" TextOrFlag Both,
    TokenTimeout "token-timeout" Time Systemd,
    Tpm2Device "tpm2-device" Text Systemd,
    Tpm2MeasureBank "tpm2-measure-bank" Text Systemd,
    Tpm2MeasureKeyslot "tpm2-measure-keyslot-nvpcr" Text Systemd,
    Tpm2MeasurePcr "tpm2-measure-pcr" Text Systemd,
    Tpm2Pcrlock "tpm2-pcrlock" Text Systemd,
    Tpm2Pcrs "tpm2-pcrs" Text Systemd,
    Tpm2Pin "tpm2-pin" Switch Systemd,
    Tpm2Signature "tpm2-signature" Text Systemd,
    Tries "tries" Number Both,
    TryEmptyPassword "try-empty-password" SwitchOrFlag Systemd,
    VeraCryptPim "veracrypt-pim" Number Systemd,
    Verify "verify" Flag Both,
    InitrdAttach "x-initrd.attach" Flag Systemd,
    DeviceTimeout "x-systemd.device-timeout" Time Systemd,
}

/// Other spellings.
pub(super) const ALIASES: [(&str, &str); 8] = [
    ("allow-discards", "discard"),
    ("keyslot", "key-slot"),
    ("precheck", "check"),
    ("readonly", "read-only"),
    ("tcrypthidden", "tcrypt-hidden"),
    ("tcryptveracrypt", "tcrypt-veracrypt"),
    ("veracrypt", "tcrypt-veracrypt"),
    ("tcryptsystem", "tcrypt-system"),
];

impl Name {
    /// As it is written.
    pub fn text(self) -> &'static str {
        self.row().1
    }

    /// Who understands it.
    pub fn dialect(self) -> Dialect {
        self.row().3
    }

    #[expect(
        clippy::expect_used,
        reason = "the same macro makes the names and the table"
    )]
    fn row(self) -> (Self, &'static str, Form, Dialect) {
        let mut rows = ALL.iter();
        *rows.find(|row| row.0 == self).expect("a name has its row")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}
